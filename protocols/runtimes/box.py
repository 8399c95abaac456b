"""A child process for code that blocks, or that keeps its state for a whole process: one per session, and with it gone.

The box is asked through a pipe and opens its own links to the other parties' boxes; nothing of theirs passes through
this process. Its memory and processor time are limited, it yields to the node, it dies with its session and with us,
and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec

from mesh import errors
from mesh.errors import MeshError, Misuse, PeerError, SessionError
from protocols.runtimes.box_inside import ANSWER, HEAD, LONGEST, QUESTION, REFUSAL, REPORT, Refusal, piece

__all__ = ["Box", "Limits"]

Answer = TypeVar("Answer", bound=msgspec.Struct)

_TAIL = 4096  # characters of standard error that are kept for the sentence
_PARTING = 5.0  # seconds in which a box that is not busy may end by itself


@dataclass(frozen=True, slots=True)
class Limits:
    """What a box may use. A box that wants more is refused memory, or killed."""

    memory: int = 0
    """Bytes of memory that it may allocate, all threads' stacks included; 0 for no limit. Torch alone takes 2**30."""

    processor: int = 0
    """Seconds of processor time, all threads together; 0 for no limit."""

    niceness: int = 5
    """By how much it yields to the node, 0 to 19. At 0 a busy box delays the node's own answers."""


class Box:
    """A process that runs `python -m module`, whose main program calls `box_inside.serve`.

    A context: entering starts the process, leaving ends it, gently if all went well and at once if not.

    Args:
        module: its name; it need not be ours.
        limits: what it may use.
        environment: what is added to our own environment for it.
    """

    def __init__(
        self, module: str, *, limits: Limits | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._module = module
        self._limits = limits or Limits()
        self._environment = dict(environment or {})
        self._wire: _Wire | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._turn = asyncio.Lock()

    async def ask(
        self, question: msgspec.Struct, kind: type[Answer], report: Callable[[bytes], None] | None = None
    ) -> Answer:
        """What the box answers, which must be of this kind. Questions wait for each other. Cancelled, it is killed.

        Args:
            report: called with every report on the way, still packed as MessagePack.

        Raises:
            MeshError: what the box refused with, as it was raised there.
            SessionError: the box died; says of what, and what it wrote last.
            Misuse: its answer is none, or the box is not open.
        """
        async with self._turn:
            wire, transport = self._open()
            pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
            answer = wire.expect(report)
            pipe.write(piece(QUESTION, question))
            try:
                packed = await answer
            except asyncio.CancelledError:
                self._kill()
                raise
        try:
            return msgspec.msgpack.decode(packed, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise Misuse(f"the box {self._module} gave no {kind.__name__}: {error}") from error

    async def __aenter__(self) -> Self:
        limits = self._limits
        settings = (os.getpid(), limits.memory, limits.processor, limits.niceness, self._module)
        self._transport, self._wire = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Wire(self._module),
            sys.executable,
            "-m",
            "protocols.runtimes.box_inside",
            *map(str, settings),
            env={**os.environ, **self._environment},
            start_new_session=True,  # so that whatever it starts can be ended with it
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wire, transport = self._open()
        try:
            if kind is None:
                cast(asyncio.WriteTransport, transport.get_pipe_transport(0)).close()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PARTING):
                        await wire.gone.wait()
        finally:  # cancelled meanwhile, it is killed all the same
            self._kill()
            try:
                await wire.gone.wait()
            finally:
                transport.close()
                self._wire = self._transport = None

    def _open(self) -> tuple[_Wire, asyncio.SubprocessTransport]:
        if self._wire is None or self._transport is None:
            raise Misuse(f"the box {self._module} is not open: use it as `async with Box(...) as box`")
        return self._wire, self._transport

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._open()[1].terminate()  # the box's warden ends it, and all that it has started


class _Wire(asyncio.SubprocessProtocol):
    """What comes out of a box: answers, reports, its last words, and its end."""

    def __init__(self, module: str) -> None:
        self.gone = asyncio.Event()
        self._module = module
        self._buffer = bytearray()
        self._tail = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self._report: Callable[[bytes], None] | None = None
        self._transport: asyncio.SubprocessTransport | None = None

    def expect(self, report: Callable[[bytes], None] | None) -> asyncio.Future[bytes]:
        """The next answer."""
        self._report = report
        self._answer = asyncio.get_running_loop().create_future()
        if self.gone.is_set():
            self._answer.set_exception(self._death())
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._tail = (self._tail + data)[-_TAIL:]
            return
        self._buffer += data
        while len(self._buffer) >= HEAD.size:
            kind, length = HEAD.unpack_from(self._buffer)
            if length > LONGEST or kind not in (ANSWER, REPORT, REFUSAL):
                self._settle(Misuse(f"the box {self._module} wrote what is no message"))
                self._buffer.clear()
                return
            if len(self._buffer) < HEAD.size + length:
                return
            packed = bytes(self._buffer[HEAD.size : HEAD.size + length])
            del self._buffer[: HEAD.size + length]
            self._take(kind, packed)

    def process_exited(self) -> None:
        """Whatever it started ends too, and lets go of the pipes."""
        if self._transport is not None:
            _end_group(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended and all its pipes are read."""
        self.gone.set()
        self._settle(self._death())

    def _take(self, kind: bytes, packed: bytes) -> None:
        if kind == REPORT:
            if self._report is not None:
                self._report(packed)
        elif kind == REFUSAL:
            self._settle(_error_of(packed))
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(packed)

    def _settle(self, error: MeshError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _death(self) -> SessionError:
        code = self._transport.get_returncode() if self._transport is not None else None
        how = f"of signal {-code} ({signal.Signals(-code).name})" if code is not None and code < 0 else f"with {code}"
        last = self._tail.decode(errors="replace").strip().rpartition("\n")[2]
        return SessionError(f"The box {self._module} ended {how} and gave no answer. Its last words: {last or 'none'}")


def _end_group(transport: asyncio.SubprocessTransport) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)


def _error_of(packed: bytes) -> MeshError:
    """The error that was raised in the box. One of a kind that we do not know is a bug here."""
    refusal = msgspec.msgpack.decode(packed, type=Refusal)
    kind: Any = getattr(errors, refusal.error, None)
    if isinstance(kind, type) and issubclass(kind, PeerError):
        return kind(refusal.peer, refusal.reason)
    if isinstance(kind, type) and issubclass(kind, MeshError) and kind is not errors.Busy:
        return kind(refusal.reason)
    return Misuse(f"a box refused with {refusal.error}: {refusal.reason}")
