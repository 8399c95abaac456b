"""Products written down, and checked all together: cut and choose with buckets.

To check N products, B N + B random triples are made as products are, so a cheating party can only have added values to
some. Then, when nobody can change anything any more, a coin is tossed, by which the triples are shuffled. B of them are
opened and recomputed. The others are dealt out, B to each product, and each compares with it (Furukawa, Lindell, Nof,
Weinstein 2017, protocol 2.24): with x - a and y - b opened, z - c - (x - a) y - (y - b) a is the difference of what was
added to z and to c, whatever x and y are, and must be zero.

Whoever added to m > 0 products, and was not found out, has added to all B m triples that they met and to no other one.
Triples were chosen before the shuffle, so these must have fallen on exactly these of B N + B places: one chance in
binomial(B N + B, B m), which is least for m = 1 and m = N. Hence with M = B (N + 1)

    chance of a cheat not being found <= 1 / binomial(M, B) <= 2**-41,

for the least B for which this holds: 23 for a single product, 6 for 100, 4 for a thousand, 3 for 10**4, 2 for 2**20. As
in Araki et al. 2017, section 3.4, products wait for the shuffle themselves, so that buckets are smaller than where any
bad bucket would do. The argument counts bad units, so it holds for any ring and for any bilinear operation: a unit is
one product of ring elements, one word of 64 ANDs, or one whole operation (`check_whole`).

A product costs a party B + 1 words for itself and its triples, and 2 B words to open: 56 to 80 bytes where there are
many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np

from protocols.smpc.replicated.checked.contract import Operation
from protocols.smpc.replicated.checked.triangle import Triangle
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.randomness import Correlated, Stream
from protocols.smpc.replicated.sharing import Secret

__all__ = ["BITS", "MOST", "NUMBERS", "SECURITY", "Ledger", "Ring", "bucket_size", "check", "check_whole", "shuffled"]

Triple = tuple[Secret, Secret, Secret]
"""Two factors, and what is claimed to be their product."""

Opening = tuple[Sequence[Secret], Callable[[Sequence[Words]], None]]
"""What is to be opened, and what is done with the shares that this party lacked."""

SECURITY = 41
"""No check misses with a chance of over 2**-41, and no cheat meets more than two of them."""

MOST = 2**20
"""Products that are checked at once. So many need 2 triples each, and some 200 MiB for a moment."""

_AT_ONCE = 2**18  # words opened in one message each


@dataclass(frozen=True, slots=True)
class Ring:
    """What products are taken in: 64-bit numbers, or 64 bits at a time."""

    minus: Operation
    times: Operation
    zero: Callable[[Correlated, tuple[int, ...]], Words]
    bitwise: bool

    def part(self, triangle: Triangle, operation: Operation, left: Secret, right: Secret) -> Words:
        """x_i (y_i + y_(i+1)) + x_(i+1) y_i, and a part of zero: to be sent back (Araki et al. 2016, section 2.2)."""
        if self.bitwise:
            part = operation(left.first, right.first ^ right.second) ^ operation(left.second, right.first)
            part ^= self.zero(triangle.randomness, part.shape)
        else:
            part = operation(left.first, right.total) + operation(left.second, right.first)
            part += self.zero(triangle.randomness, part.shape)
        return np.ascontiguousarray(part)

    def less(self, left: Secret, right: Secret) -> Secret:
        """The difference."""
        return Secret(self.minus(left.first, right.first), self.minus(left.second, right.second))

    def whole(self, shares: Secret, lacking: Words) -> Words:
        """All three shares put together. For bits, the difference is the sum."""
        return (shares.first ^ shares.second ^ lacking) if self.bitwise else (shares.total + lacking)


NUMBERS = Ring(np.subtract, np.multiply, Correlated.zero, bitwise=False)
BITS = Ring(np.bitwise_xor, np.bitwise_and, Correlated.zero_bits, bitwise=True)


@cache
def bucket_size(products: int) -> int:
    """The least number of triples a product for which no cheat is missed with a chance of over 2**-41."""
    size = 1
    while math.comb(size * (products + 1), size) < 2**SECURITY:
        size += 1
    return size


def shuffled(coins: Stream, count: int) -> Words:
    """A permutation that everybody makes from the same coins: by random keys, drawn again if any two are the same."""
    while True:
        keys = coins.draw(count)
        order = np.argsort(keys)
        ordered = keys[order]
        if not (ordered[1:] == ordered[:-1]).any():
            return order


class Ledger:
    """Products of one ring that have been claimed, element by element, and not yet checked."""

    def __init__(self, triangle: Triangle, ring: Ring) -> None:
        self.ring = ring
        self._triangle = triangle
        self._claims: list[Words] = []  # (6, n) each: both shares of left, right and product
        self.count = 0

    def multiply(self, left: Secret, right: Secret) -> Secret:
        """Element by element, shapes broadcast. One round, one word each."""
        shape = np.broadcast_shapes(left.shape, right.shape)
        left, right = (side.broadcast_to(shape).reshape(-1) for side in (left, right))
        product = self._triangle.back([self.ring.part(self._triangle, self.ring.times, left, right)])[0]
        self.claim(left, right, product)
        return product.reshape(*shape)

    def claim(self, left: Secret, right: Secret, product: Secret) -> None:
        """Have it checked that these are products. All of one shape. Copied: they may be changed in place later."""
        shares = [share.reshape(-1) for each in (left, right, product) for share in (each.first, each.second)]
        self._claims.append(np.stack(shares))
        self.count += product.size
        while self.count >= MOST:
            check(self._triangle, [self])

    def take(self) -> Triple:
        """The next claims to be checked, `MOST` at a time."""
        rows = np.concatenate(self._claims, axis=1)
        self.count = max(self.count - MOST, 0)
        self._claims = [rows[:, MOST:]] if self.count else []
        now = rows[:, :MOST]
        return Secret(now[0], now[1]), Secret(now[2], now[3]), Secret(now[4], now[5])


def check(triangle: Triangle, ledgers: Sequence[Ledger]) -> None:
    """Check what they have been told: what is found is known once parties `agree`. Three rounds and those of a toss."""
    claims = [(ledger.ring, ledger.take()) for ledger in ledgers if ledger.count]
    if not claims:
        return
    pairs = []
    for ring, (left, _, _) in claims:
        shape = (bucket_size(left.size) * (left.size + 1),)
        pairs.append((ring, triangle.random(shape), triangle.random(shape)))
    products = triangle.back([ring.part(triangle, ring.times, a, b) for ring, a, b in pairs])
    coins = Stream(triangle.toss(), b"buckets")
    works = []
    for (ring, claim), (_, a, b), c in zip(claims, pairs, products, strict=True):
        works.append(_opened_and_compared(triangle, ring, claim, (a, b, c), shuffled(coins, a.size)))
    _open_all(triangle, chain.from_iterable(works))


def check_whole(triangle: Triangle, operation: Operation, left: Secret, right: Secret, product: Secret) -> None:
    """Check one operation of any kind against 23 random ones of the same shapes; as many are opened.

    It takes about a hundred times the operation itself: for what has no check of its own.
    """
    size = bucket_size(1)
    pairs = [(triangle.random(left.shape), triangle.random(right.shape)) for _ in range(2 * size)]
    products = triangle.back([NUMBERS.part(triangle, operation, a, b) for a, b in pairs])
    triples = [(a, b, c) for (a, b), c in zip(pairs, products, strict=True)]
    order = shuffled(Stream(triangle.toss(), b"buckets"), 2 * size)
    works = [_recomputed(triangle, NUMBERS, operation, triples[place]) for place in order[:size]]
    claim = (left, right, product)
    works += [_compared(triangle, NUMBERS, operation, claim, triples[place]) for place in order[size:]]
    _open_all(triangle, works)


def _opened_and_compared(
    triangle: Triangle, ring: Ring, claim: Triple, triples: Triple, order: Words
) -> Iterator[Opening]:
    """The first triples are opened, and the others compared with claims, each claim with as many others."""
    count = claim[0].size
    size = bucket_size(count)
    a, b, c = (column[order[:size]] for column in triples)
    yield _recomputed(triangle, ring, ring.times, (a, b, c))
    for first in range(size, len(order), count):
        for start in range(0, count, _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, count))
            x, y, z = (column[part] for column in claim)
            a, b, c = (column[order[first + part.start : first + part.stop]] for column in triples)
            yield _compared(triangle, ring, ring.times, (x, y, z), (a, b, c))


def _recomputed(triangle: Triangle, ring: Ring, operation: Operation, triple: Triple) -> Opening:
    """Open a and b, and expect c to be their product."""
    a, b, c = triple

    def finish(lacking: Sequence[Words]) -> None:
        known = np.asarray(operation(ring.whole(a, lacking[0]), ring.whole(b, lacking[1])))
        zeros = np.zeros_like(known)
        public = Secret(known if triangle.rank == 2 else zeros, known if triangle.rank == 1 else zeros)
        triangle.expect_zero(ring.less(c, public), bitwise=ring.bitwise)

    return (a, b), finish


def _compared(triangle: Triangle, ring: Ring, operation: Operation, claim: Triple, triple: Triple) -> Opening:
    """Open x - a and y - b, and expect that what was added to z is what was added to c."""
    (x, y, z), (a, b, c) = claim, triple
    hidden = ring.less(x, a), ring.less(y, b)

    def finish(lacking: Sequence[Words]) -> None:
        d, e = (ring.whole(shares, third) for shares, third in zip(hidden, lacking, strict=True))
        rest = ring.less(z, c)
        rest = ring.less(rest, y.map(lambda share: operation(d, share)))
        rest = ring.less(rest, a.map(lambda share: operation(share, e)))
        triangle.expect_zero(rest, bitwise=ring.bitwise)

    return hidden, finish


def _open_all(triangle: Triangle, works: Iterable[Opening]) -> None:
    """Open what all of them need, in few messages."""
    waiting: list[Opening] = []

    def flush() -> None:
        shares = iter(triangle.opened([secret for secrets, _ in waiting for secret in secrets]))
        for secrets, finish in waiting:
            finish([next(shares) for _ in secrets])
        waiting.clear()

    for work in works:
        waiting.append(work)
        if sum(secret.size for secrets, _ in waiting for secret in secrets) >= _AT_ONCE:
            flush()
    if waiting:
        flush()
