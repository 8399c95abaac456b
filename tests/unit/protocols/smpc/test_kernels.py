"""Local kernels and bit planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.replicated.kernels import Geometry, convolve, matmul
from protocols.smpc.replicated.portable import by_limbs, fastest
from protocols.smpc.replicated.slicing import columns_of, gathered, planes, spread

EXTREMES = [0, 1, 2**21 - 1, 2**21, 2**22 - 1, 2**42 + 2**21, 2**43, 2**44 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 9), (3, 2500, 4), (2, 30, 1), (40, 64, 40)])
def test_limbs_lose_nothing(shape: tuple[int, int, int]) -> None:
    """Products by floating-point limbs are numpy's own integer products, random and extreme words alike."""
    rows, terms, columns = shape
    rng = np.random.default_rng(1)
    for extreme in (False, True):
        left, right = (
            rng.choice(np.array(EXTREMES, np.uint64), size) if extreme else rng.integers(0, 2**64, size, np.uint64)
            for size in ((rows, terms), (terms, columns))
        )
        expected = left @ right

        np.testing.assert_array_equal(expected, by_limbs(left, right))
        np.testing.assert_array_equal(expected, matmul(left, right))
        np.testing.assert_array_equal(expected, fastest()(left, right))


def test_the_largest_terms_stay_exact() -> None:
    """Even 1,024 products of the largest limbs of one sign add up exactly."""
    largest = (1 << 21) * ((1 << 44) + (1 << 22) + 1)
    left = np.full((3, 1024), -largest % 2**64, np.uint64)

    np.testing.assert_array_equal(left @ left.T, by_limbs(left, left.T))


@given(st.integers(0, 300), st.integers(1, 64))
def test_planes_and_back(values: int, bits: int) -> None:
    """Bit b of every value is in plane b; gathering is the reverse of spreading."""
    words = np.random.default_rng(values).integers(0, 2**64, values, np.uint64)
    sliced = planes(words, bits)

    assert (bits, columns_of(values)) == sliced.shape
    for bit in range(bits):
        flags = words >> np.uint64(bit) & np.uint64(1)
        np.testing.assert_array_equal(flags, spread(sliced[bit], values) & np.uint64(1))
        np.testing.assert_array_equal(sliced[bit], gathered(flags))


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry(),
        Geometry(stride=(2, 1), dilation=(1, 2), padding=(1, 2, 0, 1)),
        Geometry(groups=2, padding=(1, 1, 1, 1)),
        Geometry(groups=4, stride=(3, 3)),
    ],
)
def test_convolution_is_its_definition(geometry: Geometry) -> None:
    """Every output is the sum of products its indices name."""
    rng = np.random.default_rng(2)
    planes_in = rng.integers(0, 2**64, (2, 4, 8, 9), np.uint64)
    weights = rng.integers(0, 2**64, (4, 4 // geometry.groups, 3, 2), np.uint64)

    got = convolve(planes_in, weights, geometry)

    np.testing.assert_array_equal(by_definition(planes_in, weights, geometry), got)


@pytest.mark.parametrize(
    ("weights", "geometry"),
    [
        ((6, 4, 5, 3), Geometry(padding=(2, 1, 2, 0))),
        ((8, 2, 3, 3), Geometry((2, 1), (1, 2), (1, 1, 1, 1), groups=2)),
        ((4, 1, 3, 3), Geometry(groups=4)),
        ((16, 4, 1, 1), Geometry()),
        ((17, 4, 1, 1), Geometry()),
    ],
)
def test_large_planes_with_few_outputs(weights: tuple[int, ...], geometry: Geometry) -> None:
    """Where windows are not laid out but planes shifted, the results are the same, bit by bit."""
    rng = np.random.default_rng(0)
    planes_in, kernel = (rng.integers(0, 2**64, shape, np.uint64) for shape in ((3, 4, 40, 37), weights))

    np.testing.assert_array_equal(by_definition(planes_in, kernel, geometry), convolve(planes_in, kernel, geometry))


def by_definition(planes_in: Any, weights: Any, geometry: Geometry) -> Any:
    """A convolution, term by term: the oracle."""
    top, left, bottom, right = geometry.padding
    padded = np.pad(planes_in, ((0, 0), (0, 0), (top, bottom), (left, right)))
    outputs, depth, height, width = weights.shape
    (down, across), (apart, aside) = geometry.stride, geometry.dilation
    rows = (padded.shape[2] - (height - 1) * apart - 1) // down + 1
    columns = (padded.shape[3] - (width - 1) * aside - 1) // across + 1
    out = np.zeros((len(planes_in), outputs, rows, columns), planes_in.dtype)
    for o in range(outputs):
        for d in range(depth):
            channel = padded[:, o // (outputs // geometry.groups) * depth + d]
            for i in range(height):
                for j in range(width):
                    seen = channel[:, i * apart :: down, j * aside :: across][:, :rows, :columns]
                    out[:, o] += seen * weights[o, d, i, j]
    return out


def test_shapes_that_do_not_fit_are_refused() -> None:
    """A kernel larger than its plane, and channels that do not fit the groups, are said to be so."""
    with pytest.raises(BadInput, match="does not fit a padded plane"):
        convolve(np.zeros((1, 1, 2, 2), np.uint64), np.zeros((1, 1, 3, 3), np.uint64), Geometry())
    with pytest.raises(BadInput, match="groups"):
        convolve(np.zeros((1, 3, 2, 2), np.uint64), np.zeros((1, 1, 1, 1), np.uint64), Geometry(groups=2))
