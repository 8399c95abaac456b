"""Arithmetic on secrets, against plaintext."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.replicated import arithmetic
from protocols.smpc.replicated.kernels import Geometry, convolve
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import Rounding
from tests.unit.protocols.smpc.parties import FIXED, compute
from tests.unit.protocols.smpc.test_kernels import by_definition

UNIT = FIXED.unit
Program = Callable[..., Any]


def numbers(*shape: int, seed: int = 0, scale: float = 4.0) -> Any:
    """Numbers that the format holds exactly."""
    return FIXED.decode(FIXED.encode(np.random.default_rng(seed).normal(0, scale, shape)))


def near(expected: Any, program: Program, *inputs: Any, units: float = 1.0) -> None:
    got = compute(program, *(FIXED.encode(value) for value in inputs)).numbers
    assert expected.shape == got.shape
    assert np.abs(expected - got).max() <= units * UNIT


words = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=9)


@given(words, words)
@settings(max_examples=25, deadline=None)
def test_linear_operations_are_exact(left: list[int], right: list[int]) -> None:
    """Sums, differences, negatives and integer factors are those of the ring, for every ring element."""
    size = min(len(left), len(right))
    x, y = np.array(left[:size], np.uint64), np.array(right[:size], np.uint64)

    run = compute(lambda _, a, b: (a + b, a - b, -a, a.times(-3), a.times(y)), x, y)

    for expected, got in zip((x + y, x - y, -x, x * np.uint64(2**64 - 3), x * y), run.words, strict=True):
        np.testing.assert_array_equal(expected, got)
    assert run.depth == 0


@given(words, words)
@settings(max_examples=25, deadline=None)
def test_products_of_integers_are_exact(left: list[int], right: list[int]) -> None:
    """With no bits taken off, products are those of the ring, for every ring element."""
    size = min(len(left), len(right))
    x, y = np.array(left[:size], np.uint64), np.array(right[:size], np.uint64)

    run = compute(partial(arithmetic.multiply, bits=0), x, y)

    np.testing.assert_array_equal(x * y, run.words[0])


@pytest.mark.parametrize("rounding", [Rounding.NEAR, Rounding.EXACT])
def test_products_are_off_by_a_unit_at_most(rounding: Rounding) -> None:
    """Up to the end of the range, a product of two numbers is off by under a unit, by half of one if exact."""
    x = np.concatenate([numbers(50, scale=100.0), [2.0**13, -(2.0**13), 8191.5, 0.0]])
    y = np.concatenate([numbers(50, seed=1, scale=100.0), [2.0**12.9, 2.0**12.9, -8191.5, 5.0]])
    y = FIXED.decode(FIXED.encode(y))

    program = partial(arithmetic.multiply, rounding=rounding)

    near(x * y, program, x, y, units=0.51 if rounding is Rounding.EXACT else 1.0)


def test_shapes_broadcast() -> None:
    """Products follow numpy's rules for shapes."""
    x, y = numbers(3, 1, 5), numbers(4, 1, seed=1)

    near(x * y, arithmetic.multiply, x, y)


@pytest.mark.parametrize(("left", "right"), [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((3,), (3,)), ((30, 40), (40, 30))])
def test_products_of_matrices(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """Products of matrices are off by under a unit, however many terms they add up."""
    x, y = numbers(*left), numbers(*right, seed=1)

    near(np.asarray(x @ y), arithmetic.product, x, y)


def test_sums_of_products_round_once() -> None:
    """A sum of products along an axis is off by under a unit."""
    x, y = numbers(20, 7), numbers(20, 7, seed=1)

    near((x * y).sum(0), partial(arithmetic.dot, axis=0), x, y)


def test_what_everybody_knows() -> None:
    """Known numbers are added exactly, and multiplied with an error under a unit and the factor's rounding."""
    x = numbers(40)

    near(x + 2.5, lambda party, a: arithmetic.add(party, a, 2.5), x, units=0)
    near(x * 0.75, lambda party, a: arithmetic.scale(party, a, 0.75), x)


@pytest.mark.parametrize("axis", [None, 0, (1, 2)])
def test_means(axis: Any) -> None:
    """A mean is off by under a unit and 2**-17 of itself."""
    x = numbers(3, 5, 7, scale=50.0)
    expected = np.asarray(x.mean(axis))

    near(expected, partial(arithmetic.mean, axis=axis), x, units=1 + np.abs(expected).max() * 2.0)


@pytest.mark.parametrize(
    "geometry", [Geometry(), Geometry((2, 1), (1, 2), (1, 2, 0, 1)), Geometry(groups=2, padding=(1, 1, 1, 1))]
)
def test_convolutions(geometry: Geometry) -> None:
    """Strided, dilated, padded and grouped convolutions are off by under a unit."""
    x, w = numbers(2, 4, 8, 9), numbers(6, 4 // geometry.groups, 3, 2, seed=1)

    near(by_definition(x, w, geometry), partial(arithmetic.conv2d, geometry=geometry), x, w)


def test_convolutions_of_rows() -> None:
    """In one dimension, too."""
    x, w = numbers(2, 4, 15), numbers(2, 2, 3, seed=1)
    geometry = Geometry((1, 2), (1, 3), (0, 1, 0, 2), 2)
    expected = by_definition(x[:, :, None], w[:, :, None], geometry)[:, :, 0]

    near(expected, partial(arithmetic.conv1d, stride=2, dilation=3, padding=(1, 2), groups=2), x, w)


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions(groups: int) -> None:
    """A transposed convolution is the adjoint of the convolution: (Cx, y) = (x, C'y) for all x and y, exactly."""
    rng = np.random.default_rng(3)
    geometry = Geometry((2, 3), (1, 2), (1, 0, 1, 1), groups)
    x = rng.integers(0, 2**64, (2, 4, 9, 10), np.uint64)
    w = rng.integers(0, 2**64, (6, 4 // groups, 3, 2), np.uint64)
    forward = convolve(x, w, geometry)
    y = rng.integers(0, 2**64, forward.shape, np.uint64)

    def program(party: Party, planes: Secret, weights: Secret) -> Secret:
        party.fixed = type(FIXED)(0)
        return arithmetic.conv_transposed(party, planes, weights, geometry, surplus=(0, 2))

    back = compute(program, y, w).words[0]

    assert x.shape == back.shape
    assert (forward * y).sum(dtype=np.uint64) == (x * back).sum(dtype=np.uint64)


def test_average_pools() -> None:
    """The mean of every window."""
    x = numbers(2, 3, 6, 8)
    expected = x.reshape(2, 3, 3, 2, 4, 2).mean((3, 5))

    near(expected, lambda party, a: arithmetic.average_pool(party, a, (2, 2)), x)


@pytest.mark.parametrize(
    ("program", "inputs", "depth", "sent"),
    [
        (arithmetic.multiply, [(1000,), (1000,)], 3, (12000, 8125, 8125)),
        (arithmetic.product, [(10, 300), (300, 20)], 3, (2400, 1625, 1625)),
        (arithmetic.conv2d, [(1, 3, 12, 12), (2, 3, 3, 3)], 3, (2400, 1625, 1625)),
        (partial(arithmetic.product, rounding=Rounding.FAST), [(10, 300), (300, 20)], 2, (1600, 1600, 1600)),
        (partial(arithmetic.product, bits=0), [(10, 300), (300, 20)], 2, (1600, 1600, 1600)),
    ],
)
def test_what_products_cost(program: Program, inputs: Any, depth: int, sent: tuple[int, ...]) -> None:
    """One ring element a party and output, whatever is summed up, and what truncation adds; always the same."""
    run = compute(program, *(FIXED.encode(numbers(*shape)) for shape in inputs))

    assert (depth, sent) == (run.depth, run.sent)


def test_padding_wider_than_the_kernel_is_refused() -> None:
    """A transposed convolution cannot take away more than the kernel covers."""
    with pytest.raises(BadInput, match="wider"):
        compute(
            lambda party, x, w: arithmetic.conv_transposed(party, x, w, Geometry(padding=(5, 5, 5, 5))),
            FIXED.encode(numbers(1, 1, 4, 4)),
            FIXED.encode(numbers(1, 1, 2, 2)),
        )
