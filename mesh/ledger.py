"""Who asked what of a service, and what has been answered. No clock, no tasks, no network."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from mesh.protocol import Request
from mesh.tensors import Tensors

__all__ = ["Ledger"]


@dataclass(slots=True)
class _Entry:
    request: Request
    since: float
    taken: bool = False


class Ledger:
    """Owns each request from the asking to the answer, so that no session that is lost can lose one.

    A request is answered once: it leaves the ledger with its first answer, and whatever comes later for the same
    number is not of this ledger.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._next = 0
        self._replays = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def replays(self) -> int:
        """How many times a request was taken out again after its session was lost."""
        return self._replays

    @property
    def asked(self) -> int:
        """How many requests were ever entered."""
        return self._next

    def enter(self, payload: Tensors, now: float) -> int:
        """Note a request; its number."""
        seq, self._next = self._next, self._next + 1
        self._entries[seq] = _Entry(Request(seq, payload), now)
        return seq

    def take(self) -> Request | None:
        """The oldest request that the present session has not taken, or None."""
        for entry in self._entries.values():
            if not entry.taken:
                entry.taken = True
                return entry.request
        return None

    def close(self, seq: int) -> float | None:
        """Strike out a request: it has its answer, or will get none. Since when it was open; None if it was not."""
        entry = self._entries.pop(seq, None)
        return entry.since if entry else None

    def rewind(self) -> int:
        """The session is lost: all that it took and did not answer is to be taken again, oldest first. How many."""
        lost = [entry for entry in self._entries.values() if entry.taken]
        for entry in lost:
            entry.taken = False
        self._replays += len(lost)
        return len(lost)
