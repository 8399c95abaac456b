"""Numbers as bits, by circuits of ANDs that are all checked: signs, zeros, and what a division by a power of two needs.

A secret is x = a + x_2 with a = x_0 + x_1 known to rank 0. Rank 0 brings in the carries of that sum as bits, all at
once, and they are claimed to be what a carry is, k' ^ k = (x_0 ^ k)(x_1 ^ k) for each next one: products that everybody
has shares of, checked as all others are. So the bits of a are there after one round, at the price of one AND each, and
only the carries of a + x_2 take a tree (Mohassel and Rindal 2018, ABY3, section 5.3, adds all three shares in trees).

Planes are those of `slicing`: (bits, columns) words, here two shares of each.
"""

from __future__ import annotations

import numpy as np

from protocols.smpc.replicated.checked.buckets import Ledger
from protocols.smpc.replicated.checked.triangle import Triangle
from protocols.smpc.replicated.link import PARTIES, Words
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.slicing import WORD, gathered, planes

__all__ = ["Sum", "all_set", "alone", "carry", "exclusive", "inverted"]


class Sum:
    """(n,) secrets taken apart into a, which rank 0 knows, and the third share.

    Attributes:
        bits: how many of the lowest bits are looked at.
        lower: (bits, columns) planes of a, shared.
        upper: (bits, columns) planes of the third share, shared.
        carries: (bits, columns): out of each bit of x_0 + x_1; the last of them only if asked for.
    """

    def __init__(self, triangle: Triangle, ledger: Ledger, secret: Secret, bits: int, *, last: bool = False) -> None:
        """One round, one bit for each carry, from rank 0 to rank 2. last: bring in the carry out of the last bit."""
        secret = secret.map(np.ascontiguousarray)  # a view may repeat its words
        both = secret.map(lambda share: planes(share, bits))
        self.bits = bits
        self.upper = _only(both, triangle.rank, 2)
        zero, one = _only(both, triangle.rank, 0), _only(both, triangle.rank, 1)
        count = bits if last else bits - 1
        known = _carries(secret, count) if triangle.rank == 0 else None
        self.carries = triangle.given(0, known, (count, both.shape[1]), bitwise=True)
        before = Secret.concatenate([zero[:1].map(np.zeros_like), self.carries])[:bits]
        self.lower = exclusive(exclusive(zero, one), before)
        left, right, start = exclusive(zero, before), exclusive(one, before), before[:count]
        ledger.claim(left[:count], right[:count], exclusive(self.carries, start))

    def carry(self, ledger: Ledger, bits: int) -> Secret:
        """(columns,): out of the lowest so many bits of a + x_2."""
        a, b = self.lower[:bits], self.upper[:bits]
        return carry(ledger, ledger.multiply(a, b), exclusive(a, b))


def carry(ledger: Ledger, generate: Secret, propagate: Secret) -> Secret:
    """The carry out of a sum, as a tree over (bits, columns) planes, the least significant first: (columns,).

    ceil(log2(bits)) rounds, under 2 bits ANDs.
    """
    while (count := generate.shape[0]) > 1:
        pairs = count // 2
        low, high = slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)
        # Nothing is carried into the lowest group, so what it propagates is never asked for.
        left = Secret.concatenate([propagate[high], propagate[high][1:]])
        right = Secret.concatenate([generate[low], propagate[low][1:]])
        both = ledger.multiply(left, right)
        odd = slice(2 * pairs, count)
        generate = Secret.concatenate([exclusive(generate[high], both[:pairs]), generate[odd]])
        propagate = Secret.concatenate([propagate[:1], both[pairs:], propagate[odd]])
    return generate[0]


def all_set(ledger: Ledger, bits: Secret) -> Secret:
    """Whether all of (bits, columns) planes are set: (columns,). ceil(log2(bits)) rounds, bits - 1 ANDs."""
    while (count := bits.shape[0]) > 1:
        pairs = count // 2
        both = ledger.multiply(bits[: 2 * pairs : 2], bits[1 : 2 * pairs : 2])
        bits = Secret.concatenate([both, bits[2 * pairs :]])
    return bits[0]


def exclusive(left: Secret, right: Secret) -> Secret:
    """Bit by bit. No message."""
    return Secret(left.first ^ right.first, left.second ^ right.second)


def inverted(rank: int, bits: Secret) -> Secret:
    """Every bit turned over. No message."""
    first = ~bits.first if rank == 2 else bits.first
    second = ~bits.second if rank == 1 else bits.second
    return Secret(first, second)


def alone(rank: int, secret: Secret, number: int) -> Secret:
    """One of a secret's shares, as a secret of its own that two parties know. No message."""
    return _only(secret, rank, number)


def _only(secret: Secret, rank: int, number: int) -> Secret:
    first = secret.first if rank == number else np.zeros_like(secret.first)
    second = secret.second if (rank + 1) % PARTIES == number else np.zeros_like(secret.second)
    return Secret(first, second)


def _carries(secret: Secret, count: int) -> Words:
    """At rank 0: the carries into bits 1 to `count` of x_0 + x_1, as planes."""
    total = secret.total
    into = planes(total ^ secret.first ^ secret.second, min(count + 1, WORD))[1:]
    if count < WORD:
        return into
    return np.concatenate([into, gathered((total < secret.first).astype(np.uint64))[None]])
