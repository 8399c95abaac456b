"""`mesh.client` for programs that do not use asyncio: the same calls, which wait.

    with mesh.blocking.connect() as node:
        answer = node.infer("junction", {"image": array})
        with node.stream("junction", mode="sharded", parts=3) as stream:
            for answer in stream.answers(frames):
                boxes = numpy.asarray(answer["boxes"])

A loop of its own runs in a thread for as long as the outer context is open.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from mesh import client
from mesh.doors.language import ModelView, PeerView, Status
from mesh.errors import MeshError, NoNode
from mesh.results import Kept
from mesh.service import Statistics
from mesh.store.catalogue import Manifest
from mesh.stream import Report
from mesh.stream import Stream as AsyncStream
from mesh.tensors import Tensors
from mesh.workshop import Prepared

__all__ = ["Client", "Stream", "connect"]

T = TypeVar("T")


@contextmanager
def connect(control: Path | str | None = None) -> Iterator[Client]:
    """The node of this device. Raises as `mesh.client.connect`."""
    with _loop() as loop, _entered(loop, lambda: client.connect(control)) as node:
        yield Client(loop, node)


class Client:
    """What a program may do with a node. Every method is that of `mesh.client.Client`, and waits."""

    def __init__(self, loop: _Loop, node: client.Client) -> None:
        self._loop = loop
        self._node = node

    def status(self) -> Status:
        """The node itself."""
        return self._loop.wait(self._node.status())

    def peers(self) -> list[PeerView]:
        """Everyone in sight, and what they would lend."""
        return self._loop.wait(self._node.peers())

    def models(self) -> list[ModelView]:
        """The models that the node knows by name."""
        return self._loop.wait(self._node.models())

    def lent_models(self) -> list[ModelView]:
        """The models that other devices in sight lend us."""
        return self._loop.wait(self._node.lent_models())

    def results(self) -> list[Kept]:
        """Answers that were sent here by others' jobs, and what others keep for us."""
        return self._loop.wait(self._node.results())

    def result(self, name: str, *, peer: str = "") -> list[Tensors]:
        """The answers received under a name, in order."""
        return self._loop.wait(self._node.result(name, peer=peer))

    def remove_result(self, name: str, *, peer: str = "") -> list[MeshError]:
        """Delete answers, or have others delete what they keep for us."""
        return self._loop.wait(self._node.remove_result(name, peer=peer))

    def model(self, name: str) -> Manifest:
        """All about one model."""
        return self._loop.wait(self._node.model(name))

    def add_model(
        self,
        name: str,
        source: Path | str,
        *,
        protocol: str | None = None,
        options: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _notice: None,
    ) -> ModelView:
        """Make a model file ready, and give it to the node under a name."""
        return self._loop.wait(self._node.add_model(name, source, protocol=protocol, options=options, report=report))

    def put_model(self, prepared: Prepared) -> ModelView:
        """Give the node a model that a workshop has prepared."""
        return self._loop.wait(self._node.put_model(prepared))

    def remove_model(self, name: str) -> None:
        """Forget a model."""
        self._loop.wait(self._node.remove_model(name))

    def submit(self, protocol: str, *, deadline: float = 60.0, **spec: Any) -> Any:
        """Do a job once."""
        return self._loop.wait(self._node.submit(protocol, deadline=deadline, **spec))

    def infer(
        self,
        model: str,
        inputs: Mapping[str, object],
        *,
        mode: str | None = None,
        deadline: float = 60.0,
        **options: Any,
    ) -> Tensors:
        """One answer of a model."""
        return self._loop.wait(self._node.infer(model, inputs, mode=mode, deadline=deadline, **options))

    def check(
        self,
        model: str,
        source: Path | str,
        inputs: Iterable[Mapping[str, object]],
        *,
        mode: str | None = None,
        deadline: float = 60.0,
        **options: Any,
    ) -> float:
        """By how much answers differ at most from those of the model's own file."""
        return self._loop.wait(self._node.check(model, source, inputs, mode=mode, deadline=deadline, **options))

    @contextmanager
    def stream(
        self,
        model: str,
        *,
        mode: str | None = None,
        deadline: float = 60.0,
        backlog: int = 16,
        report: Report | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Iterator[Stream]:
        """Many answers of a model. `report` is called in the loop's thread."""
        settings = {"mode": mode, "deadline": deadline, "report": report, "progress": progress, **options}
        with _entered(self._loop, lambda: self._node.stream(model, backlog=backlog, **settings)) as stream:
            yield Stream(self._loop, stream, backlog)


class Stream:
    """Many requests to one model. As `mesh.stream.Stream`, but it waits."""

    def __init__(self, loop: _Loop, stream: AsyncStream, backlog: int) -> None:
        self._loop = loop
        self._stream = stream
        self._backlog = backlog

    @property
    def latencies(self) -> list[float]:
        """Seconds from sending to answer, of the last 10,000 requests."""
        return list(self._stream.latencies)

    @property
    def statistics(self) -> Statistics | None:
        """Of the whole service, once the stream is over."""
        return self._stream.statistics

    def ask(self, inputs: Mapping[str, object]) -> Tensors:
        """One request, one answer."""
        return self._loop.wait(self._stream.ask(inputs))

    def answers(self, frames: Iterable[Mapping[str, object]]) -> Iterator[Tensors]:
        """The answer to each of `frames`, in their order. As many as the backlog are under way at once.

        Frames are fetched in the caller's own thread, one each time before answers that are there are handed out.
        """
        under_way: deque[Future[Tensors]] = deque()
        try:
            for frame in frames:
                under_way.append(self._loop.begin(self._stream.ask(frame)))
                while under_way and (under_way[0].done() or len(under_way) >= self._backlog):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = self.begin(work)
        try:
            return future.result()
        finally:
            future.cancel()  # Ctrl-C ended the wait; otherwise it is over, and this does nothing

    def settle(self, future: asyncio.Future[None], error: Exception | None) -> None:
        self._loop.call_soon_threadsafe(_settle, future, error)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


@contextmanager
def _loop() -> Iterator[_Loop]:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = Thread(target=loop.run_forever, name="mesh", daemon=True)
        thread.start()
        try:
            yield _Loop(loop)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


class _Abandoned(Exception):
    """The caller's own code failed within a context: it is to be left without ceremony."""


@contextmanager
def _entered(loop: _Loop, make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """An asynchronous context, entered and left by one task in the loop, as task groups want it."""
    entered: Future[tuple[T, asyncio.Future[None]]] = Future()

    async def hold() -> None:
        async with make() as value:
            leave: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            entered.set_result((value, leave))
            await leave

    holder = loop.begin(hold())
    holder.add_done_callback(lambda done: None if entered.done() else entered.set_exception(_reason(done)))
    try:
        value, leave = entered.result()
    except BaseException:
        holder.cancel()
        raise
    try:
        yield value
    except BaseException:
        loop.settle(leave, _Abandoned())
        with suppress(_Abandoned, MeshError):
            holder.result()
        raise
    loop.settle(leave, None)
    holder.result()


def _reason(done: Future[None]) -> BaseException:
    return (None if done.cancelled() else done.exception()) or NoNode("The wait for the node was given up.")
