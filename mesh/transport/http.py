"""The real network: HTTPS for control, upgraded connections for channels, mutual TLS for both.

    POST /v1/call                 one control request: a frame in, a frame out
    GET  /v1/sessions/{session}   upgraded: from there on one channel, see `mesh.transport.framing`

Whom we talk to is settled by the TLS handshake (`mesh.identity`), before a byte of HTTP is read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from mesh.contracts import Accept, Address, Answer, Channel, Sighting, Traffic, Transport
from mesh.errors import BadFrame, ConfigError, FrameTooLarge, Misuse, PeerDeclined
from mesh.identity import Identity, server_name
from mesh.ids import PeerId, SessionId
from mesh.transport.guard import Guard, GuardLimits
from mesh.transport.reach import Patience, reach
from mesh.transport.routes import CALL, Routes, Terms, channel_path
from mesh.transport.stream import StreamChannel
from mesh.transport.upgrade import knock
from mesh.wire import Frame, Limits, decode, encode

__all__ = ["GuardLimits", "HttpTransport", "Patience"]

REUSE = 15.0
"""Seconds that a connection for calls is kept. Less than `GuardLimits.idle` over there, so that we let go first."""

AT_ONCE = 8
"""Calls to one peer at once; more wait their turn. Each takes a connection, and a first call a handshake."""

LEAVE = 0.5
"""Seconds that leaving waits for polite farewells."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What exists only while we serve."""

    client: aiohttp.ClientSession
    context: ssl.SSLContext
    door: ssl.SSLContext
    channels: set[StreamChannel] = field(default_factory=set)


class HttpTransport(Transport):
    """Carries frames over aiohttp under mutual TLS.

    Args:
        identity: our key, certificate and root.
        bind: where to listen; port 0 takes a free one.
        limits: how much a peer may make us hold.
        heartbeat: seconds; a peer that has stopped is lost after at most 1.5 times as long, and each idle channel costs
            2 / heartbeat packets a second each way. The same throughout a mesh.
        patience: how long we wait for others.
        guard: how much patience and room there is for whoever connects.

    Attributes:
        identity: who we are, by the certificate that we show now.
        shunned: says why nothing is to be had to do with a peer, whatever it can prove; None if there is no reason.
            May be replaced before the transport serves.
    """

    def __init__(
        self,
        identity: Identity,
        bind: Address | Sequence[Address],
        *,
        limits: Limits | None = None,
        heartbeat: float = 10.0,
        patience: Patience | None = None,
        guard: GuardLimits | None = None,
    ) -> None:
        self.peer = identity.peer
        self.identity = identity
        self.shunned: Callable[[PeerId], str | None] = lambda _peer: None
        self._bind = (bind,) if isinstance(bind, Address) else tuple(bind)
        self._terms = Terms(identity, limits or Limits(), heartbeat, patience or Patience(), self._shunned)
        self._guard_limits = guard or GuardLimits()
        self._open: _Open | None = None

    @asynccontextmanager
    async def serve(self, answer: Answer, accept: Accept) -> AsyncIterator[tuple[Address, ...]]:
        """As the contract says.

        Raises:
            ConfigError: an address or port cannot be had.
            IdentityError: the key or a certificate has become unreadable.
        """
        if self._open is not None:
            raise Misuse("a transport serves once at a time")
        guard = Guard(self._guard_limits)
        routes = Routes(self._terms, answer, accept, guard=guard, open_channel=self._channel)
        runner = web.AppRunner(
            routes.application(), access_log=None, auto_decompress=False, shutdown_timeout=0.1, lingering_time=0
        )
        async with AsyncExitStack() as stack:
            context, door = self._terms.identity.client_context(), self._terms.identity.server_context()
            client = await stack.enter_async_context(self._client(context))
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            self._open = opened = _Open(client, context, door)
            stack.push_async_callback(self._leave, opened, routes)
            yield tuple([address for bind in self._bind for address in await self._listen(bind, guard, runner, stack)])

    async def call(self, to: Sighting, request: Frame) -> Frame:
        self._require_welcome(to.peer)
        client, data, limit = self._now().client, encode(request), self._terms.limits.call
        if len(data) > limit:
            raise FrameTooLarge(f"a request of {len(data)} bytes; at most {limit} are taken")

        async def ask(address: Address) -> bytes:
            url, name = f"https://{address}{CALL}", server_name(to.peer)
            async with client.post(url, data=data, server_hostname=name, allow_redirects=False) as response:
                return await _body(to.peer, response, limit)

        reply = await reach(to, self._terms.patience, ask)
        self._terms.tally.sent(to.peer, len(data))
        self._terms.tally.received(to.peer, len(reply))
        return decode(reply, limit)

    async def dial(self, to: Sighting, session: SessionId) -> Channel:
        self._require_welcome(to.peer)
        context, path = self._now().context, channel_path(session)

        async def ask(address: Address) -> Channel:
            channel, name = self._channel(to.peer, None), server_name(to.peer)
            await knock(address, path, channel, context=context, name=name, timeout=self._terms.patience.connect)
            return channel

        return await reach(to, self._terms.patience, ask)

    def refresh(self, identity: Identity) -> None:
        """Show a new certificate, of the same device, from now on. Channels that are open stay open.

        Raises:
            Misuse: it is another device's.
            IdentityError: its files are not usable.
        """
        if identity.peer != self.peer:
            raise Misuse("a transport cannot become another device")
        for context in (self._open.context, self._open.door) if self._open else ():
            identity.refresh(context)
        self.identity = identity

    def shun(self) -> None:
        """Drop the channels of those who have become shunned. Whoever shares a session with them sees them lost."""
        for channel in list(self._open.channels) if self._open else ():
            if self.shunned(channel.peer) is not None:
                channel.abort()

    def traffic(self) -> dict[PeerId, Traffic]:
        return self._terms.tally.by_peer()

    def channels(self) -> int:
        return len(self._open.channels) if self._open else 0

    def _shunned(self, peer: PeerId) -> str | None:
        return self.shunned(peer)

    def _require_welcome(self, peer: PeerId) -> None:
        if (reason := self.shunned(peer)) is not None:
            raise PeerDeclined(peer, reason)

    def _now(self) -> _Open:
        if self._open is None:
            raise Misuse("a transport calls and dials only while it serves")
        return self._open

    def _channel(self, peer: PeerId, before: asyncio.BaseProtocol | None) -> StreamChannel:
        channels, terms = self._now().channels, self._terms
        return StreamChannel(
            peer,
            frame_limit=terms.limits.frame,
            heartbeat=terms.heartbeat,
            tally=terms.tally,
            home=channels,
            before=before,
        )

    def _client(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=context,
            limit=0,
            limit_per_host=AT_ONCE,
            keepalive_timeout=REUSE,
            happy_eyeballs_delay=None,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._terms.patience.connect),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        )

    async def _listen(self, bind: Address, guard: Guard, runner: web.AppRunner, stack: AsyncExitStack) -> list[Address]:
        if runner.server is None:
            raise Misuse("a runner listens after its set-up")
        try:
            listener = await asyncio.get_running_loop().create_server(
                guard.before(runner.server),
                bind.host,
                bind.port,
                ssl=self._now().door,
                ssl_handshake_timeout=guard.limits.handshake,
            )
        except OSError as error:
            raise ConfigError(
                f"cannot listen at {bind} ({error.strerror}): choose another port, 0 for any, or an address of this "
                "device."
            ) from error
        stack.callback(listener.close)
        return [Address(*socket.getsockname()[:2]) for socket in listener.sockets]

    async def _leave(self, opened: _Open, routes: Routes) -> None:
        self._open = None
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE), asyncio.TaskGroup() as farewells:
                for channel in opened.channels:
                    farewells.create_task(channel.aclose())
        for channel in list(opened.channels):
            channel.abort()
        await routes.dismiss()


async def _body(peer: PeerId, response: aiohttp.ClientResponse, limit: int) -> bytes:
    if response.status == web.HTTPForbidden.status_code:
        raise PeerDeclined(peer, "It has nothing to do with this device: it may have been put out of the mesh.")
    if response.status != web.HTTPOk.status_code:
        raise BadFrame(f"{peer.short} answered HTTP {response.status} instead of a frame: is it of another version?")
    length = response.content_length
    if length is None or length > limit:
        raise FrameTooLarge(f"{peer.short} answered with {length} bytes; at most {limit} are taken")
    return await response.read()
