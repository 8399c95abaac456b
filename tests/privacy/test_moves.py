"""The moves that everything is made of, run hundreds of times under fresh keys: what each single party sees of them.

Within one run all positions of a message are masked by one keystream; here each position is looked at by itself, over
many runs, which would show a mask that is reused, short of entropy, or left out in some places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated import arithmetic, bits, comparison, truncation
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.party import Hand
from protocols.smpc.replicated.sharing import Secret
from tests.unit.protocols.smpc.parties import FIXED, compute
from tests.unit.protocols.smpc.statistics import alike, uniform

RUNS = 256
_CLASSES = 16
_BOUND = 67.0  # chi-square with 15 degrees of freedom exceeds this less than once in fifty million

VALUES: tuple[Any, ...] = (np.zeros(4), np.array([1000.5, -3.25, 2.0**20, -(2.0**-18)]))
"""Two inputs as different as can be."""


def shared_by(owner: int) -> Callable[..., Secret]:
    def program(party: Any, x: Secret) -> Secret:
        """The owner brings in what it can compute from its two shares; the others see shares."""
        return share(party, owner, x.first + x.second if party.rank == owner else None, x.shape)

    return program


def dealt(party: Any, x: Secret) -> Secret:
    """Rank 0's move: halves of what it knows."""
    party.deal([Hand(x.shape, x.first.copy), Hand((4,), x.second[:4].copy, bitwise=True)])
    return x


def reshared(party: Any, x: Secret) -> Secret:
    parts = {1: x.first + x.second, 2: x.second}  # x_1 + x_2 and x_0
    return party.reshare(parts.get(party.rank), x.shape)


MOVES: dict[str, Callable[..., Any]] = {
    "share of 0": shared_by(0),
    "share of 1": shared_by(1),
    "share of 2": shared_by(2),
    "deal": dealt,
    "reshare": reshared,
    "multiply": lambda party, x: arithmetic.multiply(party, x, x),
    "product": lambda party, x: arithmetic.product(party, x.reshape(2, 2), x.reshape(2, 2)),
    "near": lambda party, x: truncation.truncate(party, x, 18),
    "fast": lambda party, x: truncation.truncate(party, x, 18, truncation.Rounding.FAST),
    "exact": lambda party, x: truncation.truncate(party, x, 18, truncation.Rounding.EXACT),
    "sign": comparison.is_negative,
    "bit to ring": lambda party, x: bits.to_ring(party, comparison.is_negative(party, x)),
    "relu": comparison.relu,
}


def seen(move: Callable[..., Any], values: Any, runs: int = RUNS) -> list[list[Any]]:
    """By rank and message: (runs, bytes) of what was heard before the opening."""
    heard: list[list[list[bytes]]] = [[], [], []]
    for seed in range(runs):
        links = compute(move, FIXED.encode(values), seed=seed, record=True).links
        for rank, link in enumerate(links):
            heard[rank].append(link.heard[: link.heard.index(b"")])
    return [
        [np.stack([np.frombuffer(message, np.uint8) for message in place]) for place in zip(*views, strict=True)]
        for views in heard
    ]


@pytest.mark.parametrize("name", MOVES)
def test_every_byte_of_every_message_is_uniform_over_many_runs(name: str) -> None:
    """At each position, whatever the secret is; and two secrets give messages of one number, order, length and law."""
    both = [seen(MOVES[name], values) for values in VALUES]

    for one, other in zip(*both, strict=True):
        assert [message.shape for message in one] == [message.shape for message in other]
        for message, counterpart in zip(one, other, strict=True):
            assert uniform(message.tobytes())
            assert alike(message.tobytes(), counterpart.tobytes())
            for place in message.T:
                assert _even(place >> 4), name
                assert _even(place & 15), name


def _even(numbers: Any) -> bool:
    counts = np.bincount(numbers, minlength=_CLASSES)
    expected = len(numbers) / _CLASSES
    return bool(((counts - expected) ** 2 / expected).sum() < _BOUND)


@pytest.mark.parametrize("receiver", range(PARTIES))
def test_only_the_receiver_is_sent_what_it_lacks(receiver: int) -> None:
    """A result for one is in no message to the two others; and what it is sent is one share and one digest."""

    def program(party: Any, x: Secret) -> Secret:
        reveal(party, x, to=[receiver])
        return x

    links = compute(program, FIXED.encode(VALUES[1]), record=True).links
    heard = [link.heard[: link.heard.index(b"")] for link in links]
    assert [[] if rank != receiver else [32, 32] for rank in range(PARTIES)] == [list(map(len, one)) for one in heard]


def test_a_search_for_what_is_not_masked_succeeds() -> None:
    """The same test sees at once where a move sends a share of a constant without a mask."""

    def careless(party: Any, x: Secret) -> Secret:
        if party.rank in (1, 2):
            party.swap([np.full(4, 7, np.uint64)])
        return x

    message = seen(careless, VALUES[0], 64)[1][0]
    assert not uniform(message.tobytes())
    assert not any(_even(place & 15) for place in message.T)
