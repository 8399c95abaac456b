"""Writing to one peer, from programs that block. Knows TLS sockets and threads, and nothing of who dialled whom.

A message is a head and its bytes: a label of 16 bytes, the length as 8 bytes, big-endian, and then so many bytes. The
label of all ones, with no bytes, is the last word.

Small messages leave in the caller's own thread, unless the connection is full: handing eight bytes to another thread
costs more than encrypting them. Everything else is written by one thread, so that a caller may read meanwhile.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections import deque

from mesh.errors import PeerError, PeerLost
from mesh.ids import PeerId

__all__ = ["FAREWELL", "HEAD", "LABEL", "Outlet", "Ticket"]

LABEL = 16
HEAD = struct.Struct(f"!{LABEL}sQ")
FAREWELL = b"\xff" * LABEL

_PIECE = 256 * 2**10  # one call into TLS; what is sent in the caller's thread must fit, see `_write`
_SMALL = 64 * 2**10
_ENOUGH = 2**44
_PARTING = 5.0  # seconds in which a peer may still take what was sent before we closed


class Ticket:
    """Bytes on their way. The buffer they are read from must not change until `settled`."""

    __slots__ = ("_gate", "error", "settled")

    def __init__(self) -> None:
        self.settled = False
        self.error: PeerError | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def settle(self, error: PeerError | None = None) -> None:
        """Say that it is over. Only the writing side calls this, and once."""
        self.error = error
        self.settled = True
        self._gate.release()

    def wait(self, timeout: float) -> bool:
        """Whether it was settled within `timeout` seconds. Any number of threads may wait.

        Raises:
            PeerError: it was settled, with this error.
        """
        if not self.settled:
            if not self._gate.acquire(timeout=timeout):
                return False
            self._gate.release()
        if self.error is not None:
            raise type(self.error)(self.error.peer, self.error.reason)
        return True


class Outlet:
    """One connection that we write to and never read from.

    It carries 16 TiB and is then refused, since TLS 1.3 as we have it never changes its keys: up to there an observer's
    advantage in telling AES-GCM's records from noise stays below 2**-40, whatever their sizes (RFC 8446, section 5.5,
    counts 2**24.5 full records for 2**-57).

    Args:
        peer: who reads it.
        tls: a finished handshake; from now on ours alone.
        patience: seconds in which the peer must take at least 256 KiB of what waits.
    """

    def __init__(self, peer: PeerId, tls: ssl.SSLSocket, patience: float) -> None:
        self.peer = peer
        self.patience = patience
        self.sent = 0
        self._tls = tls
        self._lock = threading.RLock()
        self._turn = threading.Condition(self._lock)
        self._queue: deque[tuple[tuple[memoryview, ...], Ticket]] = deque()
        self._error: PeerError | None = None
        self._thread: threading.Thread | None = None
        tls.settimeout(0)

    def post(self, label: bytes, data: memoryview) -> Ticket | None:
        """Send one message after all that were posted before. None means that it has already left.

        Raises:
            PeerLost: the connection is gone.
        """
        head = HEAD.pack(label, data.nbytes)
        with self._lock:
            if self._error is not None:
                raise type(self._error)(self.peer, self._error.reason)
            if self.sent > _ENOUGH:
                raise PeerLost(self.peer, "The connection has carried as much as one key may: open a new session.")
            self.sent += len(head) + data.nbytes
            if data.nbytes > _SMALL:
                return self._enqueue(memoryview(head), data)
            message = b"".join((head, data))
            if self._queue or not self._left_at_once(message):
                return self._enqueue(memoryview(message))
            return None

    def close(self, farewell: bool) -> None:
        """Send what is posted and the last word, if we may; then close. Always closes. Safe to repeat."""
        if farewell:
            with contextlib.suppress(PeerError):
                last = self.post(FAREWELL, memoryview(b""))
                if last is not None:
                    last.wait(_PARTING)
        with self._lock:
            if self._error is None:
                self._error = PeerLost(self.peer, "We closed the connection to it.")
            self._turn.notify_all()
        with contextlib.suppress(OSError):
            self._tls.shutdown(socket.SHUT_RDWR)  # wakes the writer, wherever it waits
        if self._thread is not None:
            self._thread.join()
        self._tls.close()

    def _left_at_once(self, message: bytes) -> bool:
        try:
            return self._tls.write(message) == len(message)
        except ssl.SSLWantWriteError:
            return False
        except OSError as error:
            self._error = _lost(self.peer, error)
            raise self._error from error

    def _enqueue(self, *parts: memoryview) -> Ticket:
        ticket = Ticket()
        self._queue.append((parts, ticket))
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name=f"to {self.peer.short}", daemon=True)
            self._thread.start()
        self._turn.notify()
        return ticket

    def _write_all(self) -> None:
        """The writer's life. What it writes stays at the head of the queue, so that nobody overtakes it."""
        while True:
            with self._lock:
                while not self._queue and self._error is None:
                    self._turn.wait()
                if self._error is not None:
                    break
                parts, ticket = self._queue[0]
            error = self._written(parts)
            with self._lock:
                self._error = self._error or error
                self._queue.popleft()
            ticket.settle(error)
        self._settle_rest()

    def _settle_rest(self) -> None:
        with self._lock:
            rest, self._queue = self._queue, deque()
        for _, ticket in rest:
            ticket.settle(self._error)

    def _written(self, parts: tuple[memoryview, ...]) -> PeerError | None:
        try:
            for part in parts:
                self._write(part)
        except (OSError, ValueError) as error:
            return _lost(self.peer, error)
        return None

    def _write(self, data: memoryview) -> None:
        """All of `data`. Called again after `_left_at_once` failed, it must offer TLS the very same bytes first."""
        ready = select.poll()
        ready.register(self._tls, select.POLLOUT)
        while data:
            try:
                data = data[self._tls.write(data[:_PIECE]) :]
            except ssl.SSLWantWriteError:
                if not ready.poll(self.patience * 1000):
                    raise TimeoutError(f"it took nothing for {self.patience:g} s") from None


def _lost(peer: PeerId, error: Exception) -> PeerLost:
    return PeerLost(peer, f"The connection to it broke while we wrote: {error}.")
