"""Taking fractional bits off, three ways."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.replicated import truncation
from protocols.smpc.replicated.local import connect as links
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import Rounding
from tests.unit.protocols.smpc.parties import compute, party_on
from tests.unit.protocols.smpc.statistics import as_often_as

EDGE = 2**62


def cut(bits: int, rounding: Rounding = Rounding.NEAR) -> partial[Secret]:
    return partial(_truncate, bits=bits, rounding=rounding)


def _truncate(party: Party, secret: Secret, *, bits: int, rounding: Rounding) -> Secret:
    return truncation.truncate(party, secret, bits, rounding)


@given(st.lists(st.integers(-EDGE, EDGE - 1), min_size=1, max_size=70), st.integers(1, 62), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_near_never_misses_by_a_unit(values: list[int], bits: int, seed: int) -> None:
    """Over the whole range, for every number of bits, the result is one of the two neighbours; exact if it can be."""
    secret = np.array([*values, -EDGE, EDGE - 1, 0, 1 << bits, -(1 << bits)], np.int64)

    got = compute(cut(bits), secret.view(np.uint64), seed=seed).integers

    lower = secret >> bits
    upper = lower + (secret & ((1 << bits) - 1) != 0)
    assert np.all((got == lower) | (got == upper))


@pytest.mark.parametrize("share_of_unit", [1, 2, 7])
def test_near_is_right_on_average(share_of_unit: int) -> None:
    """A value k eighths of a unit above a neighbour goes to the upper one in k of 8 runs."""
    count = 20_000
    secret = np.full(count, (5 << 16) + (share_of_unit << 13), np.uint64)

    ups = int((compute(cut(16), secret).integers == 6).sum())

    assert as_often_as(share_of_unit / 8, ups, count)


@given(st.lists(st.integers(-EDGE, EDGE - 1), min_size=1, max_size=70), st.integers(1, 61), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_exact_is_exact(values: list[int], bits: int, seed: int) -> None:
    """Over its whole range, exact truncation rounds to the nearest, halves upwards, whatever the shares."""
    secret = np.minimum(np.array([*values, EDGE - 1], np.int64), EDGE - 2 ** (bits - 1) - 1)

    got = compute(cut(bits, Rounding.EXACT), secret.view(np.uint64), seed=seed).integers

    np.testing.assert_array_equal(((secret >> (bits - 1)) + 1) >> 1, got)


def test_fast_fails_as_often_as_it_says() -> None:
    """Of values near 2**60, one in 16 is off by 2**(64 - bits); of values near 2**40, none; the rest by a unit."""
    count = 40_000
    for size, chance in ((2**60, 1 / 16), (2**40, 0.0)):
        got = compute(cut(18, Rounding.FAST), np.full(count, size, np.uint64)).integers
        off = np.abs(got - (size >> 18))
        assert np.all((off <= 1) | (np.abs(off - 2**46) <= 1))
        assert as_often_as(chance, int((off > 1).sum()), count)


@pytest.mark.parametrize(
    ("rounding", "depth", "sent"),
    [(Rounding.NEAR, 3, (4000, 8125, 8125)), (Rounding.FAST, 1, (0, 8000, 8000))],
)
def test_what_truncation_costs(rounding: Rounding, depth: int, sent: tuple[int, ...]) -> None:
    """A thousand values cost these bytes a party and this many messages one after another, and always the same."""
    run = compute(cut(18, rounding), np.arange(1000, dtype=np.uint64))

    assert (depth, sent) == (run.depth, run.sent)


def test_impossible_numbers_of_bits_are_refused() -> None:
    """More than 62 bits, or fewer than none, cannot be taken off."""
    party = party_on(links()[0])
    with pytest.raises(BadInput, match="0 to 62"):
        truncation.settle(party, None, (1,), 63)
