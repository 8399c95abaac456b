"""Works that share their rounds: each runs until it has something to swap, then the next; one message carries all.

Works are threads of which exactly one runs at any time, handed on at every swap, so what is drawn and sent, and in
which order, is the same in every run and at every rank; there is nothing to lock. It saves latencies and messages, not
computing time: n works of r rounds each take r rounds instead of n r.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from protocols.smpc.replicated.link import Words

__all__ = ["Branch", "Work", "in_turns"]

T = TypeVar("T")

Work = Callable[[], T]
Swap = Callable[[Sequence[Words]], list[Words]]


class _Abandoned(BaseException):
    """Another work failed: this one ends where it waits, and cleans up."""


class Branch:
    """One of the works, and the place where it waits for its turn.

    Attributes:
        out: what it wants to swap, while it waits.
        ended: it has returned or raised.
        failed: it has raised.
    """

    def __init__(self) -> None:
        self.out: Sequence[Words] = ()
        self.ended = False
        self.failed = False
        self._into: list[Words] | None = []
        self._mine = threading.Semaphore(0)
        self._theirs = threading.Semaphore(0)

    def swap(self, out: Sequence[Words]) -> list[Words]:
        """Called by the work: wait for the next turn, which brings what came in return."""
        self.out = out
        self._theirs.release()
        self._mine.acquire()
        if self._into is None:
            raise _Abandoned
        return self._into

    def run(self, work: Work[T]) -> T:
        """In its own thread, from the first turn on."""
        self._mine.acquire()
        try:
            if self._into is None:
                raise _Abandoned
            return work()
        except BaseException:
            self.failed = True
            raise
        finally:
            self.ended = True
            self._theirs.release()

    def turn(self, into: list[Words] | None) -> None:
        """Called by whoever takes turns: let it run until it swaps or ends. None: let it end."""
        self._into = into
        self._mine.release()
        self._theirs.acquire()


def in_turns(works: Sequence[Work[T]], swap: Swap, enter: Callable[[Branch | None], None]) -> list[T]:
    """Run works by turns and swap for all that wait at once: what each returns, in their order.

    Args:
        swap: of those who called.
        enter: told whose turn it is; None: it is again that of those who called.

    Raises:
        BaseException: what the first work, in order, raised that raised anything. The others have ended then, too.
    """
    branches = [Branch() for _ in works]
    with ThreadPoolExecutor(len(works), thread_name_prefix="branch") as pool:
        futures = [pool.submit(branch.run, work) for branch, work in zip(branches, works, strict=True)]
        try:
            _take_turns(branches, swap, enter)
        finally:
            for branch in branches:
                while not branch.ended:
                    enter(branch)
                    branch.turn(None)
            enter(None)
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, _Abandoned):
            raise error
    return [future.result() for future in futures]


def _take_turns(branches: Sequence[Branch], swap: Swap, enter: Callable[[Branch | None], None]) -> None:
    arrived: dict[Branch, list[Words]] = {branch: [] for branch in branches}
    while arrived:
        for branch, into in arrived.items():
            enter(branch)
            branch.turn(into)
        enter(None)
        waiting = [branch for branch in arrived if not branch.ended]
        if not waiting or any(branch.failed for branch in branches):
            return
        came = swap([array for branch in waiting for array in branch.out])
        arrived = {}
        for branch in waiting:
            taken = len(branch.out)
            arrived[branch], came = came[:taken], came[taken:]
