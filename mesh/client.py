"""The node of this device, for programs: see peers, keep models, run them.

    async with mesh.connect() as node:
        await node.add_model("junction", "detector.onnx")
        answer = await node.infer("junction", {"image": array})
        async with node.stream("junction", mode="sharded", parts=3) as stream:
            async for answer in stream.answers(frames):
                boxes = numpy.asarray(answer["boxes"])

Inputs are `mesh.Tensor`s or arrays such as numpy's; answers are tensors, which `numpy.asarray` takes as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec

from mesh.blobs import BlobRef
from mesh.doors.knock import knock
from mesh.doors.language import Fault, JobOrder, ModelView, Open, PeerView, Status, decode, encode
from mesh.errors import BadFrame, BadInput, MeshError
from mesh.results import Kept
from mesh.settings import settings
from mesh.store.catalogue import Manifest
from mesh.tensors import Tensors
from mesh.workshop import Prepared, Reference

if TYPE_CHECKING:
    from mesh.stream import Report, Stream

__all__ = ["Client", "connect"]

T = TypeVar("T")

_PIECE = 2**18
_GRACE = 10.0
"""Seconds that the node gets on top of a job's deadline, to say that it has passed."""


@asynccontextmanager
async def connect(control: Path | str | None = None) -> AsyncIterator[Client]:
    """The node of this device.

    Args:
        control: its socket; None is the one that settings name, as the command line finds it.

    Raises:
        NoNode: none answers.
        IdentityError: this user may not use it.
        ConfigError: the settings are wrong.
    """
    client = Client(Path(control) if control else settings().config.control)
    await client.status()
    yield client


class Client:
    """What a program may do with a node. Everything raises `NoNode` if the node goes away.

    Args:
        control: the node's socket. Nothing is opened until something is asked.
    """

    def __init__(self, control: Path) -> None:
        self._control = control

    async def status(self) -> Status:
        """The node itself: its id, its sessions, what it uses."""
        return await self._get("/v1/status", Status)

    async def peers(self) -> list[PeerView]:
        """Everyone in sight, and what they would lend. Each is asked; takes 2 s where one does not answer."""
        return await self._get("/v1/peers", list[PeerView])

    async def models(self) -> list[ModelView]:
        """The models that the node knows by name."""
        return await self._get("/v1/models", list[ModelView])

    async def lent_models(self) -> list[ModelView]:
        """The models that other devices in sight lend us. Each is asked; takes 2 s where one does not answer."""
        return await self._get("/v1/models?lent", list[ModelView])

    async def model(self, name: str) -> Manifest:
        """All about one model, "NAME@PEER" for one that another device lends. Raises BadInput if there is none."""
        return await self._get(_model_path(name), Manifest)

    async def add_model(
        self,
        name: str,
        source: Path | str,
        *,
        protocol: str | None = None,
        options: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _notice: None,
    ) -> ModelView:
        """Make a model file ready, and give it to the node under a name, in place of any other of that name.

        The work is done in this process, in a thread; the node only keeps the result.

        Args:
            protocol: which is to run it; None takes the one that reads such files.
            options: what the file does not tell, such as how a picture becomes an input; `mesh models add --help`.
            report: is told, in sentences, what there is to know of it before it is used.

        Raises:
            BadInput: the file or an option cannot be used.
            StoreError: the node has no room.
        """
        prepared = await asyncio.to_thread(_prepared, Path(source), name, protocol, options or {})
        for notice in prepared.notices:
            report(notice)
        return await self.put_model(prepared)

    async def put_model(self, prepared: Prepared) -> ModelView:
        """Give the node a model that a workshop has prepared. Raises StoreError: there is no room."""
        for ref in prepared.manifest.blobs:
            await self._put_blob(ref, prepared.blobs[ref.digest])
        body = encode(prepared.manifest)
        return _decoded(await self._ask("PUT", _model_path(prepared.manifest.name), body), ModelView)

    async def remove_model(self, name: str) -> None:
        """Forget a model. Raises BadInput if there is none."""
        await self._ask("DELETE", _model_path(name))

    async def results(self) -> list[Kept]:
        """Answers that were sent here by others' jobs, and what others keep for us."""
        return await self._get("/v1/results", list[Kept])

    async def result(self, name: str, *, peer: str = "") -> list[Tensors]:
        """The answers received under a name, in order.

        Args:
            peer: whose job it was, by enough of its id; needed where several have used the name.

        Raises:
            BadInput: there are none, or several jobs' answers have that name.
        """
        answer = await self._ask("GET", _result_path(name, peer))
        try:
            return msgspec.msgpack.decode(answer, type=list[Tensors])
        except msgspec.DecodeError as error:
            raise BadFrame(f"The node says what this version does not understand: {error}.") from error

    async def remove_result(self, name: str, *, peer: str = "") -> list[MeshError]:
        """Delete answers, or have others delete what they keep for us; why some of them could not be told.

        Raises BadInput: nothing is kept under that name.
        """
        faults = _decoded(await self._ask("DELETE", _result_path(name, peer)), list[Fault])
        return [fault.raised() for fault in faults]

    async def submit(self, protocol: str, *, deadline: float = 60.0, **spec: Any) -> Any:
        """Do a job once: plan it, gather its group, run it. Its result, as plain values.

        Args:
            deadline: seconds.
            spec: fields of the protocol's spec.

        Raises:
            MeshError: as `Node.submit`.
        """
        order = JobOrder(protocol=protocol, spec=spec, deadline=deadline)
        return decode(await self._ask("POST", "/v1/jobs", encode(order), patience=deadline + _GRACE), Any)

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, object],
        *,
        mode: str | None = None,
        deadline: float = 60.0,
        **options: Any,
    ) -> Tensors:
        """One answer of a model. For more than one, a stream is much faster.

        Args:
            inputs: by name, each a `Tensor` or an array such as numpy's.
            mode: one of the model's ways to run, such as "local" or "sharded"; None leaves it to the protocol.
            options: more fields of its protocol's spec, such as `parts=3`.

        Raises:
            BadInput: no such model, mode, option or input.
            NoPlan: the devices in sight cannot do it.
            MeshError: it began, and failed.
        """
        async with self.stream(model, mode=mode, deadline=deadline, backlog=1, **options) as stream:
            return await stream.ask(inputs)

    async def check(
        self,
        model: str,
        source: Path | str,
        inputs: Iterable[Mapping[str, object]],
        *,
        mode: str | None = None,
        deadline: float = 60.0,
        **options: Any,
    ) -> float:
        """By how much a model's answers differ at most from those of its own file, run in the clear in this process.

        Args:
            source: the file that the model was made from.
            inputs: one request after the other.
            mode, deadline, options: as in `infer`.

        Raises:
            BadInput: that is another file, or the model is another device's.
            MeshError: as `infer`.
        """
        manifest, largest = await self.model(model), 0.0
        compare = await asyncio.to_thread(_reference, Path(source), manifest)
        async with self.stream(model, mode=mode, deadline=deadline, **options) as stream:
            for request in inputs:
                answer = await stream.ask(request)
                largest = max(largest, await asyncio.to_thread(compare, request, answer))
        return largest

    @asynccontextmanager
    async def stream(
        self,
        model: str,
        *,
        mode: str | None = None,
        deadline: float = 60.0,
        backlog: int = 16,
        report: Report | None = None,
        progress: bool = False,
        **options: Any,
    ) -> AsyncIterator[Stream]:
        """Many answers of a model, from devices that stay together for it. Use as a context; see `Stream`.

        Args:
            mode, options: as in `infer`.
            deadline: seconds from each request to its answer, and until the first session is agreed on.
            backlog: requests under way at once.
            report: hears of plans made and lost.
            progress: let `report` hear of the protocol's own progress too.

        Raises:
            BadInput, NoPlan: as `infer`.
        """
        from mesh.stream import Stream  # with its WebSockets: half a second that other calls need not wait for

        fields = {**await self._mode(model, mode), **options}
        order = Open(model=model, options=fields, deadline=deadline, backlog=backlog, progress=progress)
        async with Stream(self._control, order, report) as stream:
            yield stream

    async def _mode(self, model: str, mode: str | None) -> Mapping[str, Any]:
        if mode is None:
            return {}
        modes: Mapping[str, Mapping[str, Any]] = (await self.model(model)).notes.get("modes", {})
        if mode not in modes:
            raise BadInput(f"{model} does not run in the mode {mode[:80]!r}: it has {', '.join(modes) or 'none'}.")
        return modes[mode]

    async def _put_blob(self, ref: BlobRef, data: bytes) -> None:
        listing = encode(ref)
        target = f"/v1/blobs/{ref.digest}?listing={len(listing)}"
        await knock(
            self._control, "PUT", target, _pieces(listing, data), length=len(listing) + len(data), patience=600.0
        )

    async def _get(self, target: str, kind: type[T]) -> T:
        return _decoded(await self._ask("GET", target), kind)

    async def _ask(self, method: str, target: str, body: bytes = b"", *, patience: float = 30.0) -> bytes:
        return await knock(self._control, method, target, (body,), length=len(body), patience=patience)


def _prepared(source: Path, name: str, protocol: str | None, options: Mapping[str, str]) -> Prepared:
    from mesh.plugins import find_workshop

    return find_workshop(source, protocol).prepare(source, name=name, options=options)


def _reference(source: Path, manifest: Manifest) -> Reference:
    from mesh.plugins import load_workshop

    return load_workshop(manifest.protocol).reference(source, manifest)


def _model_path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def _result_path(name: str, peer: str) -> str:
    return f"/v1/results/{quote(name, safe='')}?from={quote(peer, safe='')}"


def _pieces(listing: bytes, data: bytes) -> Iterator[bytes]:
    yield listing
    view = memoryview(data)
    for start in range(0, len(view), _PIECE):
        yield bytes(view[start : start + _PIECE])


def _decoded(answer: bytes, kind: type[T]) -> T:
    try:
        value: T = decode(answer, kind)
    except msgspec.DecodeError as error:
        raise BadFrame(f"The node says what this version does not understand: {error}.") from error
    return value
