"""Polynomials of secret numbers, with coefficients that everybody knows or that depend on where the number lies.

Numbers between -1 and 1 are worked on with 26 fractional bits, so that the roundings on the way stay far under one unit
of the number format. A function given by pieces is one comparison with each edge, all in the same rounds; sums of the
resulting bits times known steps are the coefficients (as Mohassel and Rindal 2018, ABY3, section 5.2, with the sums
taken before anything is reshared).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from protocols.smpc.replicated.arithmetic import bilinear, multiply
from protocols.smpc.replicated.bits import lifted, row, select, to_ring
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.comparison import is_negative
from protocols.smpc.replicated.kernels import matmul
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.slicing import WORD
from protocols.smpc.replicated.truncation import truncate

__all__ = ["FINE", "Pieces", "Real", "below", "fit", "integers", "looked_up", "piecewise", "polynomial"]

FINE = 26
"""Fractional bits of numbers between -1 and 1 while a function is worked out."""

Real = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Pieces:
    """A function in pieces of one width, which is a power of two, and constant beyond them.

    Attributes:
        start: where the first piece begins.
        width: of each piece.
        table: (pieces + 2, degree + 1) coefficients, each piece's in a variable from -1 to 1 over it; the first row and
            the last are the constants on the left and on the right.
    """

    start: float
    width: float
    table: NDArray[np.float64]

    @property
    def edges(self) -> NDArray[np.float64]:
        return np.asarray(self.start + self.width * np.arange(len(self.table) - 1), np.float64)

    @classmethod
    def of(cls, function: Real, start: float, stop: float, *, width: float, degree: int) -> Pieces:
        """The best such polynomials, but for a factor near 1: interpolated at Chebyshev's points."""
        lows = np.arange(start, stop, width)
        rows = [fit(function, low, low + width, degree) for low in lows]
        ends = np.zeros((2, degree + 1))
        ends[:, 0] = function(np.array([start - 60.0, stop + 60.0]))
        return cls(start, width, np.stack([ends[0], *rows, ends[1]]))


def fit(function: Real, low: float, high: float, degree: int) -> NDArray[np.float64]:
    """Coefficients, lowest first, of a polynomial in u from -1 to 1 for the function from `low` to `high`."""
    middle, half = (low + high) / 2, (high - low) / 2
    points = chebyshev.chebpts1(degree + 1)
    powers = chebyshev.cheb2poly(chebyshev.chebfit(points, function(middle + half * points), degree))
    out = np.zeros(degree + 1)
    out[: len(powers)] = powers
    return out


def integers(numbers: ArrayLike, bits: int) -> NDArray[np.uint64]:
    """Known real numbers with `bits` fractional bits, under 2**63 of their units."""
    return np.rint(np.asarray(numbers, np.float64) * 2.0**bits).astype(np.int64).view(np.uint64)


def below(party: Party, secret: Secret, edges: NDArray[np.uint64], *, bits: int = WORD) -> SecretBits:
    """For each edge, in ring elements, whether the value is under it: bits of shape (edges, *shape)."""
    stacked = secret.map(lambda share: np.broadcast_to(share, (len(edges), *share.shape)))
    return is_negative(party, party.add(stacked, np.negative(edges).reshape(-1, *[1] * len(secret.shape))), bits=bits)


def looked_up(party: Party, under: SecretBits, table: NDArray[np.uint64]) -> Secret:
    """The row of a known table that belongs to where a value lies. One round, 16 bytes a column.

    Args:
        under: (edges, *shape) of `below`.
        table: (edges + 1, columns) ring elements: the first row for values under the first edge.

    Returns:
        (columns, *shape).
    """
    edges, shape = under.shape[0], under.shape[1:]
    out = (table.shape[1], *shape)
    steps = np.ascontiguousarray((table[:-1] - table[1:]).T)
    if isinstance(party, Checked):
        found = to_ring(party, under).map(lambda share: matmul(steps, share.reshape(edges, -1)).reshape(out))
    else:
        part = lifted(party, under)
        if part is not None:
            part = matmul(steps, part.reshape(edges, -1)).reshape(out)
        found = party.reshare(part, out)
    return party.add(found, table[-1].reshape(-1, *[1] * len(shape)))


def polynomial(party: Party, u: Secret, coefficients: ArrayLike, *, bits: int = FINE) -> Secret:
    """A polynomial with known coefficients, lowest first, of numbers from -1 to 1 with `bits` fractional bits."""
    known = integers(coefficients, bits)
    powers = [u]
    while len(powers) < len(known) - 1:
        more = min(len(powers), len(known) - 1 - len(powers))
        top = powers[-1].map(lambda share, more=more: np.broadcast_to(share, (more, *share.shape)))  # type: ignore[misc]
        product = multiply(party, Secret.stack(powers[:more]), top, bits=bits)
        powers += [product[i] for i in range(more)]
    total = powers[0].times(int(known[1]))
    for power, factor in zip(powers[1:], known[2:], strict=True):
        total += power.times(int(factor))
    return party.add(truncate(party, total, bits), known[:1].reshape([1] * max(len(u.shape), 1)))


def piecewise(party: Party, secret: Secret, pieces: Pieces, *, plus_relu: bool = False, bits: int = WORD) -> Secret:
    """A function by pieces of numbers in the format's units, for |values| < 2**(bits - 1) units.

    Args:
        plus_relu: add max(value, 0), for which 0 must be one of the edges.
    """
    fixed, edges = party.fixed, pieces.edges
    under = below(party, secret, fixed.encode(edges), bits=bits)
    slope = round(2 ** (FINE - fixed.fraction + 1) / pieces.width)  # from units to 26 bits, width to 2
    centres = np.concatenate([[0.0], 2 * (edges[:-1] + pieces.width / 2) / pieces.width, [0.0]])
    found = looked_up(party, under, integers(np.column_stack([centres, pieces.table]), FINE))
    u = secret.times(slope) - found[0]
    out = _evaluated(party, u, found[1:])
    if not plus_relu:
        return out
    negative = row(under, int(np.searchsorted(edges, 0.0)))
    return out + select(party, party.flip(negative), secret)


def _evaluated(party: Party, u: Secret, coefficients: Secret) -> Secret:
    """(degree + 1, *shape) secret coefficients, degree odd, by Horner's rule in u squared, to the format's units."""
    pairs = coefficients.shape[0] // 2
    odd, even = coefficients[1::2], coefficients[0::2]
    times_u = multiply(party, Secret.concatenate([odd, u.reshape(1, *u.shape)]), u, bits=FINE)
    sums, square = even + times_u[:pairs], times_u[pairs]
    value = sums[pairs - 1]
    for k in range(pairs - 2, 0, -1):
        value = sums[k] + multiply(party, value, square, bits=FINE)
    taken = 2 * FINE - party.fixed.fraction
    return bilinear(party, np.multiply, value, square, bits=taken, plus=sums[0].times(1 << FINE))
