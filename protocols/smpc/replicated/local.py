"""Three parties in one process, a thread each: for tests, measurements and dry runs."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mesh.errors import MeshError, PeerLost, PeerMisbehaved
from protocols.smpc.replicated.link import PARTIES, Link

__all__ = ["LocalLink", "connect", "run_together"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Parcel:
    """One message. `depth` counts the messages that had to arrive, one after another, before this one could leave;
    `due` is when it may be seen, by this machine's clock."""

    chunks: tuple[bytes, ...]
    depth: int
    due: float


_Lane = queue.SimpleQueue[_Parcel | None]


class LocalLink(Link):
    """A link over queues.

    Attributes:
        depth: the longest chain of messages, each waiting for the one before, that this party has seen the end of:
            the number of latencies that the computation costs at this party, counted exactly.
        heard: every message this party received, where `record` is set: its view, for tests of privacy.
    """

    def __init__(
        self,
        rank: int,
        lanes: dict[tuple[int, int], _Lane],
        *,
        timeout: float = 60.0,
        delay: float = 0.0,
        record: bool = False,
    ) -> None:
        super().__init__(rank)
        self._delay = delay
        self._lanes = lanes
        self._timeout = timeout
        self._record = record
        self.depth = 0
        self.heard: list[bytes] = []

    def _carry(self, to: int, out: Sequence[memoryview], source: int, into: Sequence[memoryview]) -> None:
        if out:
            self._lanes[self.rank, to].put(
                _Parcel(tuple(map(bytes, out)), self.depth + 1, time.monotonic() + self._delay)
            )
        if into:
            self._take(source, into)

    def _take(self, source: int, into: Sequence[memoryview]) -> None:
        try:
            parcel = self._lanes[source, self.rank].get(timeout=self._timeout)
        except queue.Empty:
            raise PeerLost(f"party {source}", f"It has sent nothing for {self._timeout:g} seconds.") from None
        if parcel is None:
            raise PeerLost(f"party {source}", "It has left the computation.")
        if (early := parcel.due - time.monotonic()) > 0:
            threading.Event().wait(early)
        expected, got = [len(view) for view in into], [len(chunk) for chunk in parcel.chunks]
        if expected != got:
            raise PeerMisbehaved(f"party {source}", f"It sent arrays of {got} bytes where {expected} were expected.")
        for view, chunk in zip(into, parcel.chunks, strict=True):
            view[:] = chunk
        self.depth = max(self.depth, parcel.depth)
        if self._record:
            self.heard.extend(parcel.chunks)

    def close(self) -> None:
        """Leave. Whoever waits for this party, now or later, is told with `PeerLost`."""
        for peer in (self.next, self.previous):
            self._lanes[self.rank, peer].put(None)


def connect(
    *, timeout: float = 60.0, delay: float = 0.0, record: bool = False
) -> tuple[LocalLink, LocalLink, LocalLink]:
    """Three links, joined to each other.

    Args:
        timeout: seconds of silence after which a peer is lost.
        delay: seconds that every message takes, however many are under way.
    """
    lanes: dict[tuple[int, int], _Lane] = {
        (a, b): queue.SimpleQueue() for a in range(PARTIES) for b in range(PARTIES) if a != b
    }
    first, second, third = (
        LocalLink(rank, lanes, timeout=timeout, delay=delay, record=record) for rank in range(PARTIES)
    )
    return first, second, third


def run_together(links: Sequence[LocalLink], program: Callable[[LocalLink], T]) -> list[T]:
    """Run one program at all three parties and wait for all of them: what each returns, in rank order.

    Raises:
        MeshError: the first that any party raised, one that blames over one that merely lost a peer.
        BaseException: whatever else a party raised.
    """

    def at(link: LocalLink) -> T:
        try:
            return program(link)
        except BaseException:
            link.close()
            raise

    with ThreadPoolExecutor(PARTIES, thread_name_prefix="party") as pool:
        futures = [pool.submit(at, link) for link in links]
        errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise min(errors, key=lambda error: (isinstance(error, PeerLost), isinstance(error, MeshError)))
    return [future.result() for future in futures]
