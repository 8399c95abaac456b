"""One direction of one channel in the virtual network: frames that become due in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from mesh.errors import PeerLost
from mesh.ids import PeerId
from mesh.wire import Frame

__all__ = ["CAPACITY", "Cables", "Pipe"]

CAPACITY = 1 * 2**20
"""Bytes on their way before the sender has to wait: a socket's buffers, both ends together."""


class Cables(Protocol):
    """What a pipe runs through."""

    def crosses(self, source: PeerId, target: PeerId) -> bool:
        """Whether a frame would get from one to the other now."""

    def carry(self, source: PeerId, target: PeerId, frame: Frame) -> tuple[bytes, float, float]:
        """The frame as it will arrive; for how many seconds it keeps the cable busy; and how long it is under way."""

    def forget(self, pipe: Pipe) -> None:
        """This pipe has carried its last."""


class Pipe:
    """Attributes:
    other: the opposite direction of the same channel.
    ended: nothing more will be sent.
    silent_since: when its cable was found dead, on the loop's clock; None while it is well.
    """

    other: Pipe

    def __init__(self, network: Cables, source: PeerId, target: PeerId) -> None:
        self.source, self.target = source, target
        self.silent_since: float | None = None
        self._network = network
        self._queue: deque[tuple[float, bytes]] = deque()
        self._waiting = 0
        self._free = 0.0  # when the cable is done with what was handed to it
        self._due = 0.0
        self.ended = False
        self._news = asyncio.Event()

    async def send(self, frame: Frame) -> None:
        """Put a frame on its way; wait while too much is. Raises PeerLost."""
        await asyncio.sleep(0)
        while self._waiting > CAPACITY and not self.ended:
            self._news.clear()
            await self._news.wait()
        if self.ended:
            raise PeerLost(self.target, "The channel is closed.")
        data, busy, wait = self._network.carry(self.source, self.target, frame)
        self._free = max(self._free, asyncio.get_running_loop().time()) + busy
        self._due = max(self._due, self._free + wait)
        self._queue.append((self._due, data))
        self._waiting += len(data)
        self._news.set()

    async def receive(self) -> bytes:
        """The next frame that has arrived. Raises PeerLost when none is left and none will come."""
        while True:
            due = self._next_due()
            if due is not None and due <= asyncio.get_running_loop().time():
                _, data = self._queue.popleft()
                self._waiting -= len(data)
                self._news.set()
                self._forget_if_done()
                return data
            if self.ended and not self._queue:
                raise PeerLost(self.source, "The channel is closed.")
            self._news.clear()
            try:
                async with asyncio.timeout_at(due):
                    await self._news.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """No more will be sent; what is on its way still arrives."""
        self.ended = True
        self._forget_if_done()
        self._news.set()

    def abandon(self) -> None:
        """No more will be read."""
        self._queue.clear()
        self.close()

    def sever(self) -> None:
        """The channel is broken: what was on its way is lost, both ways."""
        self.abandon()
        self.other.abandon()

    def expire(self, silent: float) -> None:
        """Break the channel if its cable has been dead for `silent` seconds."""
        now = asyncio.get_running_loop().time()
        if self.silent_since is not None and now - self.silent_since >= silent - 1e-9:
            self.sever()

    def wake(self) -> None:
        """The weather has changed."""
        self._news.set()

    def _forget_if_done(self) -> None:
        if self.ended and not self._queue:
            self._network.forget(self)

    def _next_due(self) -> float | None:
        if not self._queue or not self._network.crosses(self.source, self.target):
            return None
        return self._queue[0][0]
