"""From secret bits to ring elements: a bit as 0 or 1, and a choice between two values, fused.

A shared bit is u xor v, with u known to rank 0 and v to ranks 1 and 2. So u + v - 2uv, and its product with a value
whose mask rank 0 knows, need no product between parties: rank 0 deals u, and u times the mask.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.choices import choose, choose_deal, keep, lift
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Hand, Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.slicing import gathered, spread

__all__ = ["chosen", "lifted", "row", "select", "to_ring"]


def to_ring(party: Party, bits: SecretBits) -> Secret:
    """Each bit as the integer 0 or 1. One round, 24 bytes over all links."""
    if isinstance(party, Checked):
        return party.ring(bits)
    part = lifted(party, bits)
    return party.reshare(None if part is None else part.reshape(bits.shape), bits.shape)


def select(party: Party, bits: SecretBits, chosen_if: Secret, otherwise: Secret | None = None) -> Secret:
    """`chosen_if` where the bit is set, `otherwise` (zero, if not given) where it is not. One round, 32 bytes.

    Args:
        chosen_if: of the bits' shape, or with more dimensions before it: then one bit chooses for all of them.
    """
    wanted = chosen_if if otherwise is None else chosen_if - otherwise
    if isinstance(party, Checked):
        flags = party.ring(bits).reshape(-1)
        picked = party.product(np.multiply, wanted.reshape(-1, flags.size), flags).reshape(*wanted.shape)
    else:
        picked = party.reshare(chosen(party, bits, wanted), wanted.shape)
    return picked if otherwise is None else picked + otherwise


def row(bits: SecretBits, index: int) -> SecretBits:
    """The bits of one entry along the first axis. No message."""
    entries, shape = bits.shape[0], bits.shape[1:]
    size = int(np.prod(bits.shape))
    first, second = (spread(share, size).reshape(entries, -1)[index] for share in (bits.first, bits.second))
    return SecretBits(gathered(first), gathered(second), shape)


def lifted(party: Party, bits: SecretBits) -> Words | None:
    """Parts, at ranks 1 and 2, of the bits as 0 or 1: (values,) words. None at rank 0."""
    size = math.prod(bits.shape)
    if party.helps:
        party.deal([Hand((size,), blend=partial(choose_deal, bits.first ^ bits.second))])
        return None
    half = party.deal([Hand((size,))])[0]
    lift(_seen(party, bits), half, party.rank == 1)
    return half


def chosen(party: Party, bits: SecretBits, wanted: Secret) -> Words | None:
    """Parts, at ranks 1 and 2, of `wanted` where the bit is set and of zero where it is not. None at rank 0."""
    size = math.prod(bits.shape)
    flat = (wanted.size // max(size, 1), size)
    if party.helps:
        plane, total = bits.first ^ bits.second, np.ascontiguousarray(wanted.total).reshape(flat)
        party.deal([Hand((size,), blend=partial(choose_deal, plane)), Hand(flat, blend=partial(keep, plane, total))])
        return None
    flag, dealt = party.deal([Hand((size,)), Hand(flat)])
    value, half = (wanted.second, wanted.first) if party.rank == 1 else (wanted.first, wanted.second)
    known = wanted.total if party.rank == 1 else half
    seen, addend = (np.ascontiguousarray(each).reshape(flat) for each in (value, known))
    choose(_seen(party, bits), flag, seen, addend, dealt)
    return dealt.reshape(wanted.shape)


def _seen(party: Party, bits: SecretBits) -> Words:
    """The share that ranks 1 and 2 have in common."""
    return bits.second if party.rank == 1 else bits.first
