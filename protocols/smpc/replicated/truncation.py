"""A product of two fixed-point numbers has twice the fractional bits: taking them off again, three ways.

z is an array of integers of absolute value under 2**62, f the bits to take off, and an error counts in units of the
result. All three can be fused with resharing a product, whose parts only ranks 1 and 2 hold.

`Rounding.NEAR`: each z / 2**f goes to one of its two neighbours, the upper one with probability (z mod 2**f) / 2**f:
under one unit off, right on average, and exact where nothing is lost. 2 rounds, 16 bytes, 2 bits, and 2 to 8 bytes for
the wrap.
    The parts o_1 + o_2 = z + 2**62 + w 2**64 are shifted locally, which loses w 2**(64 - f). As z + 2**62 < 2**63, the
    wrap w is 1 unless both top bits are 0 (the observation of Escudero, Ghosh, Keller, Rachuri, Scholl 2020, edaBits,
    section 3.1, here for two parts). Each rank knows one top bit; rank 0 deals what their product needs. Rank 1
    rounds its part down and rank 2 up, which is wrong only where rank 2's part is 0, in one of 2**64.
`Rounding.FAST`: the same neighbours, but fails, by 2**(64 - f) units, with probability |z| / 2**64 a value, for
    each part is just shifted (Mohassel and Zhang 2017, SecureML, theorem 1). 1 round, 16 bytes. Of a million products
    of 2**42, one in four runs has a failure: not for large arrays.
`Rounding.EXACT`: floor(z / 2**f + 1/2), nothing random, by working out the carry of the lower bits. About 5 rounds
    and 60 bytes. Here z must stay under 2**62 - 2**(f - 1).
"""

from __future__ import annotations

from enum import Enum

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.replicated.bits import lifted
from protocols.smpc.replicated.carry import tree_for, work_out
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.choices import settle_begin, settle_end
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Hand, Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.slicing import columns_of

__all__ = ["Rounding", "settle", "truncate"]

_LIFT = 62  # 2**62 is added so that what is truncated is not negative


class Rounding(Enum):
    """Which of the three. See the module."""

    NEAR = "near"
    FAST = "fast"
    EXACT = "exact"


def truncate(party: Party, secret: Secret, bits: int, rounding: Rounding = Rounding.NEAR) -> Secret:
    """A secret of absolute value under 2**62 divided by 2**bits, rounded as asked. Raises BadInput: bits not in 0..62.

    For nothing to be learnt and for NEAR's chances to hold, the parts are made random first.
    """
    if bits == 0:
        return secret
    if isinstance(party, Checked):
        return party.divided(secret, bits, exact=rounding is Rounding.EXACT)
    if rounding is Rounding.EXACT:
        return _exactly(party, secret, bits)
    part: Words | None = None
    if party.rank == 1:
        part = secret.total + party.randomness.shared_with(2).draw(secret.shape)
    elif party.rank == 2:
        part = secret.second - party.randomness.shared_with(1).draw(secret.shape)
    return settle(party, part, secret.shape, bits, rounding)


def settle(
    party: Party,
    part: Words | None,
    shape: tuple[int, ...],
    bits: int,
    rounding: Rounding = Rounding.NEAR,
    *,
    product: Hand | None = None,
) -> Secret:
    """Parts that add up at ranks 1 and 2, truncated and shared among all three.

    Args:
        part: this party's; None at rank 0.
        product: what rank 0 is to deal and the ranks to add to their parts first: a product of masks.

    Raises:
        BadInput: bits not in 0..62.
    """
    if not 0 <= bits <= _LIFT:
        raise BadInput(f"0 to {_LIFT} bits can be taken off a ring element, not {bits}.")
    if bits and rounding is Rounding.NEAR:
        return _near(party, part, shape, bits, product)
    halves = party.deal([product]) if product else []
    whole = part if part is None or not halves else np.asarray(part + halves[0])
    if bits and rounding is Rounding.FAST:
        return party.reshare(whole if whole is None else _shifted(party, whole, bits), shape)
    return truncate(party, party.reshare(whole, shape), bits, rounding)


def _shifted(party: Party, part: Words, bits: int) -> Words:
    """Rank 1 rounds down, rank 2 up, as signed numbers."""
    signed = part.view(np.int64)
    return (signed >> bits if party.rank == 1 else -(-signed >> bits)).view(np.uint64)


def _near(party: Party, part: Words | None, shape: tuple[int, ...], bits: int, product: Hand | None) -> Secret:
    size = int(np.prod(shape))
    dtype = np.dtype(np.uint16 if bits <= 16 else np.uint32 if bits <= 32 else np.uint64)
    packed = (-(-size // 8),)
    if part is None:
        second, first = party.masks(packed, np.uint8)
        both = np.bitwise_and(first, second, dtype=np.uint8)
        wrap = Hand((size,), lambda: np.unpackbits(both, count=size, bitorder="little").astype(dtype), dtype)
    else:
        mask = party.mask(packed, np.uint8)
        wrap = Hand((size,), dtype=dtype)
    halves = party.deal([product, wrap] if product else [wrap])
    if part is None:
        party.swap(())
        return party.reshare(None, shape)
    whole = np.array(part, copy=True).reshape(-1)
    clear = settle_begin(whole, halves[0].reshape(-1) if product else None, 1 << _LIFT if party.rank == 1 else 0)
    mine = clear ^ mask
    theirs = party.swap([mine])[0]
    settle_end(whole, bits, party.rank, (clear if party.rank == 1 else mask, mine, theirs), halves[-1])
    return party.reshare(whole.reshape(shape), shape)


def _exactly(party: Party, secret: Secret, bits: int) -> Secret:
    """With a = x_0 + x_1 at rank 0 and b = x_2 + 2**62 + 2**(bits - 1) at the others, a + b = z' + w 2**64:
    z' >> bits is (a >> bits) + (b >> bits) + carry - w 2**(64 - bits), and w = 1 unless both top bits are 0."""
    size, shift, back = secret.size, np.uint64(bits), np.uint64(64 - bits)
    if party.helps:
        mine = secret.total.reshape(-1)
    else:
        seen = secret.second if party.rank == 1 else secret.first
        mine = seen.reshape(-1) + np.uint64((1 << _LIFT) + (1 << (bits - 1)))
    carry = work_out(party, tree_for(bits, size, latency=party.link.latency), np.ascontiguousarray(mine))
    carried = party.reshare_bits(carry, columns_of(size), (size,))
    top = mine >> np.uint64(63)
    halves = party.deal([
        Hand((size,), lambda: mine >> shift),
        Hand((size,), lambda: top << back),
    ])  # fmt: skip
    lift = lifted(party, carried)
    if lift is None:
        return party.reshare(None, secret.shape)
    part = lift + halves[0] - np.where(top == 0, halves[1], np.uint64(0))
    if party.rank == 1:
        part += (mine >> shift) - (top << back) - np.uint64(1 << (_LIFT - bits))
    return party.reshare(part.reshape(secret.shape), secret.shape)
