"""The carry out of a sum, and whether a sum is zero, over bit planes: the heart of every comparison.

The sum is a + b: rank 0 knows a, the sum of two shares, and ranks 1 and 2 both know b, the third. So the bits of b are
the bits a_i xor b_i under the mask a_i, with nothing sent. Groups of `leaf` bits are then worked out at once from
products of the bits of a, which rank 0 deals, and groups are joined in a tree. Of a group, generate and propagate are

    G = g_(r-1) ^ p_(r-1) (g_(r-2) ^ p_(r-2) (... g_0))     P = p_(r-1) ... p_0

polynomials in wires each of which is a value both ranks see and a mask that rank 0 knows: their products of masks are
dealt, the rest is local, and one bit each way opens the result under its own mask (multi-input AND gates, Patra,
Schneider, Suresh, Yalame 2021, ABY2.0, section 3.3, with rank 0 in place of their preparation).

What it costs a value, over all three links together, and in rounds between ranks 1 and 2:

    63 bits, leaf 3, joined by 3, 2, 2, 2    354 bits    4 rounds, and one to open the result
    63 bits, leaf 3, joined by 3, 3, 3       358 bits    3
    63 bits, leaf 4, joined by 4, 4          425 bits    2
    63 bits as a tree of ANDs on shares      607 bits    6 (Araki et al. 2016, one bit a party and AND)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.slicing import WORD, blocks

__all__ = ["Tree", "tree_for", "work_out"]

_ROUND = 1e-4  # seconds that one more round is taken to cost
_BYTE = 1e-9  # seconds that one more byte is taken to cost


@dataclass(frozen=True, slots=True)
class Tree:
    """How many bits are joined at once.

    Attributes:
        bits: of the sum.
        leaf: bits in a group that is worked out without a message.
        joins: groups joined at each level; at the last, one is left.
        carry: whether the carry is wanted, and not whether all bits of the sum are set.
    """

    bits: int
    leaf: int
    joins: tuple[int, ...]
    carry: bool = True

    @property
    def groups(self) -> int:
        return -(-self.bits // self.leaf)

    @property
    def wires(self) -> int:
        """Bits that describe a group: generate and propagate, or the second alone."""
        return 2 if self.carry else 1

    def levels(self) -> Iterator[tuple[int, int, int, int]]:
        """For each join: groups before it, how many are joined at once, nodes, and bits wanted of each node."""
        groups = self.groups
        for join in self.joins:
            nodes = -(-groups // join)
            yield groups, join, nodes, 1 if nodes == 1 else self.wires
            groups = nodes

    @property
    def dealt(self) -> int:
        """Planes that rank 0 deals."""
        leaves = self.groups * ((1 << self.leaf) - 1)
        return leaves + sum(nodes * self.products(join, heads) for _, join, nodes, heads in self.levels())

    @property
    def opened(self) -> int:
        """Planes that ranks 1 and 2 send each other, each way, before the result."""
        return sum(self.wires * groups for groups, *_ in self.levels())

    def products(self, join: int, heads: int) -> int:
        """Products of masks at one node."""
        below = 1 << (join - 1)
        return below - join + heads * (below - 1) + (below - join if self.carry else 0)


@lru_cache(maxsize=256)
def tree_for(bits: int, values: int, *, carry: bool = True) -> Tree:
    """The tree that is expected to be fastest: more joined at once means fewer rounds and more bytes."""

    def cost(tree: Tree) -> float:
        return _ROUND * len(tree.joins) + _BYTE * values / 8 * (tree.dealt + 2 * tree.opened)

    def joins_of(groups: int) -> Iterator[tuple[int, ...]]:
        if groups == 1:
            yield ()
        for join in (2, 3, 4) if groups > 1 else ():
            for rest in joins_of(-(-groups // join)):
                yield (join, *rest)

    return min((Tree(bits, leaf, joins, carry) for leaf in (3, 4) for joins in joins_of(-(-bits // leaf))), key=cost)


def work_out(party: Party, tree: Tree, known: Words, extra: Words) -> Words | None:
    """The carry out of a + b, or whether all bits of a ^ b are set, for each lane.

    Args:
        known: (tree.bits, columns) planes, a at rank 0 and b at ranks 1 and 2.
        extra: (m, columns) more planes of a, each to be added to the result; at ranks 1 and 2 their own share of
            what else is to be added, the same shape.

    Returns:
        (columns,) words at ranks 1 and 2 whose exclusive or is the result; None at rank 0. Unmasked: to be masked
        before it is sent.
    """
    low = tree.groups * tree.leaf - tree.bits
    fill = 0 if tree.carry or party.helps else ~np.uint64(0)
    groups = _lengthened(known[None], low, fill).reshape(tree.groups, tree.leaf, -1)
    if party.helps:
        _deal(party, tree, groups, extra)
        return None
    return _evaluate(party, tree, groups, extra)


class _Rows:
    """Planes of one message, taken in order as (count, nodes, columns)."""

    def __init__(self, planes: Words) -> None:
        self._planes = planes
        self._taken = 0

    def take(self, count: int, nodes: int) -> Words:
        start, self._taken = self._taken, self._taken + count * nodes
        return self._planes[start : self._taken].reshape(count, nodes, self._planes.shape[-1])


def _width(nodes: int) -> int:
    """Columns at a time, so that a node's tables stay in the second-level cache."""
    return max(WORD, 32768 // nodes)


def _padded(wires: Words, join: int, fill: int | np.uint64) -> Words:
    """(wires, groups, columns) to (wires, nodes, join, columns), with neutral groups below the lowest."""
    kinds, groups, columns = wires.shape
    return _lengthened(wires, -groups % join, fill).reshape(kinds, -1, join, columns)


def _lengthened(planes: Words, low: int, fill: int | np.uint64) -> Words:
    """(kinds, n, columns) with `low` planes more below. numpy.pad would take a third of a small comparison's time."""
    if not low:
        return planes
    kinds, count, columns = planes.shape
    out: Words = np.empty((kinds, low + count, columns), np.uint64)
    out[:, :low] = fill
    out[:, low:] = planes
    return out


def _deal(party: Party, tree: Tree, bits: Words, extra: Words) -> None:
    one, two = party.randomness.shared_with(1), party.randomness.shared_with(2)
    columns = bits.shape[-1]
    out = two.draw((tree.dealt + len(extra), columns))
    rows = _Rows(out)
    table, heads = rows.take(2 ** (tree.leaf - 1) - 1, tree.groups), rows.take(2 ** (tree.leaf - 1), tree.groups)
    for part in blocks(columns, _width(tree.groups)):
        products = _products(bits[:, :, part])
        table[..., part] ^= products[1:]
        heads[..., part] ^= products & bits[:, 0, part]
    for groups, join, nodes, wanted in tree.levels():
        mask = two.draw((tree.wires, groups, columns))
        mask ^= one.draw((tree.wires, groups, columns))
        wires, below = _padded(mask, join, 0), 2 ** (join - 1)
        table = rows.take(below - join, nodes)
        tops = [rows.take(below - 1, nodes) for _ in range(wanted)]
        rests = [rows.take(2 ** (join - 1 - i) - 1, nodes) for i in range(1, join)] if tree.carry else []
        for part in blocks(columns, _width(nodes)):
            products = _products(wires[-1, :, :, part])
            table[..., part] ^= products[_several(join)]
            for top, wire in zip(tops, wires, strict=False):
                top[..., part] ^= products[1:] & wire[:, 0, part]
            for i, rest in enumerate(rests, 1):
                rest[..., part] ^= products[1 << i :: 1 << i] & wires[0, :, i, part]
    rows.take(len(extra), 1)[:, 0] ^= extra
    party.link.exchange(1, [out], 1, ())


def _several(join: int) -> list[int]:
    """The subsets of join - 1 wires, as bit masks, that have more than one member."""
    return [subset for subset in range(2 ** (join - 1)) if subset.bit_count() > 1]


def _products(wires: Words) -> Words:
    """(nodes, join, columns) wires to (2**(join - 1), nodes, columns): all products of all wires but the first."""
    nodes, join, columns = wires.shape
    out: Words = np.empty((2 ** (join - 1), nodes, columns), np.uint64)
    out[0] = ~np.uint64(0)
    for i in range(1, join):
        half = 1 << (i - 1)
        np.bitwise_and(out[:half], wires[:, i], out=out[half : 2 * half])
    return out


def _evaluate(party: Party, tree: Tree, bits: Words, extra: Words) -> Words:
    columns = bits.shape[-1]
    rows = _Rows(_dealt(party, tree.dealt + len(extra), columns))
    ones = ~np.uint64(0) if party.rank == 1 else np.uint64(0)
    parts = _leaves(tree, bits, rows, ones)
    for groups, join, nodes, wanted in tree.levels():
        mask = party.mask((tree.wires, groups, columns))
        parts ^= mask
        parts ^= party.swap([parts])[0]
        fill = 0 if tree.carry else ~np.uint64(0)
        parts = _join(tree, _padded(parts, join, fill), _padded(mask, join, 0), (nodes, wanted), (rows, ones))
    result: Words = np.bitwise_xor.reduce(rows.take(len(extra), 1)[:, 0], axis=0)
    result ^= np.bitwise_xor.reduce(extra, axis=0)
    result ^= parts[0, 0]
    return result


def _dealt(party: Party, planes: int, columns: int) -> Words:
    if party.rank == 2:
        return party.mask((planes, columns))
    into: Words = np.empty((planes, columns), np.uint64)
    party.link.exchange(0, (), 0, [into])
    return into


def _leaves(tree: Tree, bits: Words, rows: _Rows, ones: np.uint64) -> Words:
    """Each group's wires, in parts: bits of b are seen, bits of a are their masks."""
    columns, size = bits.shape[-1], 2 ** (tree.leaf - 1)
    dealt, heads = rows.take(size - 1, tree.groups), rows.take(size, tree.groups)
    out: Words = np.empty((tree.wires if tree.joins else 1, tree.groups, columns), np.uint64)
    for part in blocks(columns, _width(tree.groups)):
        seen = bits[:, :, part]
        table = np.concatenate([np.full_like(heads[:1, :, part], ones), dealt[..., part]])
        tops = []
        if tree.carry:
            tops.append(seen[:, 0] & heads[..., part])
        if tree.joins or not tree.carry:
            tops.append(heads[..., part] ^ (seen[:, 0] & table))
        rests = [seen[:, i] & table[1 << (i - 1) :: 1 << i] for i in range(1, tree.leaf)] if tree.carry else []
        out[..., part] = _fold(np.stack(tops), rests, seen)
    return out


def _join(tree: Tree, seen: Words, mask: Words, shape: tuple[int, int], dealt: tuple[_Rows, np.uint64]) -> Words:
    """The wires of groups that are joined, in parts."""
    (nodes, wanted), (rows, ones) = shape, dealt
    join, columns = seen.shape[2:]
    size = 2 ** (join - 1)
    products = rows.take(size - join, nodes)
    heads = [rows.take(size - 1, nodes) for _ in range(wanted)]
    dealt_rests = [rows.take(2 ** (join - 1 - i) - 1, nodes) for i in range(1, join)] if tree.carry else []
    out: Words = np.empty((wanted, nodes, columns), np.uint64)
    for part in blocks(columns, _width(nodes)):
        table: Words = np.empty((size, nodes, part.stop - part.start), np.uint64)
        table[0] = ones
        for i in range(1, join):
            table[1 << (i - 1)] = mask[-1, :, i, part]
        table[_several(join)] = products[..., part]
        tops = np.empty((wanted, *table.shape), np.uint64)
        for k, head in enumerate(heads):
            np.bitwise_and(seen[k, :, 0, part], table, out=tops[k])
            tops[k, 0] ^= mask[k, :, 0, part]
            tops[k, 1:] ^= head[..., part]
        rests = []
        for i, rest in enumerate(dealt_rests, 1):
            term = seen[0, :, i, part] & table[0 :: 1 << i]
            term[0] ^= mask[0, :, i, part]
            term[1:] ^= rest[..., part]
            rests.append(term)
        out[..., part] = _fold(tops, rests, seen[-1, :, :, part])
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
