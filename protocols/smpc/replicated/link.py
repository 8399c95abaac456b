"""What three parties need of a network: bytes to one peer and from one peer, in order, at the same time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mesh.errors import Misuse

__all__ = ["PARTIES", "Link", "Words", "bytes_of"]

PARTIES = 3

Words = NDArray[Any]
"""An array of ring elements or packed bits: unsigned integers, usually of 64 bits."""


class Link(ABC):
    """One party's way to the two others. Blocking, and used by one thread.

    Attributes:
        rank: 0, 1 or 2.
        sent: bytes handed over so far.
        received: bytes taken in so far.
        rounds: exchanges that waited for something. As many latencies as a computation pays for, and one more for the
            first of what was posted: the rest of that comes ahead of its use.
        latency: seconds that operations take one more round to cost, when they choose between rounds and bytes. The
            same at all three parties, or they fall out of step.
    """

    latency = 1e-4

    def __init__(self, rank: int) -> None:
        if not 0 <= rank < PARTIES:
            raise Misuse(f"There are {PARTIES} parties, ranks 0 to {PARTIES - 1}; {rank} is none of them.")
        self.rank = rank
        self.sent = 0
        self.received = 0
        self.rounds = 0

    @property
    def next(self) -> int:
        return (self.rank + 1) % PARTIES

    @property
    def previous(self) -> int:
        return (self.rank - 1) % PARTIES

    def exchange(self, to: int, out: Sequence[Words], source: int, into: Sequence[Words]) -> None:
        """Send arrays to one peer and fill arrays from one peer, both at once.

        Args:
            out: C-contiguous arrays, sent in order; none, if there is nothing to send. Not changed, and free again
                once the call is over.
            into: C-contiguous arrays of exactly the sizes that `source` sends; none, if nothing is expected.

        Raises:
            PeerLost: the peer went away or kept silent for too long.
            PeerMisbehaved: the peer sent another number of bytes than was expected, where the link can tell.
            Misuse: a peer that is none, or an array that is not contiguous.
        """
        self._check(to, source)
        leaving, arriving = bytes_of(out), bytes_of(into)
        self._carry(to, leaving, source, arriving)
        self.sent += sum(map(len, leaving))
        self.received += sum(map(len, arriving))
        self.rounds += bool(arriving)

    def post(self, to: int, out: Sequence[Words]) -> None:
        """Send arrays without waiting until they have left. They are the link's from now on and must not change.

        A link may wait here when too much is under way, so nobody runs ahead without bounds.

        Raises as `exchange` does.
        """
        self.exchange(to, out, to, ())

    def take(self, source: int, into: Sequence[Words]) -> None:
        """Fill arrays with what a peer has posted, or will. No round is counted. Raises as `exchange` does."""
        self.exchange(source, (), source, into)
        self.rounds -= any(array.size for array in into)

    def _check(self, to: int, source: int) -> None:
        if self.rank in (to, source) or not {to, source} <= set(range(PARTIES)):
            raise Misuse(f"Rank {self.rank} cannot exchange with ranks {to} and {source}.")

    @abstractmethod
    def _carry(self, to: int, out: Sequence[memoryview], source: int, into: Sequence[memoryview]) -> None:
        """`exchange`, for flat views of bytes, none of them empty."""


def bytes_of(arrays: Sequence[Words]) -> list[memoryview]:
    """Flat views of what is not empty. Raises Misuse: an array that is not contiguous."""
    views = []
    for array in arrays:
        if not array.flags.c_contiguous:
            raise Misuse("A link carries contiguous arrays only; copy the view before it is sent.")
        if array.size:
            views.append(array.data.cast("B"))
    return views
