"""Many requests to one model, through the node of this device: the program's side of a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
import msgspec

from mesh.doors.knock import node_errors
from mesh.doors.language import (
    Closed,
    Event,
    Failed,
    Finish,
    Open,
    Opened,
    Parcel,
    PlanLost,
    PlanUp,
    Progress,
    Refused,
    decode,
    encode,
)
from mesh.errors import BadFrame, MeshError, NoNode, SessionError
from mesh.service import Statistics
from mesh.tensors import Tensor, Tensors
from mesh.wire import FRAME_LIMIT

__all__ = ["Frames", "Report", "Stream"]

Frames = Iterable[Mapping[str, object]] | AsyncIterable[Mapping[str, object]]
"""Inputs of a model, one after the other: by name, each a `Tensor` or an array such as numpy's."""

Report = Callable[[PlanUp | PlanLost | Progress], None]

_FAREWELL = 10.0
"""Seconds that the end of a stream may take."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request under way, and since when."""

    answer: asyncio.Future[Tensors]
    since: float


class Stream:
    """Use as a context: `async with node.stream("junction") as stream: async for answer in stream.answers(frames)`.

    Entering waits until devices have agreed to answer. Leaving lets requests under way go.

    Args:
        control: the node's socket.
        order: what is to be served, and how.
        report: hears of plans made and lost, and of the protocol's progress where the order wants it.

    Attributes:
        latencies: seconds from sending to answer, of the last 10,000 requests.
        statistics: of the whole service, once the stream is over.
    """

    def __init__(self, control: Path, order: Open, report: Report | None = None) -> None:
        self.latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self.statistics: Statistics | None = None
        self._control = control
        self._order = order
        self._report = report or (lambda _event: None)
        self._sent: dict[int, _Sent] = {}
        self._next = 0
        self._over: MeshError | None = None
        self._tasks = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = loop.create_future()
        self._closed: asyncio.Future[Statistics] = loop.create_future()
        with node_errors(self._control):
            self._http, self._socket = await _dialled(self._control)
        await self._tasks.__aenter__()
        self._begin(self._listen())
        try:
            await self._say(self._order)
            await self._opened
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._over is None:
                await self.finish()
        finally:
            await self._leave()

    async def ask(self, inputs: Mapping[str, object]) -> Tensors:
        """One request, one answer. Several may be under way; beyond the backlog they wait.

        Args:
            inputs: by name, each a `Tensor` or an array such as numpy's.

        Raises:
            BadInput: the inputs are at fault; the stream goes on.
            DeadlinePassed: no answer in time.
            MeshError: what else the node says; NoNode if it went away.
        """
        return await (await self._put(inputs)).answer

    async def answers(self, frames: Frames) -> AsyncIterator[Tensors]:
        """The answer to each of `frames`, in their order. As many as the backlog are under way at once.

        Frames that do not come from an asynchronous source are fetched in a thread, so the source may block.
        Raises as `ask`, at the first that fails; and whatever `frames` raises.
        """
        async for outcome in self.outcomes(frames):
            if isinstance(outcome, MeshError):
                raise outcome
            yield outcome

    async def outcomes(self, frames: Frames) -> AsyncIterator[Tensors | MeshError]:
        """As `answers`, but a request that fails yields its error, and the rest goes on."""
        queue: asyncio.Queue[_Sent | Exception | None] = asyncio.Queue()
        room = asyncio.Semaphore(self._order.backlog)
        pump = self._begin(self._pump(frames, queue, room))
        try:
            while (sent := await queue.get()) is not None:
                if isinstance(sent, Exception):
                    raise sent
                yield await _outcome(sent.answer)
                room.release()
        finally:
            pump.cancel()

    async def finish(self) -> Statistics:
        """Say that no more requests will come, wait for the answers under way, and end the service.

        Raises:
            MeshError: why the service could not go on.
        """
        await self._say(Finish())
        with node_errors(self._control):
            async with asyncio.timeout(self._order.deadline + _FAREWELL):
                return await asyncio.shield(self._closed)

    async def _put(self, inputs: Mapping[str, object]) -> _Sent:
        tensors = {name: Tensor.of(array) for name, array in inputs.items()}
        if self._over is not None:
            raise self._over
        loop = asyncio.get_running_loop()
        seq, self._next = self._next, self._next + 1
        self._sent[seq] = sent = _Sent(loop.create_future(), loop.time())
        with node_errors(self._control):
            await self._socket.send_bytes(msgspec.msgpack.encode(Parcel(seq, tensors)))
        return sent

    async def _say(self, words: Open | Finish) -> None:
        with node_errors(self._control):
            await self._socket.send_str(encode(words).decode())

    async def _pump(
        self, frames: Frames, queue: asyncio.Queue[_Sent | Exception | None], room: asyncio.Semaphore
    ) -> None:
        with _HandingOver(queue):
            source = _asynchronous(frames)
            while True:
                await room.acquire()
                frame = await anext(source, None)
                if frame is None:
                    return
                queue.put_nowait(await self._put(frame))

    async def _listen(self) -> None:
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    parcel = msgspec.msgpack.decode(message.data, type=Parcel)
                    self._settle(parcel.seq, parcel.tensors)
                else:
                    self._hear(decode(message.data, Event))
        except (msgspec.DecodeError, RecursionError) as error:
            self._end(BadFrame(f"The node says what this version does not understand: {error}."))
        finally:
            self._end(NoNode(f"The node at {self._control} went away."))

    def _hear(self, event: Event) -> None:
        match event:
            case Refused(seq, fault):
                self._settle(seq, fault.raised())
            case Opened() if not self._opened.done():
                self._opened.set_result(None)
            case Closed(statistics) if not self._closed.done():
                self.statistics = statistics
                self._closed.set_result(statistics)
            case Failed(fault):
                self._end(fault.raised())
            case PlanUp() | PlanLost() | Progress():
                self._report(event)

    def _settle(self, seq: int, outcome: Tensors | MeshError) -> None:
        sent = self._sent.pop(seq, None)
        if sent is None or sent.answer.done():
            return  # whoever asked has stopped waiting
        if isinstance(outcome, MeshError):
            _fail(sent.answer, outcome)
        else:
            self.latencies.append(asyncio.get_running_loop().time() - sent.since)
            sent.answer.set_result(outcome)

    def _end(self, error: MeshError) -> None:
        self._over = self._over or error
        for future in (self._opened, self._closed):
            _fail(future, self._over)
        for seq in list(self._sent):
            self._settle(seq, self._over)

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._tasks.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _leave(self) -> None:
        self._end(SessionError("The stream is over."))
        try:
            with suppress(OSError):
                await self._socket.close()
            await self._http.close()
        finally:
            for task in list(self._running):
                task.cancel()
            await self._tasks.__aexit__(None, None, None)


class _HandingOver:
    """Whatever ends a pump, a bug in somebody's frames included, is to be raised where the answers are awaited."""

    def __init__(self, queue: asyncio.Queue[_Sent | Exception | None]) -> None:
        self._queue = queue

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self._queue.put_nowait(error if isinstance(error, Exception) else None)
        return isinstance(error, Exception)


async def _dialled(control: Path) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(control)))
    try:
        return http, await http.ws_connect("http://mesh/v1/services", compress=0, max_msg_size=FRAME_LIMIT + 1)
    except aiohttp.ClientConnectorError as error:
        await http.close()
        raise error.os_error from error
    except aiohttp.ClientError as error:
        await http.close()
        raise NoNode(f"What answers at {control} is no node of this version: {error}.") from error
    except BaseException:
        await http.close()
        raise


async def _asynchronous(frames: Frames) -> AsyncIterator[Mapping[str, object]]:
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
        return
    source, over = iter(frames), object()
    while (found := await asyncio.to_thread(next, source, over)) is not over:
        yield cast(Mapping[str, object], found)


async def _outcome(answer: asyncio.Future[Tensors]) -> Tensors | MeshError:
    try:
        return await answer
    except MeshError as error:
        return error


def _fail(future: asyncio.Future[Any], error: MeshError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # seen, should nobody be waiting any more
