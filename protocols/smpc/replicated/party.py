"""One party, and the four moves every operation is made of: deal, swap, reshare, and add what everybody knows.

Works that do not need each other's results can be done `together`: they share their rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike

from mesh.errors import Misuse
from protocols.smpc.replicated.link import Link, Words
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint, Secret, SecretBits
from protocols.smpc.replicated.together import Branch, Work, in_turns

__all__ = ["Hand", "Party"]

T = TypeVar("T")

_LARGE = 2**16  # bytes of an array that is worth sending to rank 2 in its turn


@dataclass(frozen=True, slots=True)
class Hand:
    """What rank 0 splits between ranks 1 and 2.

    Attributes:
        shape, dtype: of the array; known to everybody.
        secret: makes it; needed, and called, at rank 0 only.
        bitwise: whether the halves give it under exclusive or, rather than by addition.
        blend: instead of `secret`, turns one rank's half into the other's in place, without laying the secret out.
    """

    shape: tuple[int, ...]
    secret: Callable[[], Words] | None = None
    dtype: DTypeLike = np.uint64
    bitwise: bool = False
    blend: Callable[[Words], None] | None = None

    def other_half(self, half: Words) -> Words:
        """The other rank's half, in the place of one's. Raises Misuse: nothing says what the secret is."""
        if self.blend is not None:
            self.blend(half)
            return half
        if self.secret is None:
            raise Misuse("Rank 0 deals only what it knows.")
        secret = self.secret()
        return np.bitwise_xor(secret, half, out=half) if self.bitwise else np.subtract(secret, half, out=half)


class Party:
    """This party's link, its random streams and its number format.

    Ranks 1 and 2 see each other's messages and rank 0's; rank 0, in all four moves, sees nothing at all.
    """

    def __init__(self, link: Link, randomness: Correlated, fixed: FixedPoint | None = None) -> None:
        if link.rank != randomness.rank:
            raise Misuse(f"The link is rank {link.rank}'s and the keys are rank {randomness.rank}'s.")
        self.link = link
        self.randomness = randomness
        self.fixed = fixed or FixedPoint()
        self.rank = link.rank
        self._branch: Branch | None = None
        self._large = 0

    @property
    def helps(self) -> bool:
        """Whether this is rank 0, which knows masks whole and prepares for the others."""
        return self.rank == 0

    def deal(self, hands: Sequence[Hand]) -> list[Words]:
        """Rank 0 splits arrays between ranks 1 and 2: one draws its halves, the other is sent what is missing.

        Rank 2 draws and rank 1 is sent what is small; large arrays are sent to them by turns, so that both have as
        much to do. All of it is sent ahead: rank 0 waits for nobody.

        Returns:
            This party's halves; nothing at rank 0. Who is sent a half sees uniform words, as the other's are unknown
            to it.
        """
        drawers = [self._drawer(hand) for hand in hands]
        if self.helps:
            missing: tuple[list[Words], list[Words]] = ([], [])
            for hand, drawer in zip(hands, drawers, strict=True):
                half = self.randomness.shared_with(drawer).draw(hand.shape, hand.dtype)
                missing[drawer - 1].append(hand.other_half(half))
            for drawer, out in enumerate(missing, 1):
                if out:
                    self.link.post(3 - drawer, out)
            return []
        halves = [
            self.mask(hand.shape, hand.dtype) if drawer == self.rank else np.empty(hand.shape, hand.dtype)
            for hand, drawer in zip(hands, drawers, strict=True)
        ]
        if lacking := [half for half, drawer in zip(halves, drawers, strict=True) if drawer != self.rank]:
            self.link.take(0, lacking)
        return halves

    def _drawer(self, hand: Hand) -> int:
        """Who draws a half: 1 or 2."""
        if math.prod(hand.shape) * np.dtype(hand.dtype).itemsize < _LARGE:
            return 2
        self._large += 1
        return 1 + self._large % 2

    def swap(self, out: Sequence[Words]) -> list[Words]:
        """Ranks 1 and 2 send each other arrays of the same shapes. What leaves must be masked.

        Rank 0 has no part in it, and calls it with nothing wherever the others call it: works that are done together
        take turns there, and must do so at the same places of the random streams at all three ranks.
        """
        return self._swapped(out) if self._branch is None else self._branch.swap(out)

    def together(self, *works: Work[T]) -> list[T]:
        """Works that do not need each other, in the rounds of the longest: what each returns, in their order.

        To be called at all three ranks with works of the same sorts. Only one of them runs at any time.
        """
        if len(works) < 2:
            return [work() for work in works]
        outer = self._branch

        def enter(branch: Branch | None) -> None:
            self._branch = branch or outer

        return in_turns(works, self.swap, enter)

    def _swapped(self, out: Sequence[Words]) -> list[Words]:
        if self.helps:
            return []
        into = [np.empty_like(array) for array in out]
        peer = 3 - self.rank
        self.link.exchange(peer, out, peer, into)
        return into

    def mask(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint64) -> Words:
        """At ranks 1 and 2: this party's half of a mask that rank 0 knows whole and the other rank does not know."""
        return self.randomness.shared_with(0).draw(shape, dtype)

    def masks(self, shape: tuple[int, ...], dtype: DTypeLike = np.uint64) -> tuple[Words, Words]:
        """At rank 0: rank 2's half of such a mask and rank 1's, in this order: shares number 0 and 1."""
        two, one = self.randomness.shared_with(2), self.randomness.shared_with(1)
        return two.draw(shape, dtype), one.draw(shape, dtype)

    def reshare(self, part: Words | None, shape: tuple[int, ...]) -> Secret:
        """Parts that add up, at ranks 1 and 2, to shares that all three hold. One word each way between 1 and 2.

        Args:
            part: this party's; None at rank 0.
        """
        size = math.prod(shape)
        if part is None:
            masks = self.masks((size,))
            self.swap(())
            return Secret(*masks).reshape(*shape)
        mask = self.mask((size,))
        masked = part.reshape(-1) - mask
        masked += self.swap([masked])[0]
        return (Secret(mask, masked) if self.rank == 1 else Secret(masked, mask)).reshape(*shape)

    def reshare_bits(self, part: Words | None, columns: int, shape: tuple[int, ...]) -> SecretBits:
        """As `reshare`, for one packed bit a value and exclusive or."""
        if part is None:
            masks = self.masks((columns,))
            self.swap(())
            return SecretBits(*masks, shape)
        mask = self.mask((columns,))
        masked = part ^ mask
        masked ^= self.swap([masked])[0]
        return SecretBits(mask, masked, shape) if self.rank == 1 else SecretBits(masked, mask, shape)

    def add(self, secret: Secret, known: Words) -> Secret:
        """A secret plus ring elements that everybody knows: one, or as many as broadcast to the secret's shape."""
        if known.size == 1:  # whatever its shape is, that of the secret stays: it may have no axes
            known = known.reshape(())
        if self.rank == 1:
            return Secret(secret.first, secret.second + known)
        if self.rank == 2:
            return Secret(secret.first + known, secret.second)
        return secret

    def public(self, known: Words) -> Secret:
        """What everybody knows, as shares."""
        zero = np.zeros_like(known)
        return self.add(Secret(zero, zero), known)

    def flip(self, bits: SecretBits) -> SecretBits:
        """Every bit turned over."""
        first = ~bits.first if self.rank == 2 else bits.first
        second = ~bits.second if self.rank == 1 else bits.second
        return SecretBits(first, second, bits.shape)
