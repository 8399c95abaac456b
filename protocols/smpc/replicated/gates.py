"""Products of bits, in groups: the local half of a carry's tree, on planes. Pure: knows no party and no message.

The mathematics is in `carry`. Planes have 64 values to a word. Of a group with wires p_0 ... p_(r-1), a subset of all
but the first is a number whose bit i - 1 stands for p_i, and what belongs to subsets stands in the numbers' order.
Compiled code does this where there is some (`native`), numpy elsewhere, and both give the same.
"""

from __future__ import annotations

import numpy as np

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.native.bits import compiled

__all__ = ["ALL", "join_deal", "join_parts", "leaf_deal", "leaf_parts"]

ALL = np.uint64(2**64 - 1)


def leaf_deal(bits: Words, leaf: int, into: Words) -> None:
    """Blend into a half all that rank 0 deals for groups of bits: products of the bits of a.

    Args:
        bits: (count, columns) planes of a.
        into: (groups * (2**leaf - 1), columns).
    """
    if (native := compiled()) is not None:
        native("leaf_deal", bits, len(bits), leaf, bits.shape[1], into)
        return
    groups = _grouped(bits[None], leaf, 0)[0]
    products, size = _products(groups), 2 ** (leaf - 1)
    rows = into.reshape(-1, len(groups), into.shape[-1])
    rows[: size - 1] ^= products[1:]
    rows[size - 1 :] ^= products & groups[:, 0]


def leaf_parts(bits: Words, leaf: int, wanted: tuple[bool, bool], ones: np.uint64, dealt: Words) -> Words:
    """A rank's parts of what describes each group.

    Args:
        bits: (count, columns) planes of b.
        wanted: whether generate, whether propagate is wanted; without the first, bits are compared, not added.
        ones: this rank's part of all ones.
        dealt: as `leaf_deal` blends into.

    Returns:
        (1 or 2, groups, columns).
    """
    count, columns = bits.shape
    groups = -(-count // leaf)
    if (native := compiled()) is not None:
        out: Words = np.empty((sum(wanted), groups, columns), np.uint64)
        native("leaf", bits, count, leaf, columns, *map(int, wanted), int(ones), dealt, out)
        return out
    generate, propagate = wanted
    seen, size = _grouped(bits[None], leaf, 0 if generate else ALL)[0], 2 ** (leaf - 1)
    rows = dealt.reshape(-1, groups, columns)
    table, heads = np.concatenate([np.full_like(rows[:1], ones), rows[: size - 1]]), rows[size - 1 :]
    tops = []
    if generate:
        tops.append(seen[:, 0] & heads)
    if propagate:
        tops.append(heads ^ (seen[:, 0] & table))
    rests = [seen[:, i] & table[1 << (i - 1) :: 1 << i] for i in range(1, leaf)] if generate else []
    return _fold(np.stack(tops), rests, seen)


def join_deal(wires: Words, join: int, wanted: int, into: Words) -> None:
    """Blend into a half all that rank 0 deals for joining groups: products of the wires' masks.

    Args:
        wires: (1 or 2, groups, columns) whole masks of the wires; two, if carries are wanted.
        wanted: bits that are to describe each node.
        into: (nodes * products, columns).
    """
    kinds, count, columns = wires.shape
    if (native := compiled()) is not None:
        native("join_deal", wires, count, join, columns, int(kinds == 2), wanted, into)
        return
    groups = _grouped(wires, join, 0)
    products, below = _products(groups[-1]), 2 ** (join - 1)
    rows = _Rows(into, groups.shape[1])
    rows.take(below - join)[...] ^= products[_several(join)]
    for k in range(wanted):
        rows.take(below - 1)[...] ^= products[1:] & groups[k, :, 0]
    for i in range(1, join) if kinds == 2 else ():
        rows.take(2 ** (join - 1 - i) - 1)[...] ^= products[1 << i :: 1 << i] & groups[0, :, i]


def join_parts(wires: tuple[Words, Words], join: int, wanted: int, ones: np.uint64, dealt: Words) -> Words:
    """A rank's parts of what describes groups that are joined.

    Args:
        wires: (1 or 2, groups, columns) each: masked, as both ranks see them, and this rank's half of their masks.
        wanted, ones, dealt: as above.

    Returns:
        (wanted, nodes, columns).
    """
    seen, mask = wires
    kinds, count, columns = seen.shape
    nodes = -(-count // join)
    if (native := compiled()) is not None:
        out: Words = np.empty((wanted, nodes, columns), np.uint64)
        native("join", seen, mask, count, join, columns, int(kinds == 2), wanted, int(ones), dealt, out)
        return out
    seen, mask = _grouped(seen, join, 0 if kinds == 2 else ALL), _grouped(mask, join, 0)
    rows, size = _Rows(dealt, nodes), 2 ** (join - 1)
    table: Words = np.empty((size, nodes, columns), np.uint64)
    table[0] = ones
    for i in range(1, join):
        table[1 << (i - 1)] = mask[-1, :, i]
    table[_several(join)] = rows.take(size - join)
    tops = np.stack([seen[k, :, 0] & table for k in range(wanted)])
    for k in range(wanted):
        tops[k, 0] ^= mask[k, :, 0]
        tops[k, 1:] ^= rows.take(size - 1)
    rests = []
    for i in range(1, join) if kinds == 2 else ():
        rests.append(seen[0, :, i] & table[0 :: 1 << i])
        rests[-1][0] ^= mask[0, :, i]
        rests[-1][1:] ^= rows.take(2 ** (join - 1 - i) - 1)
    return _fold(tops, rests, seen[-1])


class _Rows:
    """Planes of one message, taken in order as (count, nodes, columns)."""

    def __init__(self, planes: Words, nodes: int) -> None:
        self._planes = planes.reshape(-1, nodes, planes.shape[-1])
        self._taken = 0

    def take(self, count: int) -> Words:
        start, self._taken = self._taken, self._taken + count
        return self._planes[start : self._taken]


def _grouped(planes: Words, size: int, fill: int | np.uint64) -> Words:
    """(kinds, n, columns) to (kinds, groups, size, columns), with neutral planes below the lowest."""
    kinds, count, columns = planes.shape
    low = -count % size
    out: Words = np.empty((kinds, low + count, columns), np.uint64)
    out[:, :low] = fill
    out[:, low:] = planes
    return out.reshape(kinds, -1, size, columns)


def _several(join: int) -> list[int]:
    """The subsets of join - 1 wires, as bit masks, that have more than one member."""
    return [subset for subset in range(2 ** (join - 1)) if subset.bit_count() > 1]


def _products(wires: Words) -> Words:
    """(nodes, join, columns) wires to (2**(join - 1), nodes, columns): all products of all wires but the first."""
    nodes, join, columns = wires.shape
    out: Words = np.empty((2 ** (join - 1), nodes, columns), np.uint64)
    out[0] = ALL
    for i in range(1, join):
        half = 1 << (i - 1)
        np.bitwise_and(out[:half], wires[:, i], out=out[half : 2 * half])
    return out


def _fold(tops: Words, rests: list[Words], seen: Words) -> Words:
    """Put the seen values of all wires but the first in place of their masks' products, one wire after another.

    Args:
        tops: (wires, 2**(join - 1), nodes, columns): parts of g_0 and p_0 times each product.
        rests: the same of g_1, g_2, ..., times the products of the wires above.
        seen: (nodes, join, columns) of the propagate wires.
    """
    for i in range(1, seen.shape[1]):
        tops = tops[:, 1::2] ^ (seen[:, i] & tops[:, 0::2])
        if rests:
            tops[0] ^= rests[i - 1]
    return tops[:, 0]
