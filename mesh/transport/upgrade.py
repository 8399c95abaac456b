"""From an HTTP request to a channel: GET with `Upgrade`, as WebSockets begin, and then frames of our own.

WebSockets themselves were measured and left: a client must mask what it sends and the server unmask it, which is three
more passes over every byte. See `tests/bench/hop.py`.
"""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import cast

from aiohttp import web

from mesh.contracts import Address
from mesh.transport.stream import StreamChannel

__all__ = ["PROTOCOL", "knock", "take_over"]

PROTOCOL = "veilmesh/1"
"""What stands in the header `Upgrade`. Another form of framing is another number."""

_LONGEST_ANSWER = 4096


async def knock(
    address: Address, path: str, channel: StreamChannel, *, context: ssl.SSLContext, name: str, timeout: float
) -> None:
    """Open `channel` by asking for `path` at `address`, where `name` must answer.

    Args:
        timeout: seconds for the connection, TLS included; and again for the answer.

    Raises:
        OSError: nobody is there, or (as `ssl.SSLError`) somebody else.
        ConnectionRefusedError: it answered, and said no.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout):
        transport, caller = await loop.create_connection(
            lambda: _Caller(channel),
            address.host,
            address.port,
            ssl=context,
            server_hostname=name,
        )
    try:
        request = f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\r\n"
        transport.write(request.encode("ascii"))
        async with asyncio.timeout(timeout):
            status = await caller.answered
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            raise ConnectionRefusedError(f"it answered HTTP {status} when asked for a channel")
    except BaseException:
        transport.abort()
        raise


async def take_over(request: web.Request, channel: StreamChannel) -> web.StreamResponse:
    """Make `channel` of the connection that `request` came on. Lasts as long as the channel may be used."""
    transport = request.transport
    response = web.StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": PROTOCOL})
    response.force_close()
    if transport is None:
        raise ConnectionResetError("the peer left before its channel was open")
    # Before the answer: what the peer sends on hearing it is for the channel already.
    transport.set_protocol(channel)
    channel.connection_made(transport)
    await response.prepare(request)
    return response


class _Caller(asyncio.Protocol):
    """Reads the head of the answer; from the next byte on, the connection is the channel's."""

    def __init__(self, channel: StreamChannel) -> None:
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._channel = channel
        self._transport: asyncio.Transport | None = None
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, rest = self._heard.partition(b"\r\n\r\n")
        if self.answered.done():
            return
        if end:
            self._settle(head, rest)
        elif len(head) > _LONGEST_ANSWER:
            self.answered.set_exception(ConnectionRefusedError("it answered at a length that nobody asked for"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError("it hung up"))

    def _settle(self, head: bytes, rest: bytes) -> None:
        version, _, status = head.partition(b" ")
        if version != b"HTTP/1.1" or not status[:3].isdigit():
            self.answered.set_exception(ConnectionRefusedError("it answered in a language that is not HTTP/1.1"))
            return
        if int(status[:3]) == HTTPStatus.SWITCHING_PROTOCOLS and self._transport is not None:
            self._transport.set_protocol(self._channel)
            self._channel.connection_made(self._transport)
            self._channel.feed(rest)
        self.answered.set_result(int(status[:3]))
