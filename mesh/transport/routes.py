"""What a peer may ask of this device over HTTP: one call, or a channel for a session. Anything else is not found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web

from mesh.contracts import Accept, Answer
from mesh.errors import Misuse, WireError
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.guard import Guard
from mesh.transport.reach import Patience
from mesh.transport.stream import StreamChannel
from mesh.transport.tally import Tally
from mesh.transport.upgrade import PROTOCOL, take_over
from mesh.wire import Limits, decode, encode

__all__ = ["CALL", "OpenChannel", "Routes", "Terms", "channel_path"]

CALL = "/v1/call"

_SESSION = "[0-9a-f]{1,64}"

OpenChannel = Callable[[PeerId, asyncio.BaseProtocol | None], StreamChannel]
"""Makes a channel to a peer for a connection that another protocol has had before, and keeps an eye on it."""

_Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


def channel_path(session: SessionId) -> str:
    """Where the channel for a session is opened. Raises Misuse: it is no session id."""
    if not re.fullmatch(_SESSION, session):
        raise Misuse(f"{session[:80]!r} is no session id: expected 1 to 64 hexadecimal digits")
    return f"/v1/sessions/{session}"


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms this device talks to others, whoever began."""

    identity: Identity
    limits: Limits
    heartbeat: float
    patience: Patience
    shunned: Callable[[PeerId], str | None] = lambda _peer: None
    tally: Tally = field(default_factory=Tally)


class Routes:
    """The two routes, and whoever is just being served.

    Args:
        guard: is told which connections are at work.
        open_channel: makes a channel.
    """

    def __init__(
        self,
        terms: Terms,
        answer: Answer,
        accept: Accept,
        *,
        guard: Guard,
        open_channel: OpenChannel,
    ) -> None:
        self._terms = terms
        self._answer = answer
        self._accept = accept
        self._guard = guard
        self._open_channel = open_channel
        self._serving: set[asyncio.Task[None]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def application(self) -> web.Application:
        """What aiohttp is to serve."""
        app = web.Application(client_max_size=self._terms.limits.call, middlewares=[self._attend])
        app.router.add_post(CALL, self._call)
        app.router.add_get(f"/v1/sessions/{{session:{_SESSION}}}", self._channel, allow_head=False)
        return app

    async def dismiss(self) -> None:
        """Leave everyone who is being served standing, and wait until nothing of theirs runs any more."""
        for task in self._serving:
            task.cancel()
        await self._quiet.wait()

    @web.middleware
    async def _attend(self, request: web.Request, handler: _Respond) -> web.StreamResponse:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._serving.add(task)
        self._quiet.clear()
        try:
            with self._guard.busy(request.protocol):
                return await handler(request)
        finally:
            self._serving.discard(task)
            if not self._serving:
                self._quiet.set()

    async def _call(self, request: web.Request) -> web.Response:
        peer = self._peer(request)
        try:
            async with asyncio.timeout(self._terms.patience.call):
                data = await request.read()
            frame = decode(data, self._terms.limits.call)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except WireError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        self._terms.tally.received(peer, len(data))
        reply = encode(await self._answer(peer, frame))
        self._terms.tally.sent(peer, len(reply))
        return web.Response(body=reply, content_type="application/octet-stream")

    async def _channel(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade") != PROTOCOL:
            raise web.HTTPUpgradeRequired(headers={"Upgrade": PROTOCOL})
        before = request.transport.get_protocol() if request.transport else None
        async with self._open_channel(self._peer(request), before) as channel:
            response = await take_over(request, channel)
            await self._accept(SessionId(request.match_info["session"]), channel)
        await channel.wait_gone()
        return response

    def _peer(self, request: web.Request) -> PeerId:
        peer = self._terms.identity.peer_of(request.get_extra_info("ssl_object"))
        if (reason := self._terms.shunned(peer)) is not None:
            raise web.HTTPForbidden(text=reason)
        return peer
