"""A channel over one WebSocket: a frame a message, and a sign of life in between.

Both sides say unasked that they are alive, twice a heartbeat, whatever their applications do. So a peer that is slow to
read is waited for, and one that has stopped, or that nothing reaches any more, is noticed within 1.5 heartbeats.
(A ping would not do: its answer waits behind everything that a slow reader has not read yet.)
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress

import aiohttp
from aiohttp import WSMsgType, web

from mesh.contracts import Channel, Traffic
from mesh.errors import BadFrame, FrameTooLarge, MeshError, PeerLost, WireError
from mesh.ids import PeerId
from mesh.wire import Frame, decode, encode

__all__ = ["Tally", "WebSocketChannel"]

UNREAD = 2**20
"""Bytes that wait here for `receive` before the peer has to wait: one frame may exceed it, a second then stays out."""

FAREWELL = 1.0
"""Seconds that `aclose` waits for the peer to have read everything. What is on its way goes on arriving after that."""

WebSocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse

_BROKEN = (ConnectionError, aiohttp.ClientError, RuntimeError)  # what aiohttp raises on a connection that is gone


class Tally:
    """Bytes of frames exchanged with each peer."""

    def __init__(self) -> None:
        self._sent: dict[PeerId, int] = {}
        self._received: dict[PeerId, int] = {}

    def sent(self, peer: PeerId, count: int) -> None:
        """`count` more bytes have gone to `peer`."""
        self._sent[peer] = self._sent.get(peer, 0) + count

    def received(self, peer: PeerId, count: int) -> None:
        """`count` more bytes have come from `peer`."""
        self._received[peer] = self._received.get(peer, 0) + count

    def by_peer(self) -> dict[PeerId, Traffic]:
        """So far, in order of id."""
        peers = sorted(self._sent.keys() | self._received.keys())
        return {peer: Traffic(self._sent.get(peer, 0), self._received.get(peer, 0)) for peer in peers}


class WebSocketChannel(Channel):
    """One end of a channel. Lives only while `tend` runs.

    Args:
        peer: who the TLS handshake proved to be there.
        socket: an open WebSocket with no heartbeat and no answering of pings of its own.
        frame_limit: bytes of one frame at most, either way.
        heartbeat: seconds; the other end must use the same.
    """

    def __init__(self, peer: PeerId, socket: WebSocket, *, frame_limit: int, heartbeat: float, tally: Tally) -> None:
        self.peer = peer
        self._socket = socket
        self._raw = socket.get_extra_info("socket")
        self._frame_limit = frame_limit
        self._heartbeat = heartbeat
        self._tally = tally
        self._heard = asyncio.get_running_loop().time()
        self._arrived: deque[bytes] = deque()
        self._unread = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._sending: set[asyncio.Timeout] = set()
        self._end: MeshError | None = None
        self._ended = asyncio.Event()
        self._gone = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        data = encode(frame)
        if len(data) > self._frame_limit:
            raise FrameTooLarge(f"a frame of {len(data)} bytes; {self.peer.short} takes at most {self._frame_limit}")
        if self._end:
            raise self._lost()
        limit = asyncio.timeout(None)  # no limit, until `_finish` has one for us
        try:
            async with limit:
                self._sending.add(limit)
                await self._socket.send_bytes(data)
        except (TimeoutError, *_BROKEN) as error:
            self._finish(PeerLost(self.peer, "It went away."))
            raise self._lost() from error
        finally:
            self._sending.discard(limit)
        self._tally.sent(self.peer, len(data))

    async def receive(self) -> Frame:
        while not self._arrived:
            if isinstance(self._end, WireError):
                raise type(self._end)(str(self._end))
            if self._end:
                raise self._lost()
            self._news.clear()
            await self._news.wait()
        data = self._arrived.popleft()
        self._unread -= len(data)
        if self._unread <= UNREAD // 2:
            self._room.set()
        try:
            return decode(data, self._frame_limit)
        except WireError as error:
            self._finish(PeerLost(self.peer, f"It sent what is no frame: {error}."))
            await self.aclose()
            raise

    async def aclose(self) -> None:
        self._finish(PeerLost(self.peer, "We closed this channel."))
        self._arrived.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._gone.wait()

    async def wait_gone(self) -> None:
        """Until nothing is left of the connection."""
        await self._gone.wait()

    async def tend(self) -> None:
        """Read ahead and show signs of life until the channel ends, then take the connection down. Never fails."""
        try:
            async with asyncio.TaskGroup() as tasks:
                chores = [tasks.create_task(self._listen()), tasks.create_task(self._beat())]
                await self._ended.wait()
                await self._part()
                for chore in chores:
                    chore.cancel()
        finally:
            self._finish(PeerLost(self.peer, "This device stopped."))
            self._hang_up()
            self._gone.set()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        while self._end is None:
            try:
                message = await self._socket.receive()
                self._heard = loop.time()
                if message.type is WSMsgType.PING:
                    await self._socket.pong(message.data)
                elif message.type is WSMsgType.BINARY:
                    self._take(message.data)
                elif message.type is not WSMsgType.PONG:
                    self._finish(self._verdict(message))
            except _BROKEN as error:
                self._finish(PeerLost(self.peer, f"It went away: {error}."))
            await self._room.wait()

    def _take(self, data: bytes) -> None:
        self._arrived.append(data)
        self._unread += len(data)
        self._tally.received(self.peer, len(data))
        if self._unread > UNREAD:
            self._room.clear()
        self._news.set()

    def _verdict(self, message: aiohttp.WSMessage) -> MeshError:
        if isinstance(message.data, aiohttp.WebSocketError):
            if message.data.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
                return FrameTooLarge(f"{self.peer.short} sent a frame of more than {self._frame_limit} bytes")
            return BadFrame(f"{self.peer.short} broke the WebSocket protocol: {message.data}")
        if message.type is WSMsgType.TEXT:
            return BadFrame(f"{self.peer.short} sent text where frames belong")
        return PeerLost(self.peer, "It closed the channel." if message.type is WSMsgType.CLOSE else "It went away.")

    async def _beat(self) -> None:
        loop, tick = asyncio.get_running_loop(), self._heartbeat / 4
        for count in range(2**62):
            due = loop.time() + tick
            await asyncio.sleep(tick)
            # Time in which this device slept, or did not care to read, is no silence of the peer's.
            self._heard = self._heard + (loop.time() - due) if self._room.is_set() else loop.time()
            if loop.time() - self._heard > 1.2 * self._heartbeat:
                self._finish(PeerLost(self.peer, f"It has been silent for {loop.time() - self._heard:.1f} s."))
                self._hang_up()
                return
            if count % 2:
                with suppress(TimeoutError, *_BROKEN):
                    async with asyncio.timeout(tick):
                        await self._socket.pong()

    def _finish(self, end: MeshError) -> None:
        """The first reason counts. Wakes everyone who waits for this channel."""
        if self._end is None:
            self._end = end
            for limit in self._sending:
                limit.reschedule(0)
            self._news.set()
            self._room.set()
            self._ended.set()

    async def _part(self) -> None:
        """Close as WebSockets close: the peer's own last word tells that it has read all of ours."""
        with suppress(TimeoutError, *_BROKEN):
            async with asyncio.timeout(max(FAREWELL, 1.5 * self._heartbeat)):
                await self._socket.close()

    def _hang_up(self) -> None:
        """End the connection under the WebSocket, whatever still waits to be written."""
        with suppress(OSError), socket.socket(fileno=os.dup(self._raw.fileno())) as raw:
            raw.shutdown(socket.SHUT_RDWR)

    def _lost(self) -> PeerLost:
        return PeerLost(self.peer, self._end.reason if isinstance(self._end, PeerLost) else str(self._end))
