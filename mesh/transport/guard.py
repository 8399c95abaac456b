"""A doorkeeper in front of an HTTP server: nobody may hold the door without coming in.

A connection has `head` seconds to complete a request's head, from the moment it opens or says its first byte; between
requests it may idle for `idle` seconds; and there are never more connections than `total`, nor than `per_host` from one
address. aiohttp alone would let a request dribble in for more than a minute, and has no caps.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from aiohttp import web

__all__ = ["Guard", "GuardLimits"]


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How much patience and room there is for whoever connects."""

    handshake: float = 3.0
    """Seconds for a TLS handshake. Raising it lets a stranger hold a file descriptor that much longer."""

    head: float = 3.0
    """Seconds for the head of a request. Raising it lets a dribbling client hold a connection that much longer."""

    idle: float = 60.0
    """Seconds between requests on one connection. Raising it saves handshakes and costs file descriptors."""

    total: int = 512
    """Connections at once, channels included. Each takes a file descriptor and some 60 kB."""

    per_host: int = 128
    """Connections at once from one network address."""


class Guard:
    """Stands before one server: `loop.create_server(guard.before(server), ...)`."""

    def __init__(self, limits: GuardLimits) -> None:
        self.limits = limits
        self._guarded: dict[web.RequestHandler, _Guarded] = {}
        self._hosts: Counter[str] = Counter()

    def before(self, server: Callable[[], web.RequestHandler]) -> Callable[[], asyncio.Protocol]:
        """What makes the protocol of each connection; everything is passed on to the one that `server` makes."""
        return lambda: _Guarded(self, server())

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._guarded)

    @contextmanager
    def busy(self, protocol: web.RequestHandler) -> Iterator[None]:
        """While a request is being answered, its connection is under no clock of ours."""
        guarded = self._guarded.get(protocol)
        if guarded is None:  # it was lost before its request was looked at
            yield
            return
        guarded.work()
        try:
            yield
        finally:
            guarded.rest()

    def admit(self, guarded: _Guarded, host: str) -> bool:
        """Count a new connection in; False if there is no room for it."""
        if len(self._guarded) >= self.limits.total or self._hosts[host] >= self.limits.per_host:
            return False
        self._guarded[guarded.inner] = guarded
        self._hosts[host] += 1
        return True

    def dismiss(self, guarded: _Guarded, host: str) -> None:
        """Count a lost connection out, if it was ever in."""
        if self._guarded.pop(guarded.inner, None):
            self._hosts[host] -= 1
            if not self._hosts[host]:
                del self._hosts[host]


class _Guarded(asyncio.Protocol):
    """One connection: aiohttp's protocol with a clock."""

    def __init__(self, guard: Guard, inner: web.RequestHandler) -> None:
        self.inner = inner
        self._guard = guard
        self._transport: asyncio.Transport | None = None
        self._host = ""
        self._clock: asyncio.TimerHandle | None = None
        self._idle = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._host = str((transport.get_extra_info("peername") or ("",))[0])
        self.inner.connection_made(transport)
        if self._guard.admit(self, self._host):
            self._allow(self._guard.limits.head)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._idle:
            self._idle = False
            self._allow(self._guard.limits.head)
        self.inner.data_received(data)

    def eof_received(self) -> None:
        self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.dismiss(self, self._host)
        self._stop_clock()
        self._transport = None
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def work(self) -> None:
        """A whole head has come, and somebody sees to it."""
        self._idle = False
        self._stop_clock()

    def rest(self) -> None:
        """The answer is given."""
        if self._transport is not None:
            self._idle = True
            self._allow(self._guard.limits.idle)

    def _allow(self, seconds: float) -> None:
        self._stop_clock()
        if self._transport is not None:
            self._clock = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
