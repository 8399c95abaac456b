"""Sessions of a service without a mesh: what becomes of each is said beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np

from mesh.errors import MeshError
from mesh.ids import PeerId
from mesh.protocol import Feed, Plan, Request
from mesh.service import Service
from mesh.tensors import Tensors
from protocols.arrays import array_of, tensor_of

__all__ = ["PLAN", "Sessions", "deaf", "doubling", "losing", "number", "numbers", "serving", "value_of"]

PLAN: Plan[Any, Any] = Plan("test", None, (), 0)


def number(value: int) -> Tensors:
    """One number, as a request or an answer."""
    return {"x": tensor_of(np.array(value))}


def value_of(answer: Tensors) -> int:
    """The number in it."""
    return int(array_of(answer["x"]))


class Sessions:
    """What becomes of one session after the other; the last one's fate is that of all that follow.

    Attributes:
        avoided: whom not to ask, session by session.
        took: the numbers of the requests that each session took.
        begun: when each one did.
    """

    def __init__(self, *fates: Callable[[Feed], Awaitable[None]] | MeshError) -> None:
        self.avoided: list[frozenset[PeerId]] = []
        self.took: list[list[int]] = []
        self.begun: list[float] = []
        self._fates = fates

    async def hold(self, feed: Feed, avoid: frozenset[PeerId], up: Callable[[Plan[Any, Any]], None]) -> None:
        fate = self._fates[min(len(self.took), len(self._fates) - 1)]
        self.avoided.append(avoid)
        self.begun.append(asyncio.get_running_loop().time())
        self.took.append([])
        await asyncio.sleep(0.5)
        if isinstance(fate, MeshError):
            raise fate
        up(PLAN)
        await fate(_Noting(feed, self.took[-1]))


class _Noting(Feed):
    def __init__(self, feed: Feed, took: list[int]) -> None:
        self._feed = feed
        self._took = took

    async def take(self) -> Request | None:
        request = await self._feed.take()
        if request:
            self._took.append(request.seq)
        return request

    def answer(self, seq: int, payload: Tensors) -> None:
        self._feed.answer(seq, payload)

    def refuse(self, seq: int, error: MeshError) -> None:
        self._feed.refuse(seq, error)


async def doubling(feed: Feed) -> None:
    """Answer twice the number, after a second."""
    while request := await feed.take():
        await asyncio.sleep(1)
        feed.answer(request.seq, number(2 * value_of(request.payload)))


async def deaf(feed: Feed) -> None:
    """Take everything, answer nothing."""
    while await feed.take():
        pass


def losing(after: int, error: MeshError) -> Callable[[Feed], Awaitable[None]]:
    """Answer so many, take one more, and be lost."""

    async def fate(feed: Feed) -> None:
        for _ in range(after):
            request = await feed.take()
            assert request
            feed.answer(request.seq, number(2 * value_of(request.payload)))
        await feed.take()
        raise error

    return fate


def serving(
    sessions: Sessions, *, deadline: float = 30.0, backlog: int = 4, news: list[object] | None = None
) -> Service:
    return Service(sessions.hold, deadline=deadline, backlog=backlog, report=(news if news is not None else []).append)


async def numbers(count: int) -> AsyncIterator[Tensors]:
    """Numbers from 0, a tenth of a second apart."""
    for value in range(count):
        await asyncio.sleep(0.1)
        yield number(value)
