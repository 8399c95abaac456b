"""What was asked of a service, and those who wait for the answers. Knows nothing of sessions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mesh.errors import MeshError
from mesh.ledger import Ledger
from mesh.protocol import Feed, Request
from mesh.tensors import Tensors

__all__ = ["Counts", "Questions"]


@dataclass(slots=True)
class Counts:
    """How requests ended. Refused ones were at fault themselves; expired ones got no answer in time."""

    answered: int = 0
    refused: int = 0
    expired: int = 0

    @property
    def settled(self) -> int:
        """Those that a session has dealt with."""
        return self.answered + self.refused


class Questions(Feed):
    """One side asks and waits, the other takes and answers. A lost session is followed by `rewind`.

    Attributes:
        counts: how requests ended.
        typical: seconds that an answer takes, as of late.
        over: what ended it all, or None.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self.typical = 0.1
        self.over: MeshError | None = None
        self._ledger = Ledger()
        self._answers: dict[int, asyncio.Future[Tensors]] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ledger)

    @property
    def asked(self) -> int:
        """How many requests there ever were."""
        return self._ledger.asked

    @property
    def replays(self) -> int:
        """How many times a request was asked again because its session was lost."""
        return self._ledger.replays

    def ask(self, payload: Tensors) -> int:
        """Enter a request; its number. Whoever asks has to `wait_answer`, or to `drop` it."""
        loop = asyncio.get_running_loop()
        seq = self._ledger.enter(payload, loop.time())
        self._answers[seq] = loop.create_future()
        self._changed.set()
        return seq

    async def wait_answer(self, seq: int, seconds: float) -> Tensors:
        """The answer to a request. However this ends, the request is struck out.

        Raises:
            TimeoutError: it did not come within so many seconds.
            MeshError: the request was refused, or it is all over.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._answers[seq]
        except TimeoutError:
            self.counts.expired += 1
            raise
        finally:
            self.drop(seq)

    async def wait_room(self, limit: int) -> None:
        """Until fewer than `limit` requests wait, or it is all over."""
        while len(self._ledger) >= limit and self.over is None:
            await self._wait_change()

    def drop(self, seq: int) -> None:
        """Nobody wants the answer any more."""
        self._ledger.close(seq)
        answer = self._answers.pop(seq, None)
        if answer is not None and not answer.cancel() and not answer.cancelled():
            answer.exception()  # seen, should nobody ever have waited for it
        self._changed.set()

    def rewind(self) -> int:
        """The session is lost: its unanswered requests are taken again by the next one. How many they are."""
        return self._ledger.rewind()

    def end(self, error: MeshError) -> None:
        """It is all over: whoever waits gets the error. The first one counts."""
        self.over = self.over or error
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # seen, should nobody be waiting any more
        self._changed.set()

    async def take(self) -> Request | None:
        while self.over is None:
            request = self._ledger.take()
            if request is not None:
                return request
            await self._wait_change()
        return None

    def answer(self, seq: int, payload: Tensors) -> None:
        since, answer = self._ledger.close(seq), self._answers.get(seq)
        if since is not None and answer is not None and not answer.done():
            self.counts.answered += 1
            self.typical += 0.2 * (asyncio.get_running_loop().time() - since - self.typical)
            answer.set_result(payload)
            self._changed.set()

    def refuse(self, seq: int, error: MeshError) -> None:
        since, answer = self._ledger.close(seq), self._answers.get(seq)
        if since is not None and answer is not None and not answer.done():
            self.counts.refused += 1
            answer.set_exception(error)
            self._changed.set()

    async def _wait_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
