"""How the literals of `protocols.smpc.replicated.tables` were made: python -m tests.unit.protocols.smpc.fitting"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from protocols.smpc.replicated import tables
from protocols.smpc.replicated.curves import COEFFICIENT

__all__ = ["bell", "bump", "fitted", "logistic"]

DEGREE = 4


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def bell(x: Any) -> Any:
    """x Phi(x) - max(x, 0)."""
    return -np.abs(x) / 2 * (1 - np.vectorize(math.erf)(np.abs(x) / math.sqrt(2)))


def bump(x: Any) -> Any:
    """x sigmoid(x) - max(x, 0)."""
    return -np.abs(x) * logistic(-np.abs(x))


def fitted(function: Callable[[Any], Any], edges: Sequence[float]) -> list[list[int]]:
    """For each piece, coefficients of the powers of p, from interpolation at Chebyshev's points."""
    centre, half = (edges[0] + edges[-1]) / 2, (edges[-1] - edges[0]) / 2
    scale = 2 ** math.ceil(math.log2(half))
    return [_piece(function, low, high, centre, scale) for low, high in pairwise(edges)]


def _piece(function: Callable[[Any], Any], low: float, high: float, centre: float, scale: float) -> list[int]:
    middle, half = (low + high) / 2, (high - low) / 2
    local = chebyshev.cheb2poly(chebyshev.chebinterpolate(lambda u: function(middle + half * u), DEGREE))
    found = np.zeros(1)
    for coefficient in reversed(local):
        found = polynomial.polyadd(polynomial.polymul(found, [(centre - middle) / half, scale / half]), [coefficient])
    return [round(value * 2**COEFFICIENT) for value in np.pad(found, (0, DEGREE + 1))[: DEGREE + 1]]


def main() -> None:
    functions: dict[str, Callable[[Any], Any]] = {
        "ERF": np.vectorize(math.erf),
        "EXPONENTIAL": lambda x: np.exp(x / 8),
        "GELU": bell,
        "SIGMOID": logistic,
        "SILU": bump,
        "TANH": np.tanh,
    }
    for name, function in functions.items():
        print(name, fitted(function, getattr(tables, name).edges))


if __name__ == "__main__":
    main()
