"""Randomness that pairs have in common."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mesh.errors import Misuse
from protocols.smpc.replicated.randomness import Correlated, Purpose, Stream
from tests.unit.protocols.smpc.parties import PAIRS, keys_for
from tests.unit.protocols.smpc.statistics import uniform


def all_three(session: bytes = b"s") -> list[Correlated]:
    return [Correlated(rank, keys_for(rank), session) for rank in range(3)]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("purpose", Purpose)
def test_a_pair_draws_the_same(pair: tuple[int, int], purpose: Purpose) -> None:
    """Both parties of a pair draw the same words from their stream, and go on doing so."""
    one, other = (all_three()[rank].shared_with(peer, purpose) for rank, peer in (pair, pair[::-1]))

    for shape in [(3,), (1, 7), (100_000,)]:
        np.testing.assert_array_equal(one.draw(shape), other.draw(shape))


def test_no_keystream_is_used_twice() -> None:
    """Streams of other pairs, purposes and sessions have nothing in common, nor has one with its own future."""
    drawn = [
        all_three(session)[a].shared_with(b, purpose).draw(1000)
        for session in (b"s", b"t")
        for a, b in PAIRS
        for purpose in Purpose
    ]
    stream = all_three(b"u")[0].shared_with(1)
    drawn += [stream.draw(1000) for _ in range(3)]

    everything = np.concatenate(drawn)

    assert len(everything) == len(np.unique(everything))


def test_position_does_not_depend_on_how_it_was_reached() -> None:
    """A stream only moves forward: pieces drawn one by one are the stream drawn at once, byte for byte."""
    whole = Stream(b"k" * 32, b"label").draw(40_000, np.uint8)
    stream = Stream(b"k" * 32, b"label")

    pieces = [stream.draw(high - low, np.uint8) for low, high in pairwise([0, 1, 17, 30_000, 40_000])]

    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_parts_of_zero_vanish() -> None:
    """The parts of zero add up to zero over the three parties, and each is uniform."""
    parts = [party.zero((20_000,)) for party in all_three()]
    bits = [party.zero_bits((20_000,)) for party in all_three()]

    assert not (parts[0] + parts[1] + parts[2]).any()
    assert not (bits[0] ^ bits[1] ^ bits[2]).any()
    for part in (*parts, *bits):
        assert uniform(part.tobytes())


@pytest.mark.parametrize("keys", [{}, {1: b"a" * 32}, {1: b"a" * 32, 2: b"a" * 32}, {0: b"a" * 32, 1: b"b" * 32}])
def test_wrong_keys_are_refused(keys: dict[int, bytes]) -> None:
    """Missing, equal or misaddressed keys stop a party before it draws anything."""
    with pytest.raises(Misuse):
        Correlated(0, keys, b"s")


def test_short_keys_are_refused() -> None:
    """A key of another length is no key."""
    with pytest.raises(Misuse, match="32 bytes"):
        Stream(b"short", b"label")
