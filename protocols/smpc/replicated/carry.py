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

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice

import numpy as np

from protocols.smpc.replicated.gates import ALL, join_deal, join_parts, leaf_deal, leaf_parts
from protocols.smpc.replicated.link import Link, Words
from protocols.smpc.replicated.party import Hand, Party
from protocols.smpc.replicated.slicing import blocks, columns_of, planes

__all__ = ["Sum", "Tree", "conjunction", "tree_for", "work_out", "work_out_all"]

_PIECE = 1024  # columns, 65,536 values, that are dealt in one message: a few hundred KiB, which a cache holds
_WIDEST = 7  # bits or groups that are joined at once; 2**7 products for each are dealt then
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
    def leaves(self) -> int:
        """Planes that rank 0 deals for the groups of bits."""
        return self.groups * ((1 << self.leaf) - 1)

    @property
    def dealt(self) -> int:
        """Planes that rank 0 deals."""
        return self.leaves + sum(nodes * self.products(join, heads) for _, join, nodes, heads in self.levels())

    @property
    def opened(self) -> int:
        """Planes that ranks 1 and 2 send each other, each way, before the result."""
        return sum(self.wires * groups for groups, *_ in self.levels())

    def products(self, join: int, heads: int) -> int:
        """Products of masks at one node."""
        below = 1 << (join - 1)
        return below - join + heads * (below - 1) + (below - join if self.carry else 0)


@lru_cache(maxsize=1024)
def tree_for(bits: int, values: int, *, carry: bool = True, latency: float = Link.latency) -> Tree:
    """The tree that is expected to be fastest: more joined at once means fewer rounds and more bytes.

    Args:
        latency: seconds that one more round is taken to cost.
    """

    def cost(tree: Tree) -> float:
        return latency * len(tree.joins) + _BYTE * values / 8 * (tree.dealt + 2 * tree.opened)

    def joins_of(groups: int) -> Iterator[tuple[int, ...]]:
        if groups == 1:
            yield ()
        for join in range(2, min(groups, _WIDEST) + 1):
            for rest in joins_of(-(-groups // join)):
                yield (join, *rest)

    leaves = range(min(bits, 3), min(bits, _WIDEST) + 1)
    return min((Tree(bits, leaf, joins, carry) for leaf in leaves for joins in joins_of(-(-bits // leaf))), key=cost)


@dataclass(frozen=True, eq=False)
class Sum:
    """A sum a + b, of which rank 0 knows a, and ranks 1 and 2 know b.

    Attributes:
        tree: how it is worked out.
        known: (n,) contiguous 64-bit words: what this rank knows.
        top: whether the result is to be changed by the bits of a and b that come after the tree's: a sign.
    """

    tree: Tree
    known: Words
    top: bool = False


def work_out(party: Party, tree: Tree, known: Words, *, top: bool = False) -> Words | None:
    """`work_out_all` for one sum."""
    return work_out_all(party, [Sum(tree, known, top)])[0]


def work_out_all(party: Party, sums: Sequence[Sum]) -> list[Words | None]:
    """Each sum's carry, or whether all bits of a ^ b are set, for each lane; all of them in the same rounds.

    Returns:
        For each sum, at ranks 1 and 2, (columns,) words whose exclusive or is the result; None at rank 0. Unmasked: to
        be masked before they are sent.
    """
    works = [(_prepared if party.helps else _evaluated)(party, each) for each in sums]
    found: dict[int, Words | None] = {}
    arrived: dict[int, list[Words] | None] = dict.fromkeys(range(len(works)))
    while True:
        out: dict[int, list[Words]] = {}
        for number, into in arrived.items():
            try:
                out[number] = next(works[number]) if into is None else works[number].send(into)
            except StopIteration as end:
                found[number] = end.value
        if not out:
            return [found[number] for number in range(len(works))]
        came = iter(party.swap([array for arrays in out.values() for array in arrays]))
        arrived = {number: list(islice(came, len(arrays))) for number, arrays in out.items()}


def conjunction(party: Party, known: Words) -> Words | None:
    """For each lane, whether a_i xor b_i is set for all of up to 7 bits i: parts as `work_out` has them.

    Args:
        known: (bits, columns), contiguous: what this rank knows, a at rank 0 and b at ranks 1 and 2.
    """
    leaf, columns = known.shape
    count, ones = (1 << leaf) - 1, ALL if party.rank == 1 else np.uint64(0)
    hand = _hand(count, columns, partial(leaf_deal, known, leaf) if party.helps else None)
    dealt = party.deal([hand])
    return None if party.helps else leaf_parts(known, leaf, (False, True), ones, dealt[0])[0, 0]


_Work = Generator[list[Words], list[Words], Words | None]
"""Yields what is to be swapped, and is sent what came; returns the result."""


def _prepared(party: Party, wanted: Sum) -> _Work:
    """Rank 0's side: it deals, piece by piece, so that the others need not wait for the whole."""
    tree, known = wanted.tree, wanted.known
    pieces = list(blocks(columns_of(known.size), _PIECE))
    for part in pieces:
        bits, width = planes(known, tree.bits + wanted.top, part), part.stop - part.start
        hands = [_hand(tree.leaves, width, partial(leaf_deal, bits[: tree.bits], tree.leaf))]
        if wanted.top:
            hands.append(Hand((1, width), partial(_last, bits), bitwise=True))
        party.deal(hands)
    for groups, join, nodes, heads in tree.levels():
        masks = [np.bitwise_xor(*party.masks((tree.wires, groups, part.stop - part.start))) for part in pieces]
        yield []
        for mask in masks:
            count = nodes * tree.products(join, heads)
            party.deal([_hand(count, mask.shape[-1], partial(join_deal, mask, join, heads))])
    return None


def _hand(planes: int, width: int, blend: Callable[[Words], None] | None = None) -> Hand:
    return Hand((planes, width), bitwise=True, blend=blend)


def _last(bits: Words) -> Words:
    return bits[-1:]


def _evaluated(party: Party, wanted: Sum) -> _Work:
    """The side of ranks 1 and 2."""
    tree, known = wanted.tree, wanted.known
    ones = ALL if party.rank == 1 else np.uint64(0)
    pieces = list(blocks(columns_of(known.size), _PIECE))
    parts, tops = [], []
    for part in pieces:
        bits, width = planes(known, tree.bits + wanted.top, part), part.stop - part.start
        dealt = party.deal([_hand(tree.leaves, width), *([_hand(1, width)] if wanted.top else [])])
        kinds = (tree.carry, bool(tree.joins) or not tree.carry)
        parts.append(leaf_parts(bits[: tree.bits], tree.leaf, kinds, ones, dealt[0]))
        if wanted.top:
            tops.append(dealt[1][0] ^ bits[-1] if party.rank == 1 else dealt[1][0])
    for _, join, nodes, heads in tree.levels():
        masks = [party.mask(piece.shape) for piece in parts]
        sent = [np.bitwise_xor(piece, mask, out=piece) for piece, mask in zip(parts, masks, strict=True)]
        theirs = yield sent
        for place, (mask, mine, their) in enumerate(zip(masks, sent, theirs, strict=True)):
            dealt = party.deal([_hand(nodes * tree.products(join, heads), mask.shape[-1])])
            seen = np.bitwise_xor(mine, their, out=their)
            parts[place] = join_parts((seen, mask), join, heads, ones, dealt[0])
    result = np.concatenate([piece[0, 0] for piece in parts])
    if tops:
        result ^= np.concatenate(tops)
    return result
