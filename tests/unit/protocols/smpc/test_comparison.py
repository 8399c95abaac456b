"""Comparisons and what is made of them, against plaintext. All of them are exact."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.replicated import bits as bits_module
from protocols.smpc.replicated import comparison
from protocols.smpc.replicated.kernels import Geometry, patches
from tests.unit.protocols.smpc.parties import FIXED, compute

whole = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=80)


@given(whole, st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_signs_relus_and_zeros(values: list[int], seed: int) -> None:
    """For every ring element: whether it is negative, whether it is zero, and its positive part."""
    x = np.array([*values, 0, 1, -1, 2**63 - 1, -(2**63)], np.int64)

    run = compute(
        lambda party, a: (comparison.is_negative(party, a), comparison.is_zero(party, a), comparison.relu(party, a)),
        x.view(np.uint64),
        seed=seed,
    )

    for expected, got in zip((x < 0, x == 0, np.maximum(x, 0).view(np.uint64)), run.words, strict=True):
        np.testing.assert_array_equal(expected, got)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8, 12, 16, 23, 31, 32, 33, 48, 63, 64])
def test_few_bits_suffice_for_small_numbers(bits: int) -> None:
    """On the number of bits that the range needs, both ends of the range are told apart."""
    edge = 2 ** (bits - 1)
    x = np.random.default_rng(bits).integers(-edge, edge, 200, np.int64)
    x[:4] = (-edge, edge - 1, 0, -1)

    run = compute(partial(comparison.is_negative, bits=bits), x.view(np.uint64))

    np.testing.assert_array_equal(x < 0, run.words[0])


@pytest.mark.parametrize("bits", [1, 65])
def test_impossible_widths_are_refused(bits: int) -> None:
    """There are no signs of one bit, nor any beyond the ring."""
    with pytest.raises(BadInput, match="2 to 64 bits"):
        compute(partial(comparison.is_negative, bits=bits), np.zeros(3, np.uint64))


def test_two_numbers() -> None:
    """less, equal, maximum, minimum and absolute values, equal pairs among them."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(-(2**61), 2**61, (2, 3, 50), np.int64)
    y[:, :10] = x[:, :10]

    def program(party: Any, a: Any, b: Any) -> tuple[Any, ...]:
        return (
            comparison.less(party, a, b),
            comparison.equal(party, a, b),
            comparison.maximum(party, a, b),
            comparison.minimum(party, a, b),
            comparison.absolute(party, a),
            bits_module.to_ring(party, comparison.less(party, a, b)),
            bits_module.select(party, comparison.less(party, a, b), a, b),
        )

    run = compute(program, x.view(np.uint64), y.view(np.uint64))

    wanted = (x < y, x == y, np.maximum(x, y), np.minimum(x, y), np.abs(x), x < y, np.minimum(x, y))
    for expected, got in zip(wanted, run.words, strict=True):
        np.testing.assert_array_equal(expected.astype(np.int64).view(np.uint64), got)


def test_one_bit_chooses_for_many() -> None:
    """A bit of shape (n,) chooses between stacks of shape (m, n), and one row of bits is those bits."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 2**64, (2, 4, 70), np.uint64)
    signs = rng.integers(-5, 5, (3, 70), np.int64)

    def program(party: Any, a: Any, b: Any, s: Any) -> Any:
        flags = bits_module.row(comparison.is_negative(party, s), 1)
        return bits_module.select(party, flags, a, b)

    run = compute(program, x, y, signs.view(np.uint64))

    np.testing.assert_array_equal(np.where(signs[1] < 0, x, y), run.words[0])


def test_numbers_beyond_both_ends_are_brought_in() -> None:
    """Clamping is exact inside and gives the end outside, up to the ends of the format."""
    x = np.concatenate([np.linspace(-3, 3, 101), [-(2.0**25), 2.0**25]])

    run = compute(lambda party, a: comparison.clamp(party, a, -0.5, 1.25), FIXED.encode(x))

    np.testing.assert_array_equal(FIXED.decode(FIXED.encode(x)).clip(-0.5, 1.25), run.numbers)


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_largest_and_where_it_is(length: int, axis: int) -> None:
    """The maximum along an axis is exact, and so is its place."""
    shape = [3, 4, 2]
    shape[axis] = length
    x = np.random.default_rng(length).permutation(np.prod(shape)).reshape(shape) - 20

    run = compute(
        lambda party, a: (comparison.largest(party, a, axis), *comparison.argmax(party, a, axis)),
        x.astype(np.int64).view(np.uint64),
    )

    for expected, got in zip((x.max(axis), x.max(axis), x.argmax(axis)), run.words, strict=True):
        np.testing.assert_array_equal(expected.astype(np.int64).view(np.uint64), got)


def test_of_equal_values_the_first_counts() -> None:
    """With equals, the place is that of the first of the largest, as everybody else has it."""
    x = np.array([[1, 3, 3, 2, 3], [5, 5, 5, 5, 5], [0, 4, 0, 4, 9]], np.uint64)

    run = compute(lambda party, a: comparison.argmax(party, a, 1)[1], x)

    np.testing.assert_array_equal(x.argmax(1), run.integers)


@pytest.mark.parametrize("bits", [20, 64])
@pytest.mark.parametrize(
    ("kernel", "geometry"),
    [
        ((2, 2), None),
        ((3, 3), Geometry((2, 2), padding=(1, 1, 1, 1))),
        ((3, 2), Geometry((1, 2), (2, 1), (0, 1, 2, 0))),
    ],
)
def test_max_pooling(kernel: tuple[int, int], geometry: Geometry | None, bits: int) -> None:
    """The maximum of every window, negative planes with padding among them, exactly."""
    x = np.random.default_rng(0).integers(-1000, -10, (2, 3, 8, 7), np.int64)
    laid = geometry or Geometry(kernel)
    expected = patches(x, kernel, laid, fill=-(2**40)).max((-2, -1))

    run = compute(lambda party, a: comparison.max_pool(party, a, kernel, geometry, bits=bits), x.view(np.uint64))

    np.testing.assert_array_equal(expected, run.integers)


@pytest.mark.parametrize("empty", [comparison.largest, comparison.argmax])
def test_nothing_has_no_largest(empty: Any) -> None:
    """An empty axis is refused."""
    with pytest.raises(BadInput, match="nothing"):
        compute(partial(empty, axis=1), np.zeros((3, 0), np.uint64))


@pytest.mark.parametrize(
    ("program", "depth", "sent"),
    [
        (comparison.is_negative, 4, (44032, 5248, 5248)),
        (partial(comparison.is_negative, bits=32), 3, (50560, 1920, 1920)),
        (comparison.relu, 5, (60416, 13440, 13440)),
        (comparison.is_zero, 4, (35456, 3712, 3712)),
        (lambda party, a: comparison.largest(party, a.reshape(64, 16), 0), 11, (268632, 28872, 28872)),
    ],
)
def test_what_comparisons_cost(program: Any, depth: int, sent: tuple[int, ...]) -> None:
    """A thousand and 24 values cost these bytes a party and this many messages one after another; always the same."""
    run = compute(program, np.arange(1024, dtype=np.uint64))

    assert (depth, sent) == (run.depth, run.sent)
