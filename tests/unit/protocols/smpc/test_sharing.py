"""Shares and fixed-point numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.sharing import FixedPoint, pairs_of, recombine, recombine_bits, split, split_bits
from tests.unit.protocols.smpc.statistics import uniform


def draw(shape: tuple[int, ...], dtype: Any) -> Words:
    return np.random.default_rng().integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.sampled_from([np.uint32, np.uint64]))
def test_shares_give_the_secret_back(values: list[int], dtype: Any) -> None:
    """Whatever was split is put together again, over 2**64 and 2**32, by addition and by exclusive or."""
    secret = np.array([value % (np.iinfo(dtype).max + 1) for value in values], dtype)

    np.testing.assert_array_equal(secret, recombine(split(secret, draw)))
    np.testing.assert_array_equal(secret, recombine_bits(split_bits(secret, draw)))


@pytest.mark.parametrize("secret", [0, 1, 2**64 - 1])
def test_any_two_shares_are_uniform(secret: int) -> None:
    """What one party holds of a constant has the distribution of random bytes."""
    for cut in (split, split_bits):
        shares = cut(np.full(20_000, secret, np.uint64), draw)
        for one, other in ((0, 1), (1, 2), (2, 0)):
            assert uniform(shares[one].tobytes() + shares[other].tobytes())


def test_every_share_is_held_twice() -> None:
    """Party i is handed shares i and i + 1."""
    shares = split(np.arange(4, dtype=np.uint64), draw)

    for rank, pair in enumerate(pairs_of(shares)):
        np.testing.assert_array_equal(shares[rank], pair.first)
        np.testing.assert_array_equal(shares[(rank + 1) % 3], pair.second)


@pytest.mark.parametrize("shares", [[], [np.zeros(2, np.uint64)] * 2, [np.zeros(n, np.uint64) for n in (2, 2, 3)]])
def test_what_are_no_three_shares_is_refused(shares: list[Words]) -> None:
    """Too few shares, or shares that differ in shape, are not put together."""
    with pytest.raises(BadInput):
        recombine(shares)


@given(st.floats(-(2**26), 2**26, exclude_min=True, exclude_max=True))
def test_numbers_survive_within_half_a_unit(number: float) -> None:
    """Over the whole range of the default format, encoding is off by at most half a unit."""
    fixed = FixedPoint()

    assert abs(float(fixed.decode(fixed.encode(number))) - number) <= fixed.unit / 2


@pytest.mark.parametrize("fraction", [0, 16, 18, 20, 30])
def test_the_range_is_what_products_leave(fraction: int) -> None:
    """The largest number times 1 stays under 2**62 before truncation; the limit itself is refused with its cure."""
    fixed = FixedPoint(fraction)

    assert fixed.limit * 2.0 ** (2 * fraction) == 2.0**62
    for number in (fixed.limit, -fixed.limit, np.inf, np.nan):
        with pytest.raises(BadInput, match="scale them down"):
            fixed.encode([0.0, number])


def test_too_many_fractional_bits_are_refused() -> None:
    """A format that leaves no range is none."""
    with pytest.raises(BadInput):
        FixedPoint(31)
