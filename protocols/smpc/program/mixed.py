"""Sums and products in which either side is secret or public. What is public costs less, and is never sent.

Arrays that everybody knows meet a secret as integers, and must be the same integers on every device. Library functions
may differ in the last bit from one processor to the next, so of public numbers nothing is computed in floating point
but sums, products and quotients, which IEEE 754 lays down to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protocols.smpc.program.node import Operand
from protocols.smpc.program.steps import Array, Kind
from protocols.smpc.replicated.arithmetic import bilinear
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import settle, truncate

__all__ = [
    "ENDLESS",
    "bounded",
    "hidden",
    "joined",
    "known_operand",
    "moved",
    "plus",
    "ring",
    "scaled",
    "times",
    "weighted",
]

ENDLESS = 2.0**30
"""A number of this size or more is meant as infinity, as in the masks of attention, and is taken for 2**20."""

_INFINITY = 2.0**20
_SIGNIFICANT = 20  # bits of a public factor


def bounded(array: Array) -> Array:
    """Real numbers with infinity, or what is meant as it, replaced by a number that can be computed with. float64."""
    numbers = np.asarray(array, np.float64)
    return np.where(np.abs(numbers) >= ENDLESS, np.copysign(_INFINITY, numbers), numbers)


def ring(party: Party, array: Array, kind: Kind) -> Words:
    """What everybody knows, as ring elements. Raises BadInput: a number too large for the format."""
    if kind == "number":
        return party.fixed.encode(bounded(array))
    return np.asarray(array).astype(np.int64).view(np.uint64)


def hidden(party: Party, value: Operand, kind: Kind) -> Secret:
    """A secret, whichever of both it was. No message."""
    return value if isinstance(value, Secret) else party.public(ring(party, value, kind))


def known_operand(left: Operand, right: Operand) -> tuple[Secret, Array] | None:
    """The secret and the public one, where exactly one of two is public."""
    if isinstance(left, Secret) and not isinstance(right, Secret):
        return left, right
    if isinstance(right, Secret) and not isinstance(left, Secret):
        return right, left
    return None


def moved(value: Operand, function: Callable[[Array], Array]) -> Operand:
    """The same rearrangement of elements, of a secret's shares or of a public array."""
    return value.map(function) if isinstance(value, Secret) else function(value)


def plus(party: Party, left: Operand, right: Operand, kind: Kind, shape: tuple[int, ...]) -> Secret:
    """The sum, broadcast to a shape. No message."""
    both = known_operand(left, right)
    if both is None:
        return (hidden(party, left, kind) + hidden(party, right, kind)).broadcast_to(shape)
    return party.add(both[0].broadcast_to(shape), ring(party, both[1], kind))


def times(party: Party, left: Operand, right: Operand, kinds: tuple[Kind, Kind], shape: tuple[int, ...]) -> Secret:
    """The product, broadcast to a shape. Integers and truths are whole factors: nothing is truncated for them."""
    real = kinds == ("number", "number")
    both = known_operand(left, right)
    if both is not None:
        secret, array = both
        known_kind = kinds[0] if both[1] is left else kinds[1]
        if known_kind == "number" and real:
            return scaled(party, secret, array, shape)
        factor = ring(party, array, known_kind)
        return secret.map(lambda share: np.asarray(share * factor)).broadcast_to(shape)
    bits = party.fixed.fraction if real else 0
    return bilinear(party, np.multiply, hidden(party, left, kinds[0]), hidden(party, right, kinds[1]), bits=bits)


def scaled(party: Party, secret: Secret, numbers: float | Array, shape: tuple[int, ...]) -> Secret:
    """A secret times public real numbers, rounded once; not at all, if they are whole.

    The factors are held with 20 bits at least, so that small ones lose nothing: values must stay under 2**23.
    """
    factors = np.asarray(numbers, np.float64)
    most = float(np.abs(factors).max(initial=0.0))
    if most < 2**_SIGNIFICANT and bool(np.all(factors == np.rint(factors))):
        whole = factors.astype(np.int64).view(np.uint64)
        return secret.map(lambda share: np.asarray(share * whole)).broadcast_to(shape)
    bits = min(max(_SIGNIFICANT - math.frexp(most)[1], 0), 40)
    words = party.fixed.encode(factors, fraction=bits)
    return weighted(party, np.multiply, secret, words, shape, bits=bits)


def joined(party: Party, terms: list[tuple[Secret, float]], constant: float = 0.0) -> Secret:
    """A sum of secrets of one shape times public numbers under 2**10, and a constant; rounded once."""
    factors = [round(number * 2.0**_SIGNIFICANT) for _, number in terms]
    total = terms[0][0].times(factors[0])
    for (secret, _), factor in zip(terms[1:], factors[1:], strict=True):
        total += secret.times(factor)
    out = weighted(party, np.multiply, total, np.ones(1, np.uint64), total.shape, bits=_SIGNIFICANT)
    return party.add(out, party.fixed.encode([constant])) if constant else out


def weighted(
    party: Party,
    operation: Callable[[Words, Words], Words],
    secret: Secret,
    known: Words,
    shape: tuple[int, ...],
    *,
    bits: int | None = None,
) -> Secret:
    """An operation that is linear in a secret, with public ring elements for its other side, truncated.

    Ranks 1 and 2 apply it once each, to their parts of the secret; rank 0 computes nothing.

    Args:
        operation: on (share, known), modulo 2**64.
        shape: of the result.
        bits: to take off; the format's fraction, if not given.
    """
    taken = party.fixed.fraction if bits is None else bits
    if isinstance(party, Checked):
        return truncate(party, secret.map(lambda share: operation(share, known).reshape(shape)), taken)
    part: Words | None = None
    if party.rank == 1:
        part = operation(secret.total, known).reshape(shape) + party.randomness.shared_with(2).draw(shape)
    elif party.rank == 2:
        part = operation(secret.second, known).reshape(shape) - party.randomness.shared_with(1).draw(shape)
    return settle(party, part, shape, taken)
