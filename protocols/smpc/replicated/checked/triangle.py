"""What three parties do to believe each other: hear a thing from both others, toss a coin, see that a sum is zero.

Party i holds the shares i and i + 1, so every share is held by two. Of any two honest parties one stands right behind
the other, and what is compared around the triangle is therefore compared by honest parties once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mesh.errors import Misuse, PeerMisbehaved
from protocols.smpc.replicated.link import PARTIES, Link, Words
from protocols.smpc.replicated.randomness import Correlated, Purpose
from protocols.smpc.replicated.sharing import Secret

__all__ = ["Sealed", "Triangle", "digest"]

_SEED = 4  # words


class Sealed(Link):
    """What is left of a link for code that would use it unchecked: its rank and its counters."""

    def _carry(self, to: int, out: Sequence[memoryview], source: int, into: Sequence[memoryview]) -> None:
        raise Misuse("This operation has no checked version, and must not run among parties that may cheat.")


class Triangle:
    """This party's place among the three. After the first failure nothing leaves it any more.

    Attributes:
        seen: the link for others to look at.
    """

    def __init__(self, link: Link, randomness: Correlated) -> None:
        self.seen = Sealed(link.rank)
        self.rank = link.rank
        self.randomness = randomness
        self._link = link
        self._meetings = 0
        self._failed = False
        self._due, self._held = hashlib.sha256(), hashlib.sha256()

    def exchange(self, to: int, out: Sequence[Words], source: int, into: Sequence[Words]) -> None:
        """As the link's. Raises Misuse: something has failed before."""
        with self._unfailed():
            self._link.exchange(to, out, source, into)

    def post(self, to: int, out: Sequence[Words]) -> None:
        """As the link's. Raises Misuse: something has failed before."""
        with self._unfailed():
            self._link.post(to, out)

    def _take(self, source: int, into: Sequence[Words]) -> None:
        with self._unfailed():
            self._link.take(source, into)

    @contextmanager
    def _unfailed(self) -> Iterator[None]:
        if self._failed:
            raise Misuse("A check of this computation has failed: nothing more is sent.")
        try:
            yield
        except BaseException:
            self._failed = True
            raise
        seen, link = self.seen, self._link
        seen.sent, seen.received, seen.rounds = link.sent, link.received, link.rounds

    def back(self, parts: Sequence[Words]) -> list[Secret]:
        """Parts that add up become shares: this party's is its first, the next one's its second. One round."""
        into = [np.empty_like(part) for part in parts]
        self.exchange(self._link.previous, parts, self._link.next, into)
        return [Secret(part, second) for part, second in zip(parts, into, strict=True)]

    def random(self, shape: tuple[int, ...]) -> Secret:
        """Shares that nobody knows together. No message."""
        streams = self.randomness.shared_with(self._link.previous), self.randomness.shared_with(self._link.next)
        return Secret(*(stream.draw(shape) for stream in streams))

    def given(self, owner: int, values: Words | None, shape: tuple[int, ...], *, bitwise: bool = False) -> Secret:
        """What one of the three brings in, of its own choice, as shares. One word a value to one other party.

        The share that the two others hold together is zero, so whatever the owner sends, theirs belong together.
        """
        after, before = (owner + 1) % PARTIES, (owner - 1) % PARTIES
        zeros = np.zeros(shape, np.uint64)
        if self.rank == after:
            return Secret(self.randomness.shared_with(owner, Purpose.INPUT).draw(shape), zeros)
        if self.rank == before:
            into = np.empty(shape, np.uint64)
            self.exchange(owner, (), owner, [into])
            return Secret(zeros, into)
        if values is None or values.shape != shape:
            raise Misuse(f"Rank {owner} must bring in an array of shape {shape} to share it.")
        drawn = self.randomness.shared_with(after, Purpose.INPUT).draw(shape)
        rest = np.ascontiguousarray(values ^ drawn if bitwise else values - drawn)
        self.exchange(before, [rest], before, ())
        return Secret(rest, drawn)

    def opened(self, secrets: Sequence[Secret]) -> list[Words]:
        """The shares that this party lacks. One round: the shares from behind, their SHA-256 from ahead.

        Raises:
            PeerMisbehaved: both do not tell the same.
        """
        firsts = [np.ascontiguousarray(secret.first) for secret in secrets]
        lacking = [np.empty_like(first) for first in firsts]
        link, told = self._link, np.empty(32, np.uint8)
        self.post(link.previous, [digest([secret.second for secret in secrets])])
        self.exchange(link.next, firsts, link.previous, lacking)
        self._take(link.next, [told])
        self._expect(told, digest(lacking), "hold different versions of one share")
        return lacking

    def shown(self, secret: Secret, to: Collection[int]) -> Words | None:
        """As `opened`, to some of the parties: the ring elements there, None at the others."""
        link = self._link
        if link.next in to:
            self.exchange(link.next, [np.ascontiguousarray(secret.first)], link.next, ())
        if link.previous in to:
            self.exchange(link.previous, [digest([secret.second])], link.previous, ())
        if self.rank not in to:
            return None
        lacking, told = np.empty(secret.shape, np.uint64), np.empty(32, np.uint8)
        self.exchange(link.previous, (), link.previous, [lacking])
        self.exchange(link.next, (), link.next, [told])
        self._expect(told, digest([lacking]), "hold different versions of one share")
        return np.asarray(secret.total + lacking)

    def meet(self) -> None:
        """Nobody goes on before all three have come this far, and have received all that was sent to them before."""
        self._meetings += 1
        mine, link = np.array([self._meetings], np.uint64), self._link
        ahead, behind = np.empty_like(mine), np.empty_like(mine)
        self.post(link.previous, [mine])
        self.exchange(link.next, [mine], link.previous, [behind])
        self._take(link.next, [ahead])
        if not mine == ahead == behind:
            self._accuse("are at another place of the program")

    def toss(self) -> bytes:
        """32 bytes that nobody knew, or could influence, before all three had received what was sent before.

        The sum of the shares is one that no party can change: two hold each. Two rounds.
        """
        self.meet()
        coin = self.random((_SEED,))
        return (coin.total + self.opened([coin])[0]).tobytes()

    def expect_zero(self, secret: Secret, *, bitwise: bool = False) -> None:
        """Have it checked, the next time parties `agree`, that these secrets are zero. No message."""
        due = secret.first ^ secret.second if bitwise else np.negative(secret.first + secret.second)
        self._due.update(np.ascontiguousarray(due).data)
        self._held.update(np.ascontiguousarray(secret.second).data)

    def expect_same(self, secret: Secret) -> None:
        """Have it checked, the next time parties `agree`, that the two holders of each share hold the same."""
        self._due.update(np.ascontiguousarray(secret.second).data)
        self._held.update(np.ascontiguousarray(secret.first).data)

    def expect_known(self, known: Words) -> None:
        """Have it checked, the next time parties `agree`, that all three know the same. No message."""
        data = np.ascontiguousarray(known).data
        self._due.update(data)
        self._held.update(data)

    def agree(self) -> None:
        """Nobody goes on before all three have found all that they expected.

        Two rounds: what the others must hold if all is well is compared by hash; and each tells both others that it
        found nothing wrong. A cheating party cannot say so for another.

        Raises:
            PeerMisbehaved: something was not as expected.
            PeerLost: another party has found that, and left.
        """
        link, told = self._link, np.empty(32, np.uint8)
        due, held = (np.frombuffer(part.digest(), np.uint8).copy() for part in (self._due, self._held))
        self.exchange(link.next, [due], link.previous, [told])
        self._expect(told, held, "did not compute what they were to compute")
        self._due, self._held = hashlib.sha256(), hashlib.sha256()
        self.meet()

    def _expect(self, told: Words, found: Words, fault: str) -> None:
        if not np.array_equal(told, found):
            self._accuse(fault)

    def _accuse(self, fault: str) -> None:
        self._failed = True
        link = self._link
        raise PeerMisbehaved(
            f"party {link.previous}", f"It or party {link.next}, or both, {fault}; nothing was revealed."
        )


def digest(arrays: Sequence[Words]) -> Words:
    """The SHA-256 of arrays, one after another, as (32,) bytes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).data)
    return np.frombuffer(total.digest(), np.uint8).copy()
