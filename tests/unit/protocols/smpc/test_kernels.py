"""Local kernels and bit planes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.replicated import portable
from protocols.smpc.replicated.kernels import Geometry, convolve, matmul, summed
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


@pytest.mark.parametrize("dtype", [np.uint64, np.uint32])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((40,), (40,)),
        ((40,), (40, 30)),
        ((30, 40), (40,)),
        ((2, 3, 20, 40), (40, 30)),
        ((20, 40), (2, 3, 40, 30)),
        ((2, 1, 20, 40), (3, 40, 30)),
        ((2, 3, 20, 40), (40,)),
        ((2, 0, 40), (2, 40, 30)),
        ((20, 0), (0, 30)),
    ],
)
def test_shapes_are_numpys(left: tuple[int, ...], right: tuple[int, ...], dtype: type) -> None:
    """Stacks of matrices, and vectors, by numpy's rules; and a sum of products is the sum of its products."""
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 2**63, shape, np.uint64).astype(dtype) for shape in (left, right))
    expected = np.asarray(np.matmul(a, b))

    got = matmul(a, b)

    np.testing.assert_array_equal(expected, got)
    np.testing.assert_array_equal(expected, portable.matmul(a, b))
    assert expected.dtype == got.dtype
    np.testing.assert_array_equal(expected * dtype(3), summed(matmul, [(a, b)] * 3))
    if left != (40,):
        np.testing.assert_array_equal(expected * dtype(2), matmul(a, b, got))


def test_a_sum_of_convolutions_is_the_sum_of_them() -> None:
    """Added up in place or by numpy, whatever the operation is."""
    rng = np.random.default_rng(4)
    pairs = [tuple(rng.integers(0, 2**64, (1, 2, 5, 5), np.uint64) for _ in range(2)) for _ in range(3)]
    laid = partial(convolve, geometry=Geometry(padding=(1, 0, 1, 0)))

    np.testing.assert_array_equal(sum(laid(*pair) for pair in pairs), summed(laid, pairs))
    np.testing.assert_array_equal(sum(a * b for a, b in pairs), summed(np.multiply, pairs))


def test_matrices_that_do_not_fit_are_refused() -> None:
    """By numpy's error, before anything is computed."""
    with pytest.raises(ValueError, match="no product"):
        matmul(np.zeros((20, 40), np.uint64), np.zeros((41, 30), np.uint64))


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
