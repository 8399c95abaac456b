"""Quotients, roots and logarithms of secret numbers of any size within a stated range.

A positive x is first brought to u = x / 2**e from 1 to 2 (to 4 for roots) by comparing it with every power of two (of
four) in the range, all in the same rounds, after Catrina and Saxena 2010, section 3.3; the series then converges for
every input, and cannot run away as it does where a start is guessed for a range (CrypTen 0.4.1 does that).

Range: 2**low <= x < 2**high, for integers low and high given by the caller; the narrower, the cheaper. What lies under
it, zero and negative numbers among them, is taken for 2**low (the square root is then 0), and what lies over it for
2**high: an answer at the end of the range, never one from outside of it.

Source of the series for quotients: Goldschmidt 1964. Roots of u are polynomials, since raising to powers takes fewer
rounds than iterating.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.replicated.arithmetic import multiply
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.combining import combined
from protocols.smpc.replicated.comparison import is_negative
from protocols.smpc.replicated.curves import powers
from protocols.smpc.replicated.kernels import matmul
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.polynomial import FINE, Real, below, fit, integers, looked_up, polynomial
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import truncate

__all__ = ["divide", "inverse_root", "logarithm", "over_root", "reciprocal", "shares_of", "square_root"]

_DEGREE = 12  # of the polynomials for roots: off by 3e-7 of themselves
_ROOT = 28  # fractional bits of an inverse root from 1/2 to 1
_BYTE = 1e-9  # seconds that one more byte is taken to cost
_ROOM = 61  # bits that a product may have before it is truncated
_SPAN = 34  # powers of two between the ends of a range: a value times its factor must stay under 2**62


def reciprocal(party: Party, x: Secret, *, low: int = -8, high: int = 24, fraction: int | None = None) -> Secret:
    """1 / x. Off by at most 1.5 units and 1e-7 of itself over the range (see the module).

    Args:
        fraction: fractional bits of x, if not the format's.
    """
    scale = max(high - 1, 0)
    u, factor = _scaled(party, x, (low, high, 1), lambda e: 2.0 ** (scale - e), fraction=fraction)
    return multiply(party, _inverse(party, u), factor, bits=FINE + 1 + scale - party.fixed.fraction)


def shares_of(party: Party, parts: Secret, whole: Secret, *, high: int) -> Secret:
    """parts / whole, for 0 <= parts <= whole and 1 <= whole < 2**high, both with 26 fractional bits.

    Off by at most 2 units and 1e-7 of itself. The parts are scaled while the inverse is worked out.

    Args:
        parts: of a shape that `whole` broadcasts to.
    """
    scale = high - 1
    u, factor = _scaled(party, whole, (0, high, 1), lambda e: 2.0 ** (scale - e), fraction=FINE)
    lost = max(2 * FINE + 1 + scale - _ROOM, 0)
    inverse, scaled = party.together(partial(_inverse, party, u), partial(multiply, party, parts, factor, bits=lost))
    return multiply(party, scaled, inverse, bits=2 * FINE + 1 + scale - lost - party.fixed.fraction)


def divide(party: Party, left: Secret, right: Secret, *, low: int = -8, high: int = 16, signed: bool = True) -> Secret:
    """left / right of one shape, for |left| < 2**(62 - fraction - high + low): 2**20 with 18 fractional bits.

    Off by at most 1 + 2**-low units and 1e-7 of itself over the range of |right|.

    Args:
        signed: whether `right` may be negative; if not, what is negative counts as the range's low end.
    """
    if signed:
        negative = is_negative(party, right)
        both = Secret.stack([left, right])
        both -= select(party, negative, both.times(2))
        left, right = both[0], both[1]
    scale = max(high - 1, 0)
    u, factor = _scaled(party, right, (low, high, 1), lambda e: 2.0 ** (scale - e))
    part = multiply(party, left, _inverse(party, u), bits=FINE + 1)
    return multiply(party, part, factor, bits=scale)


def inverse_root(
    party: Party,
    x: Secret,
    *,
    low: int = -16,
    high: int = 16,
    fraction: int | None = None,
    places: int | None = None,
    gain: float = 1.0,
) -> Secret:
    """gain / sqrt(x). Off by at most 1.5 units and 1e-6 of itself over the range. low, high: even.

    Args:
        fraction: fractional bits of x, if not the format's.
        places: fractional bits of the result, if not the format's.
        gain: a known positive number.
    """
    taken = party.fixed.fraction if places is None else places
    scale = max(high - 2, 0) // 2
    u, factor = _scaled(party, x, (low, high, 2), lambda e: 2.0 ** (scale - e / 2), fraction=fraction)
    halvings = math.frexp(gain)[1]
    root = _curve(party, u, lambda values: gain / 2.0**halvings / np.sqrt(values), _ROOT)
    return multiply(party, root, factor, bits=_ROOT + scale - taken - halvings)


def over_root(party: Party, x: Secret, y: Secret, *, low: int, high: int, fraction: int, gain: float = 1.0) -> Secret:
    """gain * x / sqrt(y), for x**2 <= y, and x scaled while the root is worked out: `inverse_root`, 2 rounds less.

    Args:
        x: with the format's fractional bits, of a shape that y broadcasts to.
        fraction: fractional bits of y.
    """
    scale = max(high - 2, 0) // 2
    u, factor = _scaled(party, y, (low, high, 2), lambda e: 2.0 ** (scale - e / 2), fraction=fraction)
    halvings = math.frexp(gain)[1]

    def root() -> Secret:
        return _curve(party, u, lambda values: gain / 2.0**halvings / np.sqrt(values), _ROOT)

    inverse, scaled = party.together(root, partial(multiply, party, x, factor, bits=0))
    return multiply(party, scaled, inverse, bits=_ROOT + scale - halvings)


def square_root(party: Party, x: Secret, *, low: int = -18, high: int = 22) -> Secret:
    """sqrt(x). Off by at most 1.5 units and 1e-6 of itself over the range; 0 under it. low, high: even."""
    scale = max(-low, 0) // 2
    u, factor = _scaled(party, x, (low, high, 2), lambda e: 2.0 ** (scale + e / 2), under=0.0)
    root = _curve(party, u, np.sqrt, FINE)
    return multiply(party, root, factor, bits=FINE + scale - party.fixed.fraction)


def logarithm(party: Party, x: Secret, *, low: int = -16, high: int = 16, fraction: int | None = None) -> Secret:
    """The natural logarithm. Off by at most 1.5 units over the range. `fraction` as for `reciprocal`."""
    u, offset = _scaled(party, x, (low, high, 1), lambda e: e * np.log(2) * 2.0**FINE, fraction=fraction)
    centred = party.add(u.times(2), integers([-3.0], FINE))
    fine = polynomial(party, centred, fit(np.log, 1.0, 2.0, 7)) + offset
    return truncate(party, fine, FINE - party.fixed.fraction)


def _scaled(
    party: Party,
    x: Secret,
    span: tuple[int, int, int],
    factor: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    fraction: int | None = None,
    under: float | None = None,
) -> tuple[Secret, Secret]:
    """u = x / 2**e from 1 to 2**step, with 26 fractional bits, and `factor(e)` rounded to an integer.

    Args:
        span: low, high and step: e is low plus a multiple of step.
        under: the factor of values under 2**low, if it is not that of 2**low.

    Raises:
        BadInput: the range is empty, too wide, or reaches under one unit.
    """
    low, high, step = span
    bits = party.fixed.fraction if fraction is None else fraction
    if not -bits <= low < high or (high - low) % step or high - low > _SPAN * step or high + bits > 61:
        raise BadInput(
            f"A range from 2**{low} to 2**{high} cannot be used: it must have {step} powers of two or a multiple, at "
            f"most {_SPAN * step}, start at 2**{-bits} or above and end at 2**{61 - bits} or under."
        )
    exponents = np.arange(low, high, step)
    edges = np.left_shift(np.uint64(1), (np.append(exponents, high) + bits).astype(np.uint64))
    shift = max(high - step, FINE - bits)
    ends = np.concatenate([[low], exponents, [high - step]]).astype(np.float64)
    table = np.zeros((len(ends), 3), np.uint64)
    table[1:-1, 0] = np.left_shift(np.uint64(1), (shift - exponents).astype(np.uint64))
    table[[0, -1], 1] = (1 << FINE, 1 << (FINE + step))
    table[:, 2] = integers(factor(ends), 0)
    if under is not None:
        table[0, 2] = integers(under, 0)
    flags = below(party, x, edges)
    if _BYTE * x.size * 16 * len(edges) > party.link.latency:
        found = looked_up(party, flags, table)
        return multiply(party, x, found[0], bits=bits + shift - FINE) + found[1], found[2]
    steps = (table[:-1, 0] - table[1:, 0]).reshape(-1, *[1] * len(x.shape))
    rows = x.map(lambda share: share * steps)

    def brought() -> Secret:
        return combined(party, [(flags, rows)], plus=x.times(int(table[-1, 0])), taken=bits + shift - FINE)

    u, rest = party.together(brought, partial(looked_up, party, flags, np.ascontiguousarray(table[:, 1:])))
    return u + rest[0], rest[1]


def _inverse(party: Party, u: Secret) -> Secret:
    """1 / u with 27 fractional bits, for u from 1 to 2 with 26: 2 y = 2 c - u to start with, off by at most 0.072."""
    start = 4 * np.sqrt(3) - 4  # 2 c, so that the relative error is the same at 1, at c and at 2
    twice = party.add(-u, integers([start], FINE))
    error = party.add(-multiply(party, u, twice, bits=FINE + 1), integers([1.0], FINE))
    for _ in range(2):
        both = multiply(party, Secret.stack([error, twice]), error, bits=FINE)
        error, twice = both[0], twice + both[1]
    return twice + multiply(party, twice, error, bits=FINE)


def _curve(party: Party, u: Secret, function: Real, bits: int) -> Secret:
    """A function of u from 1 to 4 with 26 fractional bits, as a polynomial of degree 12, with `bits` fractional bits.

    Half of u is u with 27 fractional bits: so the variable is u / 2 - 5 / 4, from -3/4 to 3/4.
    """
    known = integers(fit(function, 1.0, 4.0, _DEGREE) * (4 / 3) ** np.arange(_DEGREE + 1), bits)
    raised = powers(party, party.add(u, integers([-1.25], FINE + 1)), _DEGREE, FINE + 1)
    row = known[None, 1:]
    total = raised.map(lambda share: matmul(row, share.reshape(_DEGREE, -1)).reshape(u.shape))
    return party.add(truncate(party, total, FINE + 1), known[:1].reshape([1] * max(len(u.shape), 1)))
