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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from protocols.smpc.replicated.checked.contract import Operation
from protocols.smpc.replicated.checked.triangle import Triangle
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.randomness import Correlated, Stream
from protocols.smpc.replicated.sharing import Secret

__all__ = ["BITS", "MOST", "NUMBERS", "SECURITY", "Ledger", "Ring", "bucket_size", "check_whole", "shuffled"]

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

    def product(self, triangle: Triangle, operation: Operation, left: Secret, right: Secret) -> Secret:
        """x_i (y_i + y_(i+1)) + x_(i+1) y_i, and a part of zero: one word each (Araki et al. 2016, section 2.2)."""
        if self.bitwise:
            part = operation(left.first, right.first ^ right.second) ^ operation(left.second, right.first)
            part ^= self.zero(triangle.randomness, part.shape)
        else:
            part = operation(left.first, right.total) + operation(left.second, right.first)
            part += self.zero(triangle.randomness, part.shape)
        return triangle.back(np.ascontiguousarray(part))

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


def shuffled(seed: bytes, count: int) -> Words:
    """A permutation that everybody makes from a seed: by random keys, drawn again if any two are the same."""
    stream = Stream(seed, b"shuffle")
    while True:
        keys = stream.draw(count)
        order = np.argsort(keys)
        ordered = keys[order]
        if not (ordered[1:] == ordered[:-1]).any():
            return order


class Ledger:
    """Products of one ring that have been claimed, element by element, and not yet checked."""

    def __init__(self, triangle: Triangle, ring: Ring) -> None:
        self._triangle = triangle
        self._ring = ring
        self._claims: list[tuple[Secret, Secret, Secret]] = []
        self.count = 0

    def multiply(self, left: Secret, right: Secret) -> Secret:
        """Element by element, shapes broadcast. One round, one word each."""
        shape = np.broadcast_shapes(left.shape, right.shape)
        left, right = left.broadcast_to(shape), right.broadcast_to(shape)
        product = self._ring.product(self._triangle, self._ring.times, left, right)
        self.claim(left, right, product)
        return product

    def claim(self, left: Secret, right: Secret, product: Secret) -> None:
        """Have it checked that these are products. All of one shape."""
        self._claims.append((left.reshape(-1), right.reshape(-1), product.reshape(-1)))
        self.count += product.size
        if self.count >= MOST:
            self._check_all(keep=MOST)

    def check(self) -> None:
        """Check all of them: what is found is known once parties `agree`. Three rounds and those of a toss."""
        self._check_all(keep=1)

    def _check_all(self, keep: int) -> None:
        """As long as there are `keep` left."""
        if self.count < keep:
            return
        columns = [Secret.concatenate(column) for column in zip(*self._claims, strict=True)]
        self._claims = []
        while self.count >= keep:
            size = min(self.count, MOST)
            self._check(*(column[:size] for column in columns))
            columns = [column[size:] for column in columns]
            self.count -= size
        if self.count:
            left, right, product = columns
            self._claims.append((left, right, product))

    def _check(self, left: Secret, right: Secret, product: Secret) -> None:
        triangle, ring, count = self._triangle, self._ring, left.size
        size = bucket_size(count)
        a, b = triangle.random((size * (count + 1),)), triangle.random((size * (count + 1),))
        c = ring.product(triangle, ring.times, a, b)
        order = shuffled(triangle.toss(), size * (count + 1))
        self._recompute(*(part[order[:size]] for part in (a, b, c)))
        rest, places = order[size:], np.arange(size * count) % count
        for part in _parts(size * count):
            claim = (left[places[part]], right[places[part]], product[places[part]])
            compare(triangle, ring, ring.times, claim, (a[rest[part]], b[rest[part]], c[rest[part]]))

    def _recompute(self, a: Secret, b: Secret, c: Secret) -> None:
        """Open triples, and expect c to be what it should be."""
        ring = self._ring
        lacking = self._triangle.opened([a, b])
        known = ring.times(ring.whole(a, lacking[0]), ring.whole(b, lacking[1]))
        self._triangle.expect_zero(ring.less(c, _public(self._triangle, known)), bitwise=ring.bitwise)


def compare(
    triangle: Triangle,
    ring: Ring,
    operation: Operation,
    claim: tuple[Secret, Secret, Secret],
    triple: tuple[Secret, Secret, Secret],
) -> None:
    """Expect that what was added to a product is what was added to a triple. Opens x - a and y - b: one round."""
    (x, y, z), (a, b, c) = claim, triple
    hidden = [ring.less(x, a), ring.less(y, b)]
    d, e = (ring.whole(shares, lacking) for shares, lacking in zip(hidden, triangle.opened(hidden), strict=True))
    rest = ring.less(z, c)
    rest = ring.less(rest, y.map(lambda share: operation(d, share)))
    rest = ring.less(rest, a.map(lambda share: operation(share, e)))
    triangle.expect_zero(rest, bitwise=ring.bitwise)


def check_whole(triangle: Triangle, operation: Operation, left: Secret, right: Secret, product: Secret) -> None:
    """Check one operation of any kind against 23 random ones of the same shapes; as many are opened.

    It takes about a hundred times the operation itself: for what has no check of its own.
    """
    size = bucket_size(1)
    triples = []
    for _ in range(2 * size):
        a, b = triangle.random(left.shape), triangle.random(right.shape)
        triples.append((a, b, NUMBERS.product(triangle, operation, a, b)))
    order = shuffled(triangle.toss(), 2 * size)
    for place in order[:size]:
        a, b, c = triples[place]
        known = [NUMBERS.whole(part, lacking) for part, lacking in zip((a, b), triangle.opened([a, b]), strict=True)]
        triangle.expect_zero(c - _public(triangle, np.asarray(operation(*known))))
    for place in order[size:]:
        compare(triangle, NUMBERS, operation, (left, right, product), triples[place])


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _AT_ONCE, count)) for start in range(0, count, _AT_ONCE))


def _public(triangle: Triangle, known: Words) -> Secret:
    """Share number 2 is what everybody knows, the others are zero."""
    zeros = np.zeros_like(known)
    return Secret(known if triangle.rank == 2 else zeros, known if triangle.rank == 1 else zeros)
