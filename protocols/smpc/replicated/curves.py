"""Functions of secret numbers by pieces of unequal width, and constant beyond them, in few rounds.

With p the number brought between -1 and 1 by known factors, the value on piece k is a polynomial Q_k(p), and

    f = Q_last + sum over inner edges of (x under the edge) (Q_before - Q_behind)

where all Q are sums of the same powers of p with known coefficients: local work. So comparing with all edges at once
and raising p run side by side; one sum of choices follows. Inner edges are compared on the bits that the range needs,
which tells them apart within the range alone: two comparisons on all bits say whether a number lies there, and beyond
it everything else is discarded by an exact choice, however wrong it has become.

After Mohassel and Rindal 2018 (ABY3, section 5.2: pieces) and Dong et al. 2023 (PUMA: powers shared by all pieces);
that the comparisons and the powers do not wait for each other, and the narrow inner edges, are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.replicated.arithmetic import multiply
from protocols.smpc.replicated.combining import combined
from protocols.smpc.replicated.comparison import signs
from protocols.smpc.replicated.kernels import matmul
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.slicing import WORD
from protocols.smpc.replicated.together import Work

__all__ = ["COEFFICIENT", "Curve", "followed", "powers"]

COEFFICIENT = 26
"""Fractional bits of coefficients."""

_POWER = 30  # fractional bits of p and its powers: the coefficients' sizes add up to at most 2**10


@dataclass(frozen=True)
class Curve:
    """A function by pieces. Integers throughout, so that it is the same on every processor.

    Attributes:
        edges: of the pieces, ascending, multiples of 2**-6.
        ends: what the function is under the first edge, and from the last on: integers. None: no number lies there.
        rows: for each piece, coefficients of 1, p, p**2, ..., with 26 fractional bits.
    """

    edges: tuple[float, ...]
    ends: tuple[int, int | None]
    rows: tuple[tuple[int, ...], ...]

    @property
    def centre(self) -> float:
        """Where p is 0."""
        return (self.edges[0] + self.edges[-1]) / 2

    @property
    def reach(self) -> int:
        """p is the distance from the centre over 2**reach."""
        return math.ceil(math.log2((self.edges[-1] - self.edges[0]) / 2))

    @cached_property
    def table(self) -> Words:
        """(pieces, degree + 1) ring elements: each piece's difference from the next, and the last piece."""
        rows = np.array(self.rows, np.int64)
        rows[:-1] -= rows[1:]
        return rows.view(np.uint64)


def followed(
    party: Party, x: Secret, curve: Curve, *, plus_relu: bool = False, bits: int = WORD, places: int | None = None
) -> Secret:
    """A curve's values at x, for |x| < 2**(bits - 1) units.

    Args:
        plus_relu: add max(x, 0), for which 0 must be one of the edges.
        places: fractional bits of the result, if not the format's.
    """
    fraction = party.fixed.fraction if places is None else places
    under: Work[Any] = partial(_under, party, x, curve, bits, plus_relu)
    (outer, inner), raised = party.together(under, partial(_raised, party, x, curve))
    shape, pieces = x.shape, len(curve.rows)
    steps = np.ascontiguousarray(curve.table[:, 1:])
    flat = raised.reshape(raised.shape[0], -1)
    parts = flat.map(lambda share: matmul(steps, np.ascontiguousarray(share))).reshape(pieces, *shape)
    parts = party.add(parts, (curve.table[:, 0] << np.uint64(_POWER)).reshape(-1, *[1] * len(shape)))
    within = combined(party, [(inner, parts[:-1])], plus=parts[-1], taken=_POWER + COEFFICIENT - fraction)
    return _beyond(party, curve, outer, (within, x if plus_relu else None), fraction)


def powers(party: Party, p: Secret, degree: int, bits: int) -> Secret:
    """(degree, *shape): p, p**2, ... of numbers between -1 and 1 with `bits` fractional bits. Two rounds a doubling."""
    found = p.reshape(1, *p.shape)
    while (have := found.shape[0]) < degree:
        more = min(have, degree - have)
        top = found[have - 1 :].broadcast_to((more, *p.shape))
        found = Secret.concatenate([found, multiply(party, found[:more], top, bits=bits)])
    return found


def _raised(party: Party, x: Secret, curve: Curve) -> Secret:
    factor = _POWER - party.fixed.fraction - curve.reach
    if factor < 0:
        raise BadInput(f"Functions by pieces need at most {_POWER - curve.reach} fractional bits: use fewer.")
    p = party.add(x, party.fixed.encode([-curve.centre])).times(1 << factor)
    return powers(party, p, len(curve.rows[0]) - 1, _POWER)


def _under(party: Party, x: Secret, curve: Curve, bits: int, signed: bool) -> tuple[list[SecretBits], SecretBits]:
    """Whether x is under the ends, and under zero if that is asked; and whether under each inner edge."""
    span = math.ceil(math.log2(curve.edges[-1] - curve.edges[0])) + party.fixed.fraction + 1
    edges = party.fixed.encode(curve.edges[1:-1])
    inner = x.broadcast_to((len(edges), *x.shape))
    inner = party.add(inner, np.negative(edges).reshape(-1, *[1] * len(x.shape)))
    ends = curve.edges[:1] if curve.ends[1] is None else (curve.edges[0], curve.edges[-1])
    outer = [party.add(x, party.fixed.encode([-edge])) for edge in ends] + ([x] if signed else [])
    *wide, narrow = signs(party, [*((each, bits) for each in outer), (inner, min(span, bits))])
    return wide, narrow


def _beyond(
    party: Party, curve: Curve, outer: list[SecretBits], found: tuple[Secret, Secret | None], fraction: int
) -> Secret:
    """What is worked out where x is within the range, and the ends where it is not; and x itself where it is over 0."""
    within, raised = found
    left, right = (0 if end is None else end << fraction for end in curve.ends)
    inside = party.flip(outer[0]) if curve.ends[1] is None else outer[0] ^ outer[1]
    choices = [(inside, within)]
    if raised is not None:
        choices.append((party.flip(outer[-1]), raised))
    lifts = [(bits, end) for bits, end in zip(outer, (left, -right), strict=False) if end]
    out = combined(party, choices, lifts=lifts)
    return party.add(out, np.full((1,) * max(len(out.shape), 1), right % 2**64, np.uint64)) if right else out
