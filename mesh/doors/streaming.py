"""One model served to one program of this device: the node's side of a stream. See `mesh.doors.language`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
from aiohttp import WSMsgType, web

from mesh.doors.borrowing import model_called
from mesh.doors.language import (
    Closed,
    Event,
    Failed,
    Fault,
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
    plain,
)
from mesh.doors.orders import serving_job
from mesh.doors.views import Insides, plan_view
from mesh.errors import BadInput, MeshError, SessionError, first_error
from mesh.service import Lost, Service, Up
from mesh.wire import FRAME_LIMIT

__all__ = ["serve_stream"]

_UNREAD = 256
"""Events that may wait for a program that does not read; progress beyond that is dropped."""


async def serve_stream(request: web.Request, inside: Insides) -> web.WebSocketResponse:
    """Serve until the program has had enough, or is gone."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=FRAME_LIMIT + 1, timeout=1.0)
    await socket.prepare(request)
    with suppress(ConnectionError):  # gone: whatever we still had to say, nobody hears
        await _Stream(socket, inside).run()
        await socket.close()
    return socket


class _Stream:
    def __init__(self, socket: web.WebSocketResponse, inside: Insides) -> None:
        self._socket = socket
        self._inside = inside
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell())
                try:
                    await self._serve()
                except MeshError as error:
                    self._say(Failed(Fault.of(error)))
                except BaseExceptionGroup as group:
                    self._say(Failed(Fault.of(first_error(group))))
                self._events.put_nowait(None)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _serve(self) -> None:
        order = await self._order()
        job = serving_job(order, await model_called(self._inside, order.model), self._inside.installed.protocols)

        def hear(event: object) -> None:
            self._hear(event, progress=order.progress)

        async with self._inside.node.serve(job, backlog=order.backlog, report=hear) as service:
            self._say(Opened())
            room = asyncio.Semaphore(order.backlog)
            async with asyncio.TaskGroup() as asking:
                async for parcel in self._parcels(room):
                    asking.create_task(self._answer(service, parcel, room))
        self._say(Closed(service.statistics()))

    async def _order(self) -> Open:
        async with asyncio.timeout(10.0):
            message = await self._socket.receive()
        try:
            order: Open = decode(message.data, Open)
        except (msgspec.DecodeError, TypeError) as error:
            raise BadInput(f"A stream begins with an order: {error}.") from error
        return order

    async def _parcels(self, room: asyncio.Semaphore) -> AsyncIterator[Parcel]:
        """Requests, each once there is room for it: until then it is not even read."""
        while True:
            await room.acquire()
            message = await self._socket.receive()
            match message.type:
                case WSMsgType.BINARY:
                    yield _parcel(message.data)
                case WSMsgType.TEXT:
                    _require_finish(message.data)
                    return
                case _:
                    raise SessionError("The program that asked has gone.")

    async def _answer(self, service: Service, parcel: Parcel, room: asyncio.Semaphore) -> None:
        try:
            answer = await service.ask(parcel.tensors)
        except MeshError as error:
            self._say(Refused(parcel.seq, Fault.of(error)))
        else:
            await self._socket.send_bytes(msgspec.msgpack.encode(Parcel(parcel.seq, answer)))
        finally:
            room.release()

    def _hear(self, event: object, *, progress: bool) -> None:
        match event:
            case Up(plan):
                self._say(PlanUp(plan_view(plan)))
            case Lost(error, replayed):
                self._say(PlanLost(Fault.of(error), replayed))
            case _ if progress and self._events.qsize() < _UNREAD:
                self._say(Progress(type(event).__name__, dict(plain(event))))

    def _say(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def _tell(self) -> None:
        while (event := await self._events.get()) is not None:
            await self._socket.send_str(encode(event).decode())


def _parcel(data: bytes) -> Parcel:
    try:
        return msgspec.msgpack.decode(data, type=Parcel)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadInput(f"That is no request: {error}.") from error


def _require_finish(text: str) -> None:
    try:
        decode(text, Finish)
    except msgspec.DecodeError as error:
        raise BadInput(f"Within a stream only its end is told in words: {error}.") from error
