"""Who wins along an axis, and where it stood: comparisons up a tree, and a mark handed down it again."""

from __future__ import annotations

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.replicated.arithmetic import multiply
from protocols.smpc.replicated.bits import select, to_ring
from protocols.smpc.replicated.comparison import less
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.slicing import WORD

__all__ = ["winners"]


def winners(party: Party, entries: Secret, *, bits: int = WORD) -> tuple[Secret, Secret]:
    """The largest along the first axis, and 1 where it stands and 0 elsewhere; of equals, the first.

    log2(length) comparisons up and as many products of bits down: for n entries n - 1 comparisons, where comparing each
    with each takes n (n - 1).

    Returns:
        The shape of an entry, and the shape of all of them (integers).
    """
    if not entries.shape[0]:
        raise BadInput("There is no largest of nothing.")
    lost: list[Secret] = []
    while (length := entries.shape[0]) > 1:
        half = length // 2
        left, right, odd = entries[0 : 2 * half : 2], entries[1 : 2 * half : 2], entries[2 * half :]
        beaten = less(party, left, right, bits=bits)
        lost.append(to_ring(party, beaten))
        entries = Secret.concatenate([left + select(party, beaten, right - left), odd])
    marks = party.public(np.ones(entries.shape, np.uint64))
    for number, bit in enumerate(reversed(lost)):
        half = bit.shape[0]
        right = multiply(party, marks[:half], bit, bits=0) if number else bit
        pairs = Secret.stack([marks[:half] - right, right], 1).reshape(2 * half, *entries.shape[1:])
        marks = Secret.concatenate([pairs, marks[half:]])
    return entries[0], marks
