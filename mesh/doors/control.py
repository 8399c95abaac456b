"""The control door: a Unix socket where commands and programs of this device use its node.

    GET    /v1/status               Status
    GET    /v1/peers                list of PeerView; asks each of them
    GET    /v1/models               list of ModelView
    GET    /v1/models?lent          those that other devices lend; asks each of them
    GET    /v1/models/{name}        Manifest; NAME@PEER asks that peer, which lends it
    PUT    /v1/models/{name}        Manifest; its blobs must be here
    DELETE /v1/models/{name}        forget the model, and blobs that no other model needs
    PUT    /v1/blobs/{digest}       ?listing=N: N bytes of JSON, a BlobRef, then the blob's own bytes
    GET    /v1/results              list of Kept: answers received, and what others keep for us
    GET    /v1/results/{name}       ?from=PEER: the answers, in MessagePack, a list of tensors by name
    DELETE /v1/results/{name}       ?from=PEER: deleted, here and at whoever keeps a part; who could not be told
    POST   /v1/jobs                 JobOrder; the job's result
    GET    /v1/services             a WebSocket: a model served, see `mesh.doors.language`

What goes wrong is answered with a `Fault`. Whoever may open the socket may do all of this: it belongs to the node's
user alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
from aiohttp import StreamReader, web

from mesh.blobs import BlobRef
from mesh.doors.borrowing import model_called
from mesh.doors.language import Fault, JobOrder, ModelView, decode, encode
from mesh.doors.orders import job_of
from mesh.doors.streaming import serve_stream
from mesh.doors.views import Insides, peers, removed, status
from mesh.errors import BadInput, ConfigError, MeshError, StoreError
from mesh.results import answers_in, kept_in
from mesh.store.catalogue import Manifest

__all__ = ["open_control_door"]

_LARGEST_JSON = 16 * 2**20
_LARGEST_LISTING = 2**20

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def open_control_door(path: Path, inside: Insides) -> AsyncIterator[None]:
    """Listen at `path` for as long as the context is open.

    Raises:
        ConfigError: a node answers there already, or something else lies there, or the folder cannot be used.
    """
    runner = web.AppRunner(_application(inside), access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    with _bound(path) as listener:
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            yield
        finally:
            await runner.cleanup()


def _application(inside: Insides) -> web.Application:
    door = _Door(inside)
    application = web.Application(client_max_size=_LARGEST_JSON, middlewares=[_faults])
    application.add_routes(
        [
            web.get("/v1/status", door.status),
            web.get("/v1/peers", door.peers),
            web.get("/v1/models", door.models),
            web.get("/v1/models/{name}", door.model),
            web.put("/v1/models/{name}", door.put_model),
            web.delete("/v1/models/{name}", door.remove_model),
            web.put("/v1/blobs/{digest}", door.put_blob),
            web.get("/v1/results", door.results),
            web.get("/v1/results/{name}", door.result),
            web.delete("/v1/results/{name}", door.remove_result),
            web.post("/v1/jobs", door.submit),
            web.get("/v1/services", door.stream),
        ]
    )
    return application


class _Door:
    def __init__(self, inside: Insides) -> None:
        self._inside = inside

    async def status(self, request: web.Request) -> web.Response:
        return _answer(status(self._inside))

    async def peers(self, request: web.Request) -> web.Response:
        return _answer(await peers(self._inside))

    async def models(self, request: web.Request) -> web.Response:
        if "lent" in request.query:
            return _answer([ModelView.lent(lent) for lent in await self._inside.node.browser.lent()])
        catalogue = self._inside.catalogue
        return _answer([ModelView.of(catalogue.find(name)) for name in catalogue.names()])

    async def model(self, request: web.Request) -> web.Response:
        return _answer(await model_called(self._inside, request.match_info["name"]))

    async def put_model(self, request: web.Request) -> web.Response:
        manifest: Manifest = decode(await request.read(), Manifest)
        if manifest.name != request.match_info["name"]:
            raise BadInput(f"The manifest is of {manifest.name!r}, not of {request.match_info['name']!r}.")
        await asyncio.to_thread(self._inside.catalogue.put, manifest)
        return _answer(ModelView.of(manifest))

    async def remove_model(self, request: web.Request) -> web.Response:
        self._inside.catalogue.remove(request.match_info["name"])
        return _answer({})

    async def put_blob(self, request: web.Request) -> web.Response:
        ref: BlobRef = decode(await request.content.readexactly(_listing(request)), BlobRef)
        if ref.digest != request.match_info["digest"]:
            raise BadInput(f"The listing is of another blob than {request.match_info['digest'][:12]}.")
        await self._keep(ref, request.content)
        return _answer(ref)

    async def results(self, request: web.Request) -> web.Response:
        return _answer(await asyncio.to_thread(kept_in, self._inside.vault))

    async def result(self, request: web.Request) -> web.Response:
        name, peer = request.match_info["name"], request.query.get("from", "")
        answers = await asyncio.to_thread(answers_in, self._inside.vault, name, peer)
        return web.Response(body=msgspec.msgpack.encode(answers), content_type="application/msgpack")

    async def remove_result(self, request: web.Request) -> web.Response:
        name, peer = request.match_info["name"], request.query.get("from", "")
        return _answer(await removed(self._inside, name, peer))

    async def submit(self, request: web.Request) -> web.Response:
        order: JobOrder = decode(await request.read(), JobOrder)
        result = await self._inside.node.submit(job_of(order, self._inside.installed.protocols))
        return _answer(result)

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        return await serve_stream(request, self._inside)

    async def _keep(self, ref: BlobRef, content: StreamReader) -> None:
        store = self._inside.store
        known = ref.digest in store
        for index in range(ref.count):
            data = await content.readexactly(ref.length(index))
            if not ref.vouches_for(index, data):
                raise StoreError(f"Chunk {index} of the blob {ref.digest[:12]} is not what its listing says.")
            if not known:
                await asyncio.to_thread(store.append, ref, index, data)
        if not known:
            await asyncio.to_thread(store.finish, ref)


@web.middleware
async def _faults(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except MeshError as error:
        return _fault(error, 503 if error.retry else 422)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _fault(BadInput(f"The request does not fit: {error}."), 400)
    except asyncio.IncompleteReadError:
        return _fault(BadInput("The request ended too early."), 400)
    except web.HTTPException as error:
        return _fault(BadInput(f"The node's control door has no {request.method} {request.path}."), error.status)


def _fault(error: MeshError, status: int) -> web.Response:
    return web.Response(status=status, body=encode(Fault.of(error)), content_type="application/json")


def _answer(value: object) -> web.Response:
    return web.Response(body=encode(value), content_type="application/json")


def _listing(request: web.Request) -> int:
    text = request.query.get("listing", "")
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST_LISTING):
        raise BadInput("A blob comes with ?listing=N, the length of its listing.")
    return int(text)


@contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    """A socket at `path` that only this user may open. What a node left behind there is taken away."""
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _clear(path)
            _bind(listener, path)
        except OSError as error:
            raise ConfigError(f"control: {path} cannot be listened at ({error.strerror}): choose another.") from error
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> None:
    mask = os.umask(0o177)  # nobody else's from its first moment
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)


def _clear(path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError(f"control: {path} is a file, and no socket: choose another, or move it away.")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(1.0)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()  # whoever listened here is gone
            return
    raise ConfigError(f"control: a node answers at {path} already: stop it, or give this one a --state of its own.")
