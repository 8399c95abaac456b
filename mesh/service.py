"""A job that lasts: one session at a time, a new one when that is lost, and each request answered once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from mesh.blame import Blame
from mesh.errors import BadInput, Busy, ConfigError, DeadlinePassed, MeshError, Misuse, NoPlan, SessionError, StoreError
from mesh.ids import PeerId
from mesh.protocol import Feed, Plan
from mesh.questions import Questions
from mesh.tensors import Tensors

__all__ = ["Hold", "Lost", "Service", "Statistics", "Up"]

Hold = Callable[[Feed, frozenset[PeerId], Callable[[Plan[Any, Any]], None]], Awaitable[None]]
"""Hold one session of the job from recruiting to its end, which comes when the feed is over.

Its arguments: where requests come from, whom not to ask, and what to call with the plan once everyone has said yes.
Raises the `MeshError` that ended the session."""

_Asked = asyncio.Queue[int | Exception | None]
"""Numbers of requests; what the source of requests raised; None at the end."""

PAUSE = (0.1, 2.0)
"""Seconds before recruiting again after a failure: the first time, and the most that it doubles to."""

_HOPELESS = (BadInput, ConfigError, Misuse, StoreError)  # another session would end the same way


@dataclass(frozen=True, slots=True)
class Up:
    """Progress: a session is agreed on."""

    plan: Plan[Any, Any]


@dataclass(frozen=True, slots=True)
class Lost:
    """Progress: the session is lost; so many requests will be asked again of the next one."""

    error: MeshError
    replayed: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a service has seen so far.

    Attributes:
        asked, answered, refused, expired: requests; refused ones were at fault themselves, expired ones got no
            answer in time.
        waiting: requests asked and not yet settled.
        sessions: how many were agreed on.
        replays: how many times a request was asked again because its session was lost.
    """

    asked: int
    answered: int
    refused: int
    expired: int
    waiting: int
    sessions: int
    replays: int


class Service:
    """Use as a context: `async with node.serve(job) as service: answer = await service.ask(tensors)`.

    Entering waits for the first session to be agreed on, and raises what prevents it. Leaving lets requests in flight
    go, and ends the session.

    Args:
        deadline: seconds from request to answer.
        backlog: requests that may wait at once. Above it, `ask` raises `Busy`.
        report: hears of `Up` and `Lost`.
    """

    def __init__(self, hold: Hold, *, deadline: float, backlog: int, report: Callable[[object], None]) -> None:
        self._hold = hold
        self._deadline = deadline
        self._backlog = backlog
        self._report = report
        self._questions = Questions()
        self._blame = Blame()
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trouble: MeshError | None = None
        self._sessions = 0
        self._tasks = asyncio.TaskGroup()
        self._pumps: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._keeper = self._tasks.create_task(self._keep())
        try:
            async with asyncio.timeout(self._deadline):
                await self._first
        except BaseException as error:
            self._keeper.cancel()
            await self._tasks.__aexit__(None, None, None)
            if isinstance(error, TimeoutError):
                raise DeadlinePassed(self._overdue("No session was formed")) from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(SessionError("The service was closed."))
        try:
            # Rank 0 sees the end of its feed and tells the others; a session that cannot even do that is cut off.
            async with asyncio.timeout(2.0):
                await asyncio.wait([self._keeper])
        except TimeoutError:
            pass
        finally:
            self._keeper.cancel()
            for pump in list(self._pumps):
                pump.cancel()
            await self._tasks.__aexit__(None, None, None)  # not told of `error`, which it would wrap

    async def ask(self, payload: Tensors) -> Tensors:
        """One request, one answer.

        Raises:
            Busy: `backlog` requests are waiting already; nothing was taken on.
            DeadlinePassed: no answer in time; the message tells the last trouble.
            BadInput: the request itself is at fault.
            SessionError: the service was closed, or can go on no more.
        """
        if len(self._questions) >= self._backlog:
            raise Busy(f"{self._backlog} requests are waiting already.", after=self._questions.typical)
        return await self._answered(self._ask(payload))

    async def stream(self, payloads: Iterable[Tensors] | AsyncIterable[Tensors]) -> AsyncIterator[Tensors]:
        """The answers to `payloads`, in their order. Takes as many ahead as the backlog has room for.

        Raises as `ask`, but waits where that raises `Busy`; and what `payloads` raises, after the answers to those
        before. The service goes on either way.
        """
        queue: _Asked = asyncio.Queue()
        pump = self._tasks.create_task(self._pump(payloads, queue))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        try:
            while (asked := await queue.get()) is not None:
                if isinstance(asked, Exception):
                    raise asked
                yield await self._answered(asked)
        finally:
            pump.cancel()
            while not queue.empty():
                if isinstance(left := queue.get_nowait(), int):
                    self._questions.drop(left)

    def statistics(self) -> Statistics:
        """What has happened so far."""
        questions = self._questions
        return Statistics(
            asked=questions.asked,
            answered=questions.counts.answered,
            refused=questions.counts.refused,
            expired=questions.counts.expired,
            waiting=len(questions),
            sessions=self._sessions,
            replays=questions.replays,
        )

    def _ask(self, payload: Tensors) -> int:
        if self._questions.over is not None:
            raise SessionError(f"This service has ended: {self._trouble}")
        return self._questions.ask(payload)

    async def _answered(self, seq: int) -> Tensors:
        try:
            return await self._questions.wait_answer(seq, self._deadline)
        except TimeoutError:
            raise DeadlinePassed(self._overdue(f"Request {seq} was not answered")) from None

    async def _pump(self, payloads: Iterable[Tensors] | AsyncIterable[Tensors], queue: _Asked) -> None:
        try:
            # A group of its own: what the source fails with is its reader's to know, and not the end of the service.
            async with asyncio.TaskGroup() as source:
                source.create_task(self._ask_all(payloads, queue))
        except ExceptionGroup as failed:
            queue.put_nowait(failed.exceptions[0])
        finally:
            queue.put_nowait(None)

    async def _ask_all(self, payloads: Iterable[Tensors] | AsyncIterable[Tensors], queue: _Asked) -> None:
        async for payload in _asynchronous(payloads):
            await self._questions.wait_room(self._backlog)
            queue.put_nowait(self._ask(payload))

    async def _keep(self) -> None:
        pause, questions = PAUSE[0], self._questions
        while questions.over is None:
            settled = questions.counts.settled
            try:
                await self._hold(questions, self._blame.avoided(_now()), self._up)
                # It ends well once the feed is over, and not before: this protocol does not take requests at all.
                self._end(BadInput("This protocol does a job once; it is no service: submit it as a job."))
            except MeshError as error:
                if self._failed(error):
                    continue
                # A session that got somewhere ends the series of failures; losing it costs no pause. Nobody can make
                # this device recruit without end by joining and leaving.
                if questions.counts.settled > settled:
                    pause = PAUSE[0]
                    continue
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE[1])

    def _up(self, plan: Plan[Any, Any]) -> None:
        self._sessions += 1
        self._report(Up(plan))
        if not self._first.done():
            self._first.set_result(None)

    def _failed(self, error: MeshError) -> bool:
        """Take note of how a session ended. Whether to recruit again at once, from more peers than before."""
        self._trouble = error
        self._blame.note(error, _now())
        self._report(Lost(error, self._questions.rewind()))
        if isinstance(error, NoPlan) and self._blame.relent(_now()):
            return True
        if isinstance(error, _HOPELESS) or (isinstance(error, NoPlan) and not self._sessions):
            self._end(error)
        return False

    def _end(self, error: MeshError) -> None:
        self._trouble = self._trouble or error
        if not self._first.done():
            self._first.set_exception(error)
        self._questions.end(error)

    def _overdue(self, what: str) -> str:
        trouble = f" The last trouble: {self._trouble}" if self._trouble else ""
        return f"{what} within {self._deadline:g} s.{trouble}"


async def _asynchronous(payloads: Iterable[Tensors] | AsyncIterable[Tensors]) -> AsyncIterator[Tensors]:
    if isinstance(payloads, AsyncIterable):
        async for payload in payloads:
            yield payload
    else:
        for payload in payloads:
            yield payload


def _now() -> float:
    return asyncio.get_running_loop().time()
