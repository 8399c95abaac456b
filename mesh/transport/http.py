"""The real network: HTTPS for control, WebSockets for channels, mutual TLS for both.

    POST /v1/call                 one control request: a frame in, a frame out
    GET  /v1/sessions/{session}   upgraded to a WebSocket: one channel, a frame a message
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from aiohttp import web

from mesh.contracts import Accept, Address, Answer, Channel, Sighting, Traffic, Transport
from mesh.errors import IdentityError, Misuse, PeerLost, PeerUnreachable, WireError
from mesh.identity import Identity, server_name
from mesh.ids import PeerId, SessionId
from mesh.wire import Frame, Limits, decode, encode

__all__ = ["HttpTransport"]


class HttpTransport(Transport):
    """Carries frames over aiohttp under mutual TLS.

    Args:
        identity: our key, certificate and root.
        bind: where to listen; port 0 takes a free one.
    """

    def __init__(
        self,
        identity: Identity,
        bind: Address | Sequence[Address],
        *,
        limits: Limits | None = None,
        heartbeat: float = 10.0,
    ) -> None:
        self.peer = identity.peer
        self._identity = identity
        self._bind = (bind,) if isinstance(bind, Address) else tuple(bind)
        self._limits = limits or Limits()
        self._heartbeat = heartbeat
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def serve(self, answer: Answer, accept: Accept) -> AsyncIterator[tuple[Address, ...]]:
        async def on_call(request: web.Request) -> web.Response:
            reply = await answer(self._peer(request), decode(await request.read(), self._limits.call))
            return web.Response(body=encode(reply), content_type="application/octet-stream")

        async def on_channel(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(
                heartbeat=self._heartbeat, max_msg_size=self._limits.frame, compress=False, timeout=1.0
            )
            peer = self._peer(request)
            await socket.prepare(request)
            async with _HttpChannel(peer, socket, self._limits) as channel:
                await accept(SessionId(request.match_info["session"]), channel)
            return socket

        app = web.Application(client_max_size=self._limits.call)
        app.add_routes([web.post("/v1/call", on_call), web.get("/v1/sessions/{session}", on_channel)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
        await runner.setup()
        try:
            for bind in self._bind:
                site = web.TCPSite(runner, bind.host, bind.port, ssl_context=self._identity.server_context())
                await site.start()
            connector = aiohttp.TCPConnector(ssl=self._identity.client_context())
            async with aiohttp.ClientSession(connector=connector) as self._http:
                yield tuple(Address(host, port) for host, port, *_ in runner.addresses)
        finally:
            await runner.cleanup()

    async def call(self, to: Sighting, request: Frame) -> Frame:
        with _translated(to.peer):
            async with self._client().post(
                _url(to, "/v1/call"), data=encode(request), server_hostname=server_name(to.peer)
            ) as response:
                response.raise_for_status()
                return decode(await response.read(), self._limits.call)

    async def dial(self, to: Sighting, session: SessionId) -> Channel:
        with _translated(to.peer):
            socket = await self._client().ws_connect(
                _url(to, f"/v1/sessions/{session}"),
                server_hostname=server_name(to.peer),
                heartbeat=self._heartbeat,
                max_msg_size=self._limits.frame,
            )
        return _HttpChannel(to.peer, socket, self._limits)

    def traffic(self) -> dict[PeerId, Traffic]:
        return {}

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise Misuse("a transport dials only while it serves")
        return self._http

    def _peer(self, request: web.Request) -> PeerId:
        return self._identity.peer_of(request.get_extra_info("ssl_object"))


class _HttpChannel(Channel):
    def __init__(
        self, peer: PeerId, socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse, limits: Limits
    ) -> None:
        self.peer = peer
        self._socket = socket
        self._limits = limits

    async def send(self, frame: Frame) -> None:
        try:
            await self._socket.send_bytes(encode(frame))
        except (ConnectionError, aiohttp.ClientError, RuntimeError) as error:
            raise PeerLost(self.peer, str(error)) from error

    async def receive(self) -> Frame:
        arrived = await self._socket.receive()
        if arrived.type is not aiohttp.WSMsgType.BINARY:
            raise PeerLost(self.peer, "channel closed")
        try:
            return decode(arrived.data, self._limits.frame)
        except WireError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        await self._socket.close()


@contextmanager
def _translated(peer: PeerId) -> Iterator[None]:
    """Turn foreign errors into ours, in one place."""
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise IdentityError(f"{peer.short} is not who answered: {error}") from error
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
        raise PeerUnreachable(peer, str(error)) from error


def _url(to: Sighting, path: str) -> str:
    return f"https://{to.addresses[0]}{path}"
