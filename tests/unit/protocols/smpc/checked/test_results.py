"""Where nobody cheats, a party with abort computes what the plain engine computes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput, Misuse
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.run import run_program
from protocols.smpc.replicated import arithmetic, comparison, functions, scaling
from protocols.smpc.replicated.bits import select, to_ring
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.kernels import Geometry
from protocols.smpc.replicated.local import connect
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.polynomial import below, integers, looked_up
from protocols.smpc.replicated.truncation import Rounding, truncate
from tests.unit.protocols.smpc.checked.trials import ends_of, handed, released
from tests.unit.protocols.smpc.parties import FIXED, compute
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import decoded, everything, handed_out, plain

RNG = np.random.default_rng(7)
ANY = RNG.integers(0, 2**64, 70, np.uint64)
EDGES = np.concatenate(
    [ANY, np.uint64(1) << np.arange(64, dtype=np.uint64), np.zeros(3, np.uint64), ~np.zeros(3, np.uint64)]
)
SMALL = FIXED.encode(RNG.normal(0, 50, 70))
MATRIX = FIXED.encode(RNG.normal(0, 2, (12, 13)))
PLANES = FIXED.encode(RNG.normal(0, 2, (2, 4, 9, 8)))
KERNEL = FIXED.encode(RNG.normal(0, 2, (6, 2, 3, 2)))
_TABLE = integers([[1.0, 2.0], [3.0, 5.0]], 18)

EXACT: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "products": (partial(arithmetic.multiply, bits=0), (EDGES, EDGES[::-1])),
    "sums of products": (partial(arithmetic.dot, axis=0, bits=0), (EDGES.reshape(2, -1), EDGES.reshape(2, -1))),
    "a few products of matrices": (partial(arithmetic.product, bits=0), (ANY.reshape(7, 10), ANY.reshape(10, 7))),
    "a matrix by a vector": (partial(arithmetic.product, bits=0), (ANY.reshape(7, 10), ANY[:10])),
    "a row by a matrix": (partial(arithmetic.product, bits=0), (ANY[:1].reshape(1, 1), ANY.reshape(1, 70))),
    "large matrices": (partial(arithmetic.product, bits=0), (MATRIX, MATRIX.T)),
    "batches of matrices": (partial(arithmetic.product, bits=0), (np.stack([MATRIX] * 2), np.stack([MATRIX.T] * 2))),
    "a batch by a matrix": (partial(arithmetic.product, bits=0), (np.stack([MATRIX] * 2), MATRIX.T)),
    "convolutions": (partial(arithmetic.conv2d, geometry=Geometry(groups=2), bits=0), (PLANES, KERNEL)),
    "uneven convolutions": (
        partial(arithmetic.conv2d, geometry=Geometry((2, 1), (1, 2), (1, 2, 0, 1), 2), bits=0), (PLANES, KERNEL),
    ),
    "transposed convolutions": (
        partial(arithmetic.conv_transposed, rounding=Rounding.EXACT), (PLANES, FIXED.encode(np.ones((4, 2, 3, 3)))),
    ),
    "other bilinear operations": (
        partial(arithmetic.bilinear, bits=0), (lambda a, b: np.einsum("ij,kj->ik", a, b), MATRIX, MATRIX),
    ),
    "single numbers": (partial(arithmetic.multiply, bits=0), (ANY[0], ANY[1])),
    "sums of everything": (
        partial(arithmetic.bilinear, bits=0), (lambda a, b: np.asarray((a * b).sum(dtype=np.uint64)), ANY, ANY),
    ),
    "signs": (lambda party, x: to_ring(party, comparison.is_negative(party, x)), (EDGES,)),
    "signs of repeated numbers": (
        lambda party, x: to_ring(party, comparison.is_negative(party, x[:1].broadcast_to((90,)))), (ANY,),
    ),
    "signs of every other number": (lambda party, x: to_ring(party, comparison.is_negative(party, x[::-2])), (ANY,)),
    "signs of 20 bits": (
        lambda party, x: to_ring(party, comparison.is_negative(party, x, bits=20)), (ANY % 2**19 - 2**18,),
    ),
    "zeros": (lambda party, x: to_ring(party, comparison.is_zero(party, x)), (EDGES,)),
    "choices": (lambda party, x, y: select(party, comparison.is_negative(party, x), x, y), (ANY, ANY[::-1])),
    "choices for several": (
        lambda party, x: select(party, comparison.is_negative(party, x[0]), x), (EDGES.reshape(5, 28),),
    ),
    "rectified": (comparison.relu, (SMALL,)),
    "rectified on 32 bits": (partial(comparison.relu, bits=32), (SMALL,)),
    "maxima of windows": (
        lambda party, x: comparison.max_pool(party, x, (3, 3), Geometry((2, 2), padding=(1, 1, 1, 1))), (PLANES,),
    ),
    "places of maxima": (lambda party, x: comparison.argmax(party, x.reshape(7, 10), 1)[1], (SMALL,)),
    "exact rounding": (partial(truncate, bits=18, rounding=Rounding.EXACT), (ANY >> np.uint64(2),)),
    "tables": (lambda party, x: looked_up(party, below(party, x, ANY[:1]), _TABLE), (SMALL,)),
}  # fmt: skip

NEAR: dict[str, tuple[Any, tuple[Any, ...], float]] = {
    "fixed-point products": (arithmetic.multiply, (SMALL, SMALL[::-1]), 2.0),
    "fixed-point matrices": (arithmetic.product, (MATRIX, MATRIX.T), 2.0),
    "means": (partial(arithmetic.mean, axis=0), (SMALL.reshape(7, 10),), 2.0),
    "average pools": (partial(arithmetic.average_pool, kernel=(2, 2)), (PLANES,), 2.0),
    "a single sigmoid": (functions.sigmoid, (SMALL[0],), 16.0),
    "sigmoids": (functions.sigmoid, (SMALL,), 16.0),
    "softmax": (partial(functions.softmax, axis=1), (SMALL.reshape(7, 10),), 16.0),
    "layer norm": (partial(functions.layer_norm, axis=1), (SMALL.reshape(7, 10),), 16.0),
    "reciprocals": (scaling.reciprocal, (SMALL,), 512.0),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_operations_give_the_same(name: str) -> None:
    """To the last bit, for every ring element."""
    program, given = EXACT[name]
    if callable(given[0]):
        program, given = partial(_with, program, given[0]), given[1:]

    np.testing.assert_array_equal(compute(program, *given).words[0], released(program, *given))


def _with(program: Any, operation: Any, party: Any, *secrets: Any) -> Any:
    return program(party, operation, *secrets)


@pytest.mark.parametrize("name", NEAR)
def test_rounded_operations_give_nearly_the_same(name: str) -> None:
    """Each within its own bound of the right answer, so both within twice that of each other."""
    program, given, units = NEAR[name]
    expected, got = compute(program, *given).words[0], released(program, *given)

    assert np.abs((expected - got).view(np.int64)).max() <= units


@pytest.mark.parametrize("bits", [1, 5, 18, 44, 62])
def test_truncation_goes_to_a_neighbour(bits: int) -> None:
    """Up to the end of the range, whatever is taken off; exactly to the nearest, where that is asked for."""
    values = RNG.integers(-(2**62) + 2**61, 2**62 - 2**61, 200)
    words = values.view(np.uint64)
    near = released(partial(truncate, bits=bits), words).view(np.int64)
    exact = released(partial(truncate, bits=bits, rounding=Rounding.EXACT), words).view(np.int64)

    for value, close, right in zip(values.tolist(), near.tolist(), exact.tolist(), strict=True):
        assert value >> bits <= close <= -(-value >> bits)
        assert (value + (1 << bits >> 1)) >> bits == right


@pytest.mark.parametrize("owner", range(3))
def test_parties_bring_in_and_learn_what_they_should(owner: int) -> None:
    """What one party brings in, those to whom it is revealed learn, and nobody else."""

    def program(party: CheckedParty) -> Any:
        secret = share(party, owner, ANY if party.rank == owner else None, ANY.shape)
        return reveal(party, arithmetic.multiply(party, secret, secret, bits=0), {owner})

    ends = ends_of(program, [[], [], []], connect())

    np.testing.assert_array_equal(ANY * ANY, ends[owner])
    assert 2 == sum(end is None for end in ends)


@pytest.mark.parametrize("which", [everything, lambda name: name == "x", lambda name: name != "x"])
def test_programs_run_unchanged(which: Any) -> None:
    """A compiled network gives its answer, whatever of it is secret."""
    model, feeds = networks.perceptron(2, (20, 9, 4))
    compiled = compile_model(model.SerializeToString(), bits=32)
    program = compiled.program
    hands = handed_out((*program.inputs, *program.weights), {**feeds, **compiled.weights}, which)

    def at(party: CheckedParty, values: Any) -> Any:
        party.admit(values.values())
        outputs = party.release(run_program(program, party, values))
        return reveal(party, outputs["y"])

    ends = ends_of(at, [[hand] for hand in hands], connect())

    for end in ends:
        np.testing.assert_allclose(plain(model, feeds)["y"], decoded("number", end), atol=1e-3)


def test_works_are_done_one_after_another() -> None:
    """`together` gives what each work gives."""

    def program(party: CheckedParty, x: Any) -> Any:
        one, other = party.together(lambda: comparison.relu(party, x), lambda: -x)
        return one + other

    np.testing.assert_array_equal(
        released(lambda party, x: comparison.relu(party, -x), SMALL), released(program, SMALL)
    )


def test_what_becomes_of_results_does_not_matter() -> None:
    """Arrays may be changed in place once an operation is over, as CrypTen does: the check has its own."""

    def program(party: CheckedParty, x: Any, left: Any, right: Any) -> Any:
        x, left, right = (each.map(np.copy) for each in (x, left, right))  # in this test, parties have them in common
        square = arithmetic.multiply(party, x, x, bits=0)
        large = arithmetic.product(party, left, right, bits=0)
        kept = (square + large.sum()).map(np.copy)
        for secret in (x, left, right, square, large):
            np.add(secret.first, np.uint64(3), out=secret.first)
            np.add(secret.second, np.uint64(3), out=secret.second)
        return kept

    total = SMALL * SMALL + np.matmul(MATRIX, MATRIX.T).sum(dtype=np.uint64)
    np.testing.assert_array_equal(total, released(program, SMALL, MATRIX, MATRIX.T))


def test_what_cannot_be_checked_is_not_done() -> None:
    """The semi-honest moves, and the bare link, raise before anything leaves."""

    def program(party: CheckedParty, x: Any) -> list[str]:
        moves: list[Callable[[], Any]] = [
            lambda: party.deal([]),
            lambda: party.swap([]),
            lambda: party.reshare(None, (3,)),
            lambda: party.reshare_bits(None, 1, (3,)),
            lambda: party.link.exchange(party.link.next, [x.first], party.link.previous, ()),
            lambda: party.link.post(party.link.next, [x.first]),
        ]
        refusals = []
        for move in moves:
            with pytest.raises(Misuse) as caught:
                move()
            refusals.append(str(caught.value))
        return refusals

    ends = ends_of(program, handed(SMALL), connect())

    assert [6, 6, 6] == [len(end) for end in ends]
    assert all("no checked version" in refusal for end in ends for refusal in end)


@pytest.mark.parametrize("bits", [-1, 63])
def test_more_bits_than_there_are_cannot_be_taken_off(bits: int) -> None:
    """Said at every party, before anything is sent."""
    ends = ends_of(lambda party, x: truncate(party, x, bits), handed(SMALL), connect())

    assert all(isinstance(end, BadInput) for end in ends)


def test_what_is_sent_is_counted() -> None:
    """A party's link counts bytes and rounds, as the plain engine's does."""

    def program(party: CheckedParty, x: Any) -> tuple[int, int, int]:
        arithmetic.multiply(party, x, x, bits=0)
        return party.link.sent, party.link.received, party.link.rounds

    assert [(560, 560, 1)] * 3 == ends_of(program, handed(SMALL), connect())
