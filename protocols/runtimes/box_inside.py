"""The inside of a box: what runs in the child process before the work, and how the work hears questions and answers.

    python -m protocols.runtimes.box_inside PARENT MEMORY SECONDS NICENESS MODULE

leaves a warden behind, sets the limits and becomes MODULE, whose own main program calls `serve`. The box ends with its
parent, whatever either is doing: the kernel and the warden see to it where they can, and else a thread that waits for
the pipe to close.

Pieces in both directions are one byte of kind, four of length, big-endian, and so many bytes of MessagePack.
"""

from __future__ import annotations

import os
import queue
import resource
import runpy
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from mesh.errors import MeshError, Misuse, PeerError
from protocols.runtimes.box_warden import stand_guard

__all__ = ["ANSWER", "HEAD", "LONGEST", "QUESTION", "REFUSAL", "REPORT", "Refusal", "Report", "piece", "serve"]

HEAD = struct.Struct("!cI")
QUESTION, ANSWER, REPORT, REFUSAL = b"?", b"=", b".", b"!"
LONGEST = 2**30

Question = TypeVar("Question", bound=msgspec.Struct)
Report = Callable[[msgspec.Struct], None]


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `MeshError` on its way out of the box."""

    error: str
    reason: str
    peer: str = ""


def serve(kind: type[Question], answer: Callable[[Question, Report], msgspec.Struct]) -> None:
    """Answer questions of one kind, in order, until there are no more.

    Args:
        answer: given a question, and a way to say how far it is. A `MeshError` that it raises is raised at the asker;
            anything else ends the process, and the asker is shown the end of its traceback.
    """
    incoming, outgoing = _take_pipes()
    questions: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_listen, args=(incoming, questions, busy), daemon=True).start()

    def send(kind: bytes, message: msgspec.Struct) -> None:
        outgoing.write(piece(kind, message))
        outgoing.flush()

    while (packed := questions.get()) is not None:
        try:
            made = answer(msgspec.msgpack.decode(packed, type=kind), lambda message: send(REPORT, message))
        except MeshError as error:
            send(REFUSAL, _refusal(error))
        else:
            send(ANSWER, made)
        busy.clear()


def piece(kind: bytes, message: msgspec.Struct) -> bytes:
    """One message as it goes through a pipe. Raises Misuse if it is too long."""
    packed = msgspec.msgpack.encode(message)
    if len(packed) > LONGEST:
        raise Misuse(f"a message of {len(packed)} bytes for or from a box; {LONGEST} are taken")
    return HEAD.pack(kind, len(packed)) + packed


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our pipes, out of reach of whatever else reads standard input or prints: that goes to standard error."""
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return incoming, outgoing


def _listen(incoming: BinaryIO, questions: queue.SimpleQueue[bytes | None], busy: threading.Event) -> None:
    while len(head := incoming.read(HEAD.size)) == HEAD.size:
        busy.set()
        questions.put(incoming.read(HEAD.unpack(head)[1]))
    if busy.is_set():
        os._exit(1)  # nobody waits for the answer any more
    questions.put(None)


def _refusal(error: MeshError) -> Refusal:
    if isinstance(error, PeerError):
        return Refusal(type(error).__name__, error.reason, error.peer)
    return Refusal(type(error).__name__, str(error))


def main() -> None:
    """Set the limits, and become the module."""
    parent, memory, seconds, niceness, module = sys.argv[1:]
    stand_guard(int(parent))
    for limit, value in ((resource.RLIMIT_DATA, int(memory)), (resource.RLIMIT_CPU, int(seconds))):
        if value:
            resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump of a party's memory would hold its secrets
    os.nice(int(niceness))
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
