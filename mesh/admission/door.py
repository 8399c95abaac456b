"""The join door: where the authority lets devices in, renews their certificates, and sees them off.

A port of its own, at whoever holds the authority's key, and the only one that strangers may talk to: TLS without a
certificate on their side. It proves itself as `authority.mesh.internal`, which only the authority's key can sign.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from aiohttp import web

from mesh.admission.register import Register
from mesh.admission.requests import read_request
from mesh.admission.words import (
    JOIN,
    LARGEST,
    LEAVE,
    RENEW,
    ROOT,
    Farewell,
    Joining,
    Leaving,
    Refusal,
    Renewing,
    Welcome,
    decoded,
)
from mesh.authority import Authority
from mesh.contracts import Address
from mesh.errors import ConfigError, IdentityError, MeshError, Misuse, one_line
from mesh.transport.guard import Guard, GuardLimits

__all__ = ["READING", "open_join_door"]

log = logging.getLogger(__name__)

READING = 3.0
"""Seconds that a request's body may take."""

LIMITS = GuardLimits(idle=3.0, total=64, per_host=16)
"""Strangers get less room and less patience than members of the mesh."""

_Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def open_join_door(
    authority: Authority,
    register: Register,
    bind: Address,
    *,
    roots: Callable[[], bytes] | None = None,
    on_removal: Callable[[], None] = lambda: None,
) -> AsyncIterator[tuple[Address, ...]]:
    """Answer at `bind` for as long as the context is open; where it listens.

    Args:
        roots: the certificates of all authorities that devices are to believe, PEM; None is this one's alone.
        on_removal: is told when a device has left for good.

    Raises:
        ConfigError: the address or port cannot be had.
    """
    guard = Guard(LIMITS)
    desk = _Desk(authority, register, roots or (lambda: authority.root_pem), on_removal)
    with ThreadPoolExecutor(1, "join door") as clerk:
        runner = web.AppRunner(
            _application(desk, guard, clerk),
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=0.1,
            lingering_time=0,
        )
        await runner.setup()
        try:
            listener = await _listen(runner, guard, authority, bind)
            try:
                yield tuple(Address(*socket.getsockname()[:2]) for socket in listener.sockets)
            finally:
                listener.close()
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, guard: Guard, authority: Authority, bind: Address) -> asyncio.Server:
    if runner.server is None:
        raise Misuse("a runner listens after its set-up")
    try:
        return await asyncio.get_running_loop().create_server(
            guard.before(runner.server),
            bind.host,
            bind.port,
            ssl=_context(authority),
            ssl_handshake_timeout=guard.limits.handshake,
        )
    except OSError as error:
        raise ConfigError(
            f"cannot let devices in at {bind} ({error.strerror}): choose another `join_port`, 0 for any."
        ) from error


class _Desk:
    """Who asks for what, and what the register says to that."""

    def __init__(
        self, authority: Authority, register: Register, roots: Callable[[], bytes], on_removal: Callable[[], None]
    ) -> None:
        self._authority = authority
        self._register = register
        self._roots = roots
        self._on_removal = on_removal

    def root(self) -> bytes:
        return self._authority.root_pem

    def join(self, data: bytes) -> Welcome:
        asked = decoded(Joining, data)
        peer = read_request(asked.request, "join")
        self._register.admit(asked.secret, peer)
        log.info("admitted peer=%s", peer.short)
        return self._welcome(asked.request)

    def renew(self, data: bytes) -> Welcome:
        asked = decoded(Renewing, data)
        peer = read_request(asked.request, "join")
        self._register.require_member(peer)
        log.info("renewed peer=%s", peer.short)
        return self._welcome(asked.request)

    def leave(self, data: bytes) -> Farewell:
        peer = read_request(decoded(Leaving, data).request, "leave")
        self._register.require_member(peer)
        self._register.remove(peer, "it left")
        self._on_removal()
        log.info("left peer=%s", peer.short)
        return Farewell()

    def _welcome(self, request: str) -> Welcome:
        return Welcome(self._authority.sign(request.encode(), renewable=True).decode(), self._roots().decode())


def _application(desk: _Desk, guard: Guard, clerk: Executor) -> web.Application:
    @web.middleware
    async def attend(request: web.Request, handler: _Respond) -> web.StreamResponse:
        with guard.busy(request.protocol):
            try:
                return await handler(request)
            except MeshError as error:
                log.info("refused at the join door from=%s reason=%s", request.remote, error)
                status = 403 if isinstance(error, IdentityError) else 400
                return _reply(Refusal(one_line(str(error))), status)

    async def root(request: web.Request) -> web.Response:
        return web.Response(body=desk.root(), content_type="application/x-pem-file")

    app = web.Application(client_max_size=LARGEST, middlewares=[attend])
    app.router.add_get(ROOT, root, allow_head=False)
    for path, answer in ((JOIN, desk.join), (RENEW, desk.renew), (LEAVE, desk.leave)):
        app.router.add_post(path, _asked(answer, clerk))
    return app


def _asked(answer: Callable[[bytes], msgspec.Struct], clerk: Executor) -> _Respond:
    async def handle(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(READING):
                data = await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        # It signs and writes to a disk, so not here; and one at a time, so strangers cannot take every core.
        return _reply(await asyncio.get_running_loop().run_in_executor(clerk, answer, data), 200)

    return handle


def _reply(value: msgspec.Struct, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    key, certificate = authority.door()
    with tempfile.TemporaryDirectory(prefix="veilmesh-") as folder:  # OpenSSL reads keys from files only
        path = Path(folder) / "door.pem"
        path.touch(mode=0o600)
        path.write_bytes(key + certificate)
        context.load_cert_chain(path)
    return context
