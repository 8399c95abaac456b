"""Products that wait: worked out one after another, truncated and shared all in the same rounds.

A product of secrets is first a part at each party, without any message (see `arithmetic`); what costs rounds is to cut
the parts down and to share them anew. So whatever a step of training does not need at once is kept as parts, multiplied
by public integers where it is to be scaled, and settled together: the gradients of all layers, times the learning rate,
over the size of the batch, in the rounds of one product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.errors import Misuse
from protocols.smpc.replicated.arithmetic import Operation
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.kernels import summed
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Hand, Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import settle

__all__ = ["Parts", "Scale", "part_of", "row_of", "settled"]

_MANTISSA = 10


@dataclass(frozen=True, slots=True)
class Scale:
    """A public factor, multiplied by as an integer and divided by as part of a truncation: factor * 2**-bits.

    Its ten bits keep it within 0.1 % of what was asked for; `value` is what it is.
    """

    factor: int
    bits: int

    @classmethod
    def of(cls, value: float) -> Scale:
        """The nearest to a positive number."""
        bits = _MANTISSA - math.frexp(value)[1]
        factor = round(value * 2.0**bits)
        while factor % 2 == 0 and bits > 0:  # fewer bits are fewer bytes: see `truncation`
            factor, bits = factor // 2, bits - 1
        return cls(factor, bits)

    @property
    def value(self) -> float:
        return self.factor * 2.0**-self.bits


@dataclass(frozen=True, eq=False)
class Parts:
    """Numbers that are not shared yet: rank 0 knows a product of masks, ranks 1 and 2 parts that lack just that.

    Attributes:
        words: (count,) ring elements.
    """

    words: Words

    def times(self, factor: int) -> Parts:
        """Times a public integer."""
        return Parts(self.words * np.uint64(factor % 2**64))

    def plus(self, party: Party, secret: Secret) -> Parts:
        """And a secret of as many fractional bits added. Rank 0 has nothing to do for it."""
        if party.helps:
            return self
        return Parts(self.words + (secret.total if party.rank == 1 else secret.second).reshape(-1))


def part_of(party: Party, operation: Operation, left: Secret, right: Secret) -> Parts:
    """A product, not yet shared. No message. Raises Misuse: with abort, products cannot wait."""
    if isinstance(party, Checked):
        raise Misuse("training is not checked against parties that cheat")
    if party.helps:
        return Parts(np.asarray(operation(left.total, right.total)).reshape(-1))
    if party.rank == 2:
        pairs = [(left.first, right.second), (left.second, right.first)]
    elif left.size < right.size:  # the sum of the smaller one's shares will do
        pairs = [(left.total, right.second), (left.second, right.first)]
    else:
        pairs = [(left.second, right.total), (left.first, right.second)]
    return Parts(summed(operation, pairs).reshape(-1))


def row_of(party: Party, pieces: Sequence[Parts | Secret]) -> Parts:
    """One after the other, in one row. Secrets must have as many fractional bits as the products."""
    nothing = np.zeros(0, np.uint64)
    return Parts(np.concatenate([
        piece.words if isinstance(piece, Parts)
        else np.zeros(piece.size, np.uint64) if party.helps
        else Parts(np.zeros(piece.size, np.uint64)).plus(party, piece).words
        for piece in pieces
    ] or [nothing]))  # fmt: skip


def settled(party: Party, parts: Parts, bits: int) -> Secret:
    """Truncated to the nearest two numbers at random, right on average, and shared: (count,). Two rounds.

    The rounding is what training wants: with it, steps smaller than one unit still count on average (Gupta et al. 2015;
    on shares Keller and Sun 2022, section 4.2).
    """
    shape = parts.words.shape
    if party.helps:
        return settle(party, None, shape, bits, product=Hand(shape, lambda: parts.words))
    return settle(party, parts.words, shape, bits, product=Hand(shape))
