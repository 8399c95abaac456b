"""Functions of secrets: the largest error over the whole range, and outside of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput
from protocols.smpc.replicated import functions, scaling
from protocols.smpc.replicated.polynomial import fit
from tests.unit.protocols.smpc.parties import FIXED, compute

UNIT = FIXED.unit
FAR = [-(2.0**25), -1e6, -1000.0, 1000.0, 1e6, 2.0**25]
LINE = np.concatenate([np.linspace(-22, 22, 4001), FAR, [0.0]])

erf = np.vectorize(math.erf)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


def worst(program: Callable[..., Any], reference: Callable[[Any], Any], inputs: Any, *, relative: float = 0.0) -> float:
    """The largest absolute error, less `relative` of the value, with the inputs as the format holds them."""
    words = FIXED.encode(inputs)
    expected = reference(FIXED.decode(words))
    return float((np.abs(compute(program, words).numbers - expected) - relative * np.abs(expected)).max())


@pytest.mark.parametrize(
    ("program", "reference", "bound"),
    [
        (functions.sigmoid, logistic, 2e-5),
        (functions.hyperbolic_tangent, np.tanh, 4e-5),
        (functions.erf, erf, 4e-5),
        (functions.gelu, lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, 4e-5),
        (functions.silu, lambda x: x * logistic(x), 4e-5),
    ],
)
def test_pieces_keep_their_bounds_everywhere(program: Any, reference: Any, bound: float) -> None:
    """Where the function bends, at its edges, and as far out as the format goes, the error is under its bound."""
    edges = np.arange(-16, 17)[:, None] + [-UNIT, 0, UNIT]

    assert worst(program, reference, np.concatenate([LINE, edges.ravel()])) < bound


@pytest.mark.parametrize("high", [14.0, 16.0, 1.0])
def test_exponentials(high: float) -> None:
    """Up to `high` the error is under 2 units and 6e-5 of the value; what is larger counts as `high`."""
    program = partial(functions.exponential, high=high)

    assert worst(program, lambda x: np.exp(np.minimum(x, high)), LINE, relative=6e-5) < 2 * UNIT


@pytest.mark.parametrize(
    ("program", "reference", "low", "high", "relative"),
    [
        (scaling.reciprocal, lambda x: 1 / x, -8, 24, 1e-7),
        (partial(scaling.reciprocal, low=0, high=3), lambda x: 1 / x, 0, 3, 1e-7),
        (scaling.inverse_root, lambda x: 1 / np.sqrt(x), -16, 16, 1e-6),
        (scaling.square_root, np.sqrt, -18, 22, 1e-6),
        (scaling.logarithm, np.log, -16, 16, 0.0),
    ],
)
def test_scaled_functions(program: Any, reference: Any, low: int, high: int, relative: float) -> None:
    """From end to end of the range, all powers of two among the values, the error is under 1.5 units."""
    powers = 2.0 ** np.arange(low, high)
    inputs = np.concatenate([2.0 ** np.linspace(low, high - 1e-6, 2000), powers, powers - UNIT])
    inputs = inputs[inputs >= 2.0**low]

    assert worst(program, reference, inputs, relative=relative) <= 1.5 * UNIT


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (scaling.reciprocal, [2.0**8] * 3 + [2.0**-24]),
        (scaling.inverse_root, [2.0**8] * 3 + [2.0**-8]),
        (scaling.square_root, [0.0] * 3 + [2.0**11]),
        (scaling.logarithm, [-16 * math.log(2)] * 3 + [16 * math.log(2)]),
    ],
)
def test_what_is_out_of_range_gets_the_end_of_it(program: Any, expected: list[float]) -> None:
    """Zero, negative and too large numbers give what the end of the range gives, never nonsense."""
    got = compute(program, FIXED.encode([0.0, -1.0, -(2.0**25), 2.0**25])).numbers

    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2 * UNIT)


@pytest.mark.parametrize(("low", "high"), [(3, 3), (-19, 0), (-10, 40), (0, 50)])
def test_impossible_ranges_are_refused(low: int, high: int) -> None:
    """A range that is empty, too wide, or beyond the format is refused with what would do."""
    with pytest.raises(BadInput, match="cannot be used"):
        compute(partial(scaling.reciprocal, low=low, high=high), FIXED.encode([1.0]))


def test_quotients() -> None:
    """Over divisors of both signs and all sizes of the range, the error is 2**8 + 1 units and 1e-7 of the quotient."""
    rng = np.random.default_rng(0)
    left = FIXED.encode(rng.normal(0, 100, 3000))
    right = FIXED.encode(rng.choice([-1, 1], 3000) * 2.0 ** rng.uniform(-8, 16, 3000))
    expected = FIXED.decode(left) / FIXED.decode(right)

    error = np.abs(compute(scaling.divide, left, right).numbers - expected)

    assert np.all(error <= 257 * UNIT + 1e-7 * np.abs(expected))


@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
@pytest.mark.parametrize("length", [1, 2, 10, 300])
def test_softmax_at_every_scale(scale: float, length: int) -> None:
    """Rows of any scale and length, far outliers among them, give their softmax and its logarithm within 3e-5."""
    x = FIXED.decode(FIXED.encode(np.random.default_rng(length).normal(0, scale, (6, length))))
    x[0, 0] = 1e4
    shifted = x - x.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))

    run = compute(
        lambda party, a: (functions.softmax(party, a, 1), functions.log_softmax(party, a, 1)), FIXED.encode(x)
    )

    assert np.abs(FIXED.decode(run.words[0]) - np.exp(logs)).max() < 3e-5
    assert np.abs(FIXED.decode(run.words[1]) - logs).max() < 3e-5


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0, 100.0])
@pytest.mark.parametrize("length", [2, 64, 500])
def test_layer_norm_at_every_scale(scale: float, length: int) -> None:
    """The scale of 3 at which others come out wrong by 0.9 is as good as any."""
    rng = np.random.default_rng(length)
    x = FIXED.decode(FIXED.encode(rng.normal(1, scale, (5, length))))
    weight, bias = (FIXED.decode(FIXED.encode(rng.normal(1, 0.5, length))) for _ in range(2))
    centred = x - x.mean(1, keepdims=True)
    expected = centred / np.sqrt(x.var(1, keepdims=True) + 1e-5) * weight + bias

    run = compute(lambda party, a, w, b: functions.layer_norm(party, a, 1, w, b), *map(FIXED.encode, (x, weight, bias)))

    bare = 6 * UNIT + 3e-5 * np.abs(centred / np.sqrt(x.var(1, keepdims=True))) + 3 * UNIT / x.std(1, keepdims=True)
    assert np.all(np.abs(run.numbers - expected) < bare * np.abs(weight) + UNIT)


def test_rows_without_variance() -> None:
    """Equal values have no variance, and come out as zeros."""
    run = compute(lambda party, a: functions.layer_norm(party, a, 1), FIXED.encode(np.full((2, 8), 5.0)))

    assert np.abs(run.numbers).max() < 2e-3


def test_fits_meet_their_function() -> None:
    """A fit of a polynomial is that polynomial."""
    np.testing.assert_allclose([14.0, 24.0, 9.0, 0.0], fit(lambda x: x**2 - 2 * x - 1, 2.0, 8.0, 3), atol=1e-12)


@pytest.mark.parametrize(
    ("program", "depth", "sent"),
    [
        (functions.sigmoid, 8, (496336, 65660, 65660)),
        (functions.gelu, 8, (473216, 67684, 67684)),
        (functions.exponential, 25, (236064, 115871, 115871)),
        (scaling.reciprocal, 18, (1295056, 357320, 357320)),
    ],
)
@pytest.mark.parametrize("value", [0.0, 1000.5])
def test_what_functions_cost(program: Any, depth: int, sent: tuple[int, ...], value: float) -> None:
    """A thousand values cost these messages one after another and bytes a party, whatever they are."""
    run = compute(program, FIXED.encode(np.full(1000, value)))

    assert (depth, sent) == (run.depth, run.sent)


@pytest.mark.parametrize(
    ("program", "reference"),
    [
        (functions.exponential, np.exp),
        (functions.gelu, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
        (scaling.reciprocal, lambda x: 1 / x),
        (scaling.square_root, np.sqrt),
        (scaling.logarithm, np.log),
        (lambda party, x: scaling.divide(party, x, x), lambda x: 1.0),
    ],
)
def test_a_single_number_keeps_its_shape(program: Any, reference: Any) -> None:
    """A number without axes goes in and comes out without axes."""
    run = compute(program, FIXED.encode(1.25))

    assert () == run.words[0].shape
    np.testing.assert_allclose(run.numbers, reference(1.25), atol=1e-3)
