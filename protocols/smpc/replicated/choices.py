"""What is done with one bit for each of many words: choosing by it, lifting it, and the wrap of a sum. Pure.

A bit is u xor v, with u known to rank 0 and v to ranks 1 and 2, and so is a plane of them (`slicing`). Compiled code
does this where there is some (`native`), numpy elsewhere, and both give the same. All functions work in place.
"""

from __future__ import annotations

import numpy as np

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.native.bits import compiled
from protocols.smpc.replicated.slicing import spread

__all__ = ["choose", "choose_deal", "keep", "lift", "settle_begin", "settle_end"]

_ONE = np.uint64(1)


def choose_deal(plane: Words, flag: Words) -> None:
    """At rank 0: (size,) one rank's half of u turned into the other's."""
    if (native := compiled()) is not None:
        native("choose_deal", plane, flag.size, len(plane), flag)
        return
    np.subtract(spread(plane, flag.size) & _ONE, flag, out=flag)


def keep(plane: Words, total: Words, value: Words) -> None:
    """At rank 0: one rank's half of u times a mask turned into the other's.

    Args:
        total, value: (stacks, size), contiguous: the mask, and the half; one bit of u for a whole column.
    """
    stacks, size = value.shape
    if (native := compiled()) is not None:
        native("keep", plane, size, len(plane), stacks, total, value)
        return
    np.subtract(total & spread(plane, size), value, out=value)


def choose(plane: Words, flag: Words, value: Words, known: Words, dealt: Words) -> None:
    """At ranks 1 and 2: parts of a value m + l where the bit is set and of zero where it is not, in place of `dealt`.

    (u xor v)(m + l) is u m + u l where v = 0, and m + l - u m - u l where v = 1.

    Args:
        plane: v.
        flag: (size,) this rank's half of u.
        value: (stacks, size) m, contiguous, as all that follow.
        known: m and this rank's half of l, added at rank 1; that half at rank 2.
        dealt: this rank's half of u l.
    """
    if (native := compiled()) is not None:
        native("choose", plane, flag.size, len(plane), len(value), flag, value, known, dealt)
        return
    turn = spread(plane, flag.size)
    dealt += flag * value
    dealt ^= turn
    dealt -= turn
    dealt += known & turn


def lift(plane: Words, half: Words, one: bool) -> None:
    """At ranks 1 and 2: a half of u turned into a part of the bit as 0 or 1. `one`: at rank 1, which adds v."""
    if (native := compiled()) is not None:
        native("lift", plane, half.size, len(plane), int(one), half)
        return
    turn = spread(plane, half.size)
    half ^= turn
    half -= turn
    if one:
        half += turn & _ONE


def settle_begin(whole: Words, more: Words | None, lift: int) -> Words:
    """Add `more` and a constant to (size,) words; returns packed bytes of where their top bit is 0."""
    packed: Words = np.empty(-(-whole.size // 8), np.uint8)
    if (native := compiled()) is not None:
        native("settle_begin", whole.size, lift, more, whole, packed)
        return packed
    if more is not None:
        whole += more
    whole += np.uint64(lift)
    return np.packbits(whole.view(np.int64) >= 0, bitorder="little")


def settle_end(whole: Words, bits: int, rank: int, clear: tuple[Words, Words, Words], half: Words) -> None:
    """Shift parts of z + 2**62 by `bits` and put back what their wrap has lost, in place; see `truncation`.

    With s' = s xor a and t' = t xor b opened, s known to rank 1 and t to rank 2, where rank 0 dealt parts of a b,
    s t = s t' + (1 - 2t') (s' b + (1 - 2s') a b) (after Beaver 1991).

    Args:
        clear: packed bits: at rank 1 s, s' and t'; at rank 2 b, t' and s'.
        half: (size,) this rank's half of a b, in words of at least `bits` bits.
    """
    if (native := compiled()) is not None:
        native("settle_end", whole.size, bits, half.itemsize, rank, *clear, half, whole)
        return
    own, mine, theirs = clear

    def unpacked(packed: Words) -> Words:
        return np.unpackbits(packed, count=half.size, bitorder="little").astype(half.dtype)

    turn = np.negative(unpacked(mine ^ theirs))
    both: Words = (half ^ turn) - turn
    if rank == 1:
        both += unpacked(own & theirs)
    else:
        known, turn = unpacked(theirs & own), np.negative(unpacked(mine))
        both += (known ^ turn) - turn
        whole -= _ONE
    whole >>= np.uint64(bits)
    whole += both.astype(np.uint64) << np.uint64(64 - bits)
    if rank == 1:
        whole -= np.uint64((1 << (64 - bits)) + (1 << (62 - bits)) - 1)
