"""Curves: their literals are what a fit gives, and they are right over the whole format."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput
from protocols.smpc.replicated import tables
from protocols.smpc.replicated.curves import COEFFICIENT, Curve, followed, powers
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import FixedPoint
from tests.unit.protocols.smpc.fitting import bell, bump, fitted, logistic
from tests.unit.protocols.smpc.parties import FIXED, compute

CURVES: dict[str, tuple[Curve, Callable[[Any], Any], float]] = {
    "erf": (tables.ERF, np.vectorize(math.erf), 2e-5),
    "exponential": (tables.EXPONENTIAL, lambda x: np.exp(x / 8), 2e-6),
    "gelu": (tables.GELU, bell, 2e-5),
    "sigmoid": (tables.SIGMOID, logistic, 1e-5),
    "silu": (tables.SILU, bump, 2e-5),
    "tanh": (tables.TANH, np.tanh, 2e-5),
}


@pytest.mark.parametrize("name", CURVES)
def test_literals_are_what_a_fit_gives(name: str) -> None:
    """Fitted again, every coefficient is the same but for its last bits, and the fit is as near as the module says."""
    curve, function, bound = CURVES[name]

    np.testing.assert_allclose(np.array(curve.rows), np.array(fitted(function, curve.edges)), atol=64)
    for row, low, high in zip(curve.rows, curve.edges, curve.edges[1:], strict=False):
        x = np.linspace(low, high, 300)
        p = (x - curve.centre) / 2**curve.reach
        assert np.abs(np.polynomial.polynomial.polyval(p, np.array(row) / 2**COEFFICIENT) - function(x)).max() < bound


@pytest.mark.parametrize("bits", [46, 64])
@pytest.mark.parametrize("name", CURVES)
def test_every_edge_and_everything_beyond(name: str, bits: int) -> None:
    """At each edge and a unit to both sides of it, and out to the ends of the format, nothing is wrong."""
    curve, function, bound = CURVES[name]
    near = np.array(curve.edges)[:, None] + np.array([-FIXED.unit, 0, FIXED.unit])
    far = [-(2.0**25), -12345.678, -100.25, 100.25, 12345.678, 2.0**25]
    x = np.concatenate([near.ravel(), far, np.linspace(-25, 25, 999)])
    x = x[x <= curve.edges[-1]] if curve.ends[1] is None else x
    low, high = curve.edges[0], curve.edges[-1]
    inside = (x >= low) & ((x < high) if curve.ends[1] is not None else (x <= high))
    expected = np.where(inside, function(np.clip(x, low, high)), np.where(x < low, curve.ends[0], curve.ends[1] or 0))

    run = compute(partial(followed, curve=curve, bits=bits), FIXED.encode(x))

    assert np.abs(run.numbers - expected).max() < bound + 2 * FIXED.unit


def test_powers() -> None:
    """Powers of numbers between -1 and 1, each off by a few units."""
    p = np.linspace(-1, 1, 101)

    run = compute(lambda party, a: powers(party, a, 7, 30), FIXED.encode(p, fraction=30))

    np.testing.assert_allclose(
        FIXED.decode(run.words[0], fraction=30), p ** np.arange(1, 8)[:, None], atol=10 * 2.0**-30
    )


def test_too_many_fractional_bits_are_refused() -> None:
    """Where no bits are left for the powers, it is said which would be."""

    def program(party: Party, x: Any) -> Any:
        return followed(Party(party.link, party.randomness, FixedPoint(28)), x, tables.SILU)

    with pytest.raises(BadInput, match="at most 26 fractional bits"):
        compute(program, np.zeros(3, np.uint64))
