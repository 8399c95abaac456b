"""A channel over one TLS connection: frames with their length before them, and a sign of life in between.

Both sides say unasked that they are alive, twice a heartbeat, whatever their applications do. So a peer that is slow to
read is waited for, and one that has stopped, or that nothing reaches any more, is noticed within 1.5 heartbeats. (A
ping would not do: its answer waits behind everything that a slow reader has not read yet.)

A channel has no task of its own: the loop calls it when bytes have come, when it may write again, and by the clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import cast

from mesh.contracts import Channel
from mesh.errors import FrameTooLarge, MeshError, PeerLost, WireError
from mesh.ids import PeerId
from mesh.transport.framing import FAREWELL, SIGN_OF_LIFE, Deframer, length_prefix
from mesh.transport.tally import Tally
from mesh.wire import Frame, decode, encode

__all__ = ["StreamChannel"]

UNREAD = 2**20
"""Bytes that wait here for `receive` before the peer has to wait. One frame may exceed it; a second then stays out."""

PARTING = 1.0
"""Seconds that `aclose` waits until the peer has read everything. What is on its way goes on arriving after that."""

_PIECE = 2**18  # bytes encrypted at one go, so that a large frame does not hold up everyone else on the loop
_FRAME_COST = 64  # what a waiting frame takes besides its bytes


class StreamChannel(Channel, asyncio.BufferedProtocol):
    """One end of a channel. Comes to life when it is made the protocol of a connection.

    Args:
        peer: who the TLS handshake proved to be there.
        frame_limit: bytes of one frame at most, either way.
        heartbeat: seconds; the other end must use the same.
        home: where it is found as long as it has a connection.
        before: the protocol that had this connection before, and is told when it is lost.
    """

    def __init__(
        self,
        peer: PeerId,
        *,
        frame_limit: int,
        heartbeat: float,
        tally: Tally,
        home: set[StreamChannel],
        before: asyncio.BaseProtocol | None,
    ) -> None:
        self.peer = peer
        self._frame_limit = frame_limit
        self._heartbeat = heartbeat
        self._tally = tally
        self._home = home
        self._before = before
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._deframer = Deframer(frame_limit)
        self._arrived: deque[memoryview] = deque()
        self._unread = 0
        self._reading = True
        self._heard = self._loop.time()
        self._clock: asyncio.TimerHandle | None = None
        self._beats = 0
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._end: MeshError | None = None
        self._cut = False
        self._deadline: asyncio.TimerHandle | None = None
        self._gone = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        head, body = encode(Frame(frame.scope, frame.kind)), memoryview(frame.body).cast("B")
        length = len(head) + len(body)
        if length > self._frame_limit:
            raise FrameTooLarge(f"a frame of {length} bytes; {self.peer.short} takes at most {self._frame_limit}")
        async with self._turn:
            await self._may_write()
            self._write(b"".join((length_prefix(length), head, body[:_PIECE])))
            if len(body) > _PIECE:
                await self._send_rest(body[_PIECE:])
        self._tally.sent(self.peer, length)

    async def receive(self) -> Frame:
        while not self._arrived:
            if isinstance(self._end, WireError):
                raise type(self._end)(str(self._end))
            if self._end:
                raise self._lost()
            self._news.clear()
            await self._news.wait()
        data = self._arrived.popleft()
        self._unread -= len(data) + _FRAME_COST
        if self._unread <= UNREAD // 2:
            self._read_on()
        try:
            return decode(data, self._frame_limit)
        except WireError as error:
            self._finish(PeerLost(self.peer, f"It sent what is no frame: {error}."))
            await self.aclose()
            raise

    async def aclose(self) -> None:
        self._finish(PeerLost(self.peer, "We closed this channel."))
        self._arrived.clear()
        self._part()
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._gone.wait()

    async def wait_gone(self) -> None:
        """Until nothing is left of the connection."""
        await self._gone.wait()

    def abort(self) -> None:
        """End the connection at once, whatever is still on its way."""
        self._finish(PeerLost(self.peer, "This device stopped."))
        if self._transport is not None:
            self._transport.abort()

    def feed(self, data: bytes) -> None:
        """Take what came on this connection before the channel had it."""
        while data:
            room = self.get_buffer(-1)
            count = min(len(room), len(data))
            room[:count] = data[:count]
            self.buffer_updated(count)
            data = data[count:]

    # The event loop calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._home.add(self)
        self._writable.set()
        self._await_tick()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._deframer.room()

    def buffer_updated(self, nbytes: int) -> None:
        self._heard = self._loop.time()
        frames = self._deframer.filled(nbytes)
        if self._end is None:
            self._take(frames)
        if self._deframer.broken is not None:
            self._finish(self._deframer.broken)
            self.abort()
        elif self._deframer.farewell:
            self._finish(PeerLost(self.peer, "It closed the channel."))
            self._part()
            self._close()

    def pause_writing(self) -> None:
        if self._end is None:
            self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(PeerLost(self.peer, "It went away."))
        self._transport = None
        self._home.discard(self)
        self._gone.set()
        for clock in (self._clock, self._deadline):
            if clock is not None:
                clock.cancel()
        if self._before is not None:
            self._before.connection_lost(exc)

    def _tick(self, due: float) -> None:
        """Four times a heartbeat: has the peer been silent for too long, and is it time for a word of ours?"""
        now = self._loop.time()
        # Time in which this device slept, or did not care to read, is no silence of the peer's.
        self._heard = self._heard + now - due if self._reading else now
        if now - self._heard > 1.2 * self._heartbeat:
            self._finish(PeerLost(self.peer, f"It has been silent for {now - self._heard:.1f} s."))
            self.abort()
            return
        self._beats += 1
        if self._beats % 2 and self._end is None and self._writable.is_set() and not self._turn.locked():
            self._write(SIGN_OF_LIFE)
        self._await_tick()

    def _await_tick(self) -> None:
        due = self._loop.time() + self._heartbeat / 4
        self._clock = self._loop.call_at(due, self._tick, due)

    # The rest serves those above.

    async def _may_write(self) -> None:
        while self._end is None and not self._writable.is_set():
            await self._writable.wait()
        if self._end is not None:
            raise self._lost()

    async def _send_rest(self, body: memoryview) -> None:
        self._cut = True
        try:
            for start in range(0, len(body), _PIECE):
                await self._may_write()
                self._write(body[start : start + _PIECE])
            self._cut = False
        finally:
            if self._cut:  # the peer waits for the rest of this frame, which will never come
                self._finish(PeerLost(self.peer, "A frame to it was cut short."))
                self._part()

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _take(self, frames: list[memoryview]) -> None:
        for frame in frames:
            self._arrived.append(frame)
            self._unread += len(frame) + _FRAME_COST
            self._tally.received(self.peer, len(frame))
        if frames:
            self._news.set()
        if self._unread > UNREAD and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if not self._reading and self._transport is not None:
            self._reading = True
            self._heard = self._loop.time()
            self._transport.resume_reading()

    def _finish(self, end: MeshError) -> None:
        """The first reason counts. Wakes everyone who waits for this channel."""
        if self._end is None:
            self._end = end
            self._news.set()
            self._writable.set()

    def _lost(self) -> PeerLost:
        return PeerLost(self.peer, self._end.reason if isinstance(self._end, PeerLost) else str(self._end))

    def _part(self) -> None:
        """Say the last word and wait for the peer's, which tells that it has read all of ours; but not for ever."""
        if self._deadline is None and self._transport is not None:
            self._deadline = self._loop.call_later(max(PARTING, 1.5 * self._heartbeat), self.abort)
            self._read_on()
            if self._cut:
                self._close()
            else:
                self._write(FAREWELL)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
