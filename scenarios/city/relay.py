"""A TCP relay on the loopback interface that can hold bytes back, or reset everything that goes through it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from mesh.contracts import Address

__all__ = ["STREET", "Relay"]

STREET = "street"
"""The name of every task of a relay."""

_CHUNK = 2**16
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: closing sends RST


class Relay:
    """Use as a context; it listens for as long.

    Attributes:
        target: where connections are led to; None resets whoever comes.
        address: where it listens.
        connections: how many go through it now.
    """

    address: Address

    def __init__(self) -> None:
        self.target: Address | None = None
        self._flows: set[_Flow] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._dead = False
        self._stack = AsyncExitStack()

    @property
    def connections(self) -> int:
        return len(self._flows)

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        server = await asyncio.start_server(self._led, "127.0.0.1", 0)
        self._stack.callback(self.reset)
        self._stack.callback(server.close)
        self.address = Address(*server.sockets[0].getsockname()[:2])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def hold(self, held: bool) -> None:
        """Hold all bytes back, or let them go on."""
        if held:
            self._open.clear()
        else:
            self._open.set()

    def reset(self) -> None:
        """Reset every connection, and any to come."""
        self._dead = True
        for flow in list(self._flows):
            flow.reset()

    def _led(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = _Flow(reader, writer)
        self._flows.add(flow)
        flow.task = self._tasks.create_task(self._lead(flow), name=STREET)

    async def _lead(self, flow: _Flow) -> None:
        try:
            await self._open.wait()
            if self._dead or self.target is None:
                return
            with suppress(OSError):
                back = await asyncio.open_connection(self.target.host, self.target.port)
                flow.writers.append(back[1])
                async with asyncio.TaskGroup() as tasks:
                    ways = [
                        tasks.create_task(self._pour(flow.reader, back[1]), name=STREET),
                        tasks.create_task(self._pour(back[0], flow.writers[0]), name=STREET),
                    ]
                    # Either side closing closes both: TLS has said its goodbyes above us.
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                    await asyncio.sleep(0.05)
                    for way in ways:
                        way.cancel()
        finally:
            self._flows.discard(flow)
            flow.close()

    async def _pour(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()


class _Flow:
    """One connection through a relay: towards us, and onwards."""

    task: asyncio.Task[None]

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writers = [writer]

    def reset(self) -> None:
        for writer in self.writers:
            raw = writer.get_extra_info("socket")
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        self.task.cancel()

    def close(self) -> None:
        for writer in self.writers:
            writer.close()
