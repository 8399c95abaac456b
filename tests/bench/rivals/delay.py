"""A long way between processes of one machine: TCP relays that hold every byte back for a fixed time, each way.

Two threads for each direction of a connection: one stamps what comes in, one lets it go when it is due. The relays run
in a process of their own, so that what they cost is on nobody's account. Throughput is not limited on purpose.

Imports nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import socket
import threading
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

__all__ = ["relays"]

_CHUNK = 2**18
_HELD = 256  # chunks on their way at once: 64 MiB, more than any link here carries in 50 ms

Way = queue.Queue[tuple[float, bytes]]


def relays(targets: Sequence[tuple[str, int]], delay: float) -> list[tuple[str, int]]:
    """For each target an address that leads there, `delay` seconds away. They last as long as this process."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=_run, args=(theirs, list(targets), delay), daemon=True).start()
    theirs.close()
    addresses: list[tuple[str, int]] = ours.recv()
    return addresses


def _run(pipe: Connection, targets: list[tuple[str, int]], delay: float) -> None:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in targets]
    for server, target in zip(servers, targets, strict=True):
        threading.Thread(target=_accept, args=(server, target, delay), daemon=True).start()
    pipe.send([server.getsockname() for server in servers])
    threading.Event().wait()


def _accept(server: socket.socket, target: tuple[str, int], delay: float) -> None:
    while True:
        near = server.accept()[0]
        try:
            far = socket.create_connection(target)
        except OSError:  # it does not listen yet, as if there were no relay
            near.close()
            continue
        for source, sink in ((near, far), (far, near)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            way: Way = queue.Queue(_HELD)
            threading.Thread(target=_take, args=(source, way, delay), daemon=True).start()
            threading.Thread(target=_give, args=(sink, way), daemon=True).start()


def _take(source: socket.socket, way: Way, delay: float) -> None:
    data = b"?"
    while data:
        try:
            data = source.recv(_CHUNK)
        except OSError:
            data = b""
        way.put((time.monotonic() + delay, data))


def _give(sink: socket.socket, way: Way) -> None:
    while True:
        due, data = way.get()
        if (left := due - time.monotonic()) > 0:
            threading.Event().wait(left)
        try:
            if not data:
                sink.shutdown(socket.SHUT_RDWR)
            sink.sendall(data)
        except OSError:
            with contextlib.suppress(OSError):
                sink.close()
            return
        if not data:
            return
