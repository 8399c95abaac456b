"""Reading from one peer, in programs that block. Messages are found by label, not by their order of arrival.

There is no reader thread in the way of a message: whoever waits for one reads the connection itself, straight into its
own buffer, and puts what belongs to others where they will find it. Only receives that were posted and that nobody
waits for are seen to by a thread, which sleeps until somebody says `attend`.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import cast

from mesh.errors import PeerError, PeerLost, PeerMisbehaved
from mesh.ids import PeerId
from mesh.transport.blocking_out import FAREWELL, HEAD

__all__ = ["Arrival", "Inlet"]

_PARTING = 5.0  # seconds for a reader to notice that its connection was shut


class Arrival:
    """A message that is expected, and where it will lie. The buffer may be used once `settled`."""

    __slots__ = ("settled", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.settled = False

    def claim(self, peer: PeerId) -> bool:
        """Whether a message that has come from `peer` may be put here; from then on it belongs to that message."""
        return True

    def settle(self) -> None:
        """The message is here."""
        self.settled = True

    def lose(self, peer: PeerId, error: PeerError, departed: bool) -> None:
        """Nothing more comes from `peer`. Who waits at the inlet hears of it there."""


class Inlet:
    """One connection that we read from and never write to.

    Args:
        peer: who writes it.
        tls: a finished handshake, made with `suppress_ragged_eofs=False`; from now on ours alone.
        ahead: bytes that may come before anybody has asked for them.

    Attributes:
        departed: the peer has said its last word.
    """

    def __init__(self, peer: PeerId, tls: ssl.SSLSocket, ahead: int) -> None:
        self.peer = peer
        self.departed = False
        self.received = 0
        self._tls = tls
        self._read = cast(Callable[[int, memoryview], int], tls.read)
        self._ahead = ahead
        self._lock = threading.RLock()
        self._turn = threading.Condition(self._lock)
        self._waiting = 0
        self._posted: dict[bytes, deque[Arrival]] = {}
        self._early: dict[bytes, deque[bytearray]] = {}
        self._reading = False
        self._as_reader = _Reader(self)
        self._error: PeerError | None = None
        self._head = memoryview(bytearray(HEAD.size))
        self._limit: float | None = -1.0
        self._moved = 0
        self._taking: Arrival | None = None
        self._keeper: threading.Thread | None = None
        self._charge: deque[Arrival] = deque()

    def receive(self, label: bytes, view: memoryview, timeout: float) -> None:
        """Fill `view` with the next message so labelled, of exactly its length. Raises as `wait` does.

        The same as to post and to wait, for the usual case that ours is the next message to come: there it saves half
        of the time that a small message takes.
        """
        with self._lock:
            if self._reading or label in self._early or label in self._posted or self._error is not None:
                arrival = self.post(label, view)
            else:
                arrival = None
                self._reading = True
        if arrival is not None:
            self.wait(arrival, timeout)
            return
        try:
            self._read_ours(label, view, timeout)
        except BaseException as error:
            self._stop_reading(error)
            if isinstance(error, OSError | ValueError):
                self._raise_error()
            raise
        with self._lock:
            self._reading = False
            if self._waiting:
                self._turn.notify_all()

    def _read_ours(self, label: bytes, view: memoryview, timeout: float) -> None:
        """Read until the message that we want is here, which is most likely the first to come."""
        if timeout != self._limit:
            self._set_limit(timeout)
        head, size = self._head, view.nbytes
        if (have := self._read(HEAD.size, head)) != HEAD.size:
            self._fill(head, have)
        found, length = HEAD.unpack(head)
        if found == label and length == size:
            if size and (have := self._read(size, view)) != size:
                self._fill(view, have)
            self.received += HEAD.size + size
            self._moved += 1
        else:
            arrival = self.post(label, view)
            self._read_body()
            while not arrival.settled:
                self._read_message()

    def post(self, label: bytes, view: memoryview) -> Arrival:
        """Expect the next message so labelled, of exactly the length of `view`.

        Raises:
            PeerMisbehaved: it is here already, and has another length.
        """
        arrival = Arrival(view)
        self.post_arrival(label, arrival)
        return arrival

    def post_arrival(self, label: bytes, arrival: Arrival) -> None:
        """As `post`, for an arrival that may have been posted elsewhere too."""
        with self._lock:
            early = self._early.get(label)
            if early:
                if arrival.claim(self.peer):
                    self._take_early(label, early, arrival)
            else:
                self._posted.setdefault(label, deque()).append(arrival)
                if self._error is not None:
                    arrival.lose(self.peer, self._error, self.departed)

    def withdraw(self, label: bytes, arrival: Arrival) -> None:
        """Expect it no longer, if it has not come."""
        with self._lock, contextlib.suppress(KeyError, ValueError):
            self._posted[label].remove(arrival)
            if not self._posted[label]:
                del self._posted[label]

    def wait(self, arrival: Arrival, timeout: float) -> None:
        """Until `arrival` is settled.

        Raises:
            PeerLost: the peer said goodbye or vanished first, or nothing came for `timeout` seconds. In the last case
                too the connection is given up: what comes late must not be taken for something else.
            PeerMisbehaved: a message came with a length that nobody expects, or too much came that nobody asked for.
        """
        with self._lock:
            while not arrival.settled:
                self._raise_error()
                if not self._reading:
                    self._reading = True
                    break
                moved = self._moved
                if not self._wait_turn(timeout) and moved == self._moved:
                    raise self.give_up(timeout)
            else:
                return
        self._read_until(arrival, timeout)

    def attend(self) -> None:
        """See to it that what is posted now arrives though nobody waits for it."""
        with self._lock:
            self._charge = deque(arrival for posted in self._posted.values() for arrival in posted)
            if not self._charge or self._error is not None:
                return
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name=f"from {self.peer.short}", daemon=True)
                self._keeper.start()
            self._turn.notify_all()

    @property
    def moved(self) -> int:
        """Grows whenever something comes."""
        return self._moved

    def give_up(self, seconds: float) -> PeerLost:
        """Take no more from this peer, which has been silent for so long. Gives what to say of it."""
        with self._lock:
            self._set_error(self._silence(seconds))
        return self._silence(seconds)

    def close(self) -> None:
        """Close; always closes, and wakes whoever waits. Safe to repeat."""
        with self._lock:
            self._set_error(PeerLost(self.peer, "We closed the connection from it."))
        with contextlib.suppress(OSError):
            self._tls.shutdown(socket.SHUT_RDWR)
        with self._lock:  # not before: the number of a closed file may be given to another at once
            self._waiting += 1
            self._turn.wait_for(lambda: not self._reading, _PARTING)
        if self._keeper is not None:
            self._keeper.join()
        self._tls.close()

    def _take_early(self, label: bytes, early: deque[bytearray], arrival: Arrival) -> None:
        message = early.popleft()
        if not early:
            del self._early[label]
        self._ahead += len(message)
        self._check_length(len(message), arrival)
        arrival.view[:] = message
        arrival.settle()

    def _read_until(self, arrival: Arrival, timeout: float | None) -> None:
        with self._as_reader:
            self._set_limit(timeout)
            while not arrival.settled:
                self._read_message()

    def _set_limit(self, timeout: float | None) -> None:
        if timeout != self._limit:
            self._tls.settimeout(timeout)
            self._limit = timeout

    def _stop_reading(self, error: BaseException | None) -> None:
        with self._lock:
            self._reading = False
            if error is not None:
                self._set_error(self._translated(error))
            elif self._waiting:
                self._turn.notify_all()

    def _translated(self, error: BaseException) -> PeerError:
        if isinstance(error, PeerError):
            return error
        if isinstance(error, TimeoutError):
            return self._silence(self._limit or 0.0)
        return PeerLost(self.peer, f"The connection from it broke: {error}.")

    def _keep(self) -> None:
        """The keeper's life: reads while something in its charge has not come, and nobody else reads."""
        while True:
            with self._lock:
                while self._error is None and (self._reading or not self._next_charge()):
                    self._wait_turn(None)
                if self._error is not None:
                    return
                self._reading = True
                first = self._charge[0]
            with contextlib.suppress(PeerError):
                self._read_until(first, None)

    def _wait_turn(self, timeout: float | None) -> bool:
        self._waiting += 1
        try:
            return self._turn.wait(timeout)
        finally:
            self._waiting -= 1

    def _next_charge(self) -> bool:
        while self._charge and self._charge[0].settled:
            self._charge.popleft()
        return bool(self._charge)

    def _read_message(self) -> None:
        self._fill(self._head)
        self._read_body()

    def _read_body(self) -> None:
        label, length = HEAD.unpack(self._head)
        if label == FAREWELL:
            self.departed = True
            raise PeerLost(self.peer, "It said goodbye before it sent what we wait for.")
        with self._lock:
            arrival = self._expected(label)
            if arrival is None and length > self._ahead:
                raise PeerMisbehaved(
                    self.peer, f"It sent {length} bytes that nobody asked for; {self._ahead} may wait."
                )
        if arrival is not None:
            self._taking = arrival
            self._check_length(length, arrival)
            self._fill(arrival.view)
            self._settle(arrival)
        else:
            message = bytearray(length)
            self._fill(memoryview(message))
            self._keep_early(label, message)
        self.received += HEAD.size + length

    def _expected(self, label: bytes) -> Arrival | None:
        posted = self._posted.get(label)
        while posted:
            arrival = posted.popleft()
            if not posted:
                del self._posted[label]
            if arrival.claim(self.peer):
                return arrival
        return None

    def _keep_early(self, label: bytes, message: bytearray) -> None:
        with self._lock:
            self._ahead -= len(message)
            early = self._early.setdefault(label, deque())
            early.append(message)
            arrival = self._expected(label)  # posted while we read
            if arrival is not None:
                self._take_early(label, early, arrival)
                if self._waiting:
                    self._turn.notify_all()

    def _settle(self, arrival: Arrival) -> None:
        with self._lock:
            self._taking = None
            arrival.settle()
            if self._waiting:
                self._turn.notify_all()

    def _check_length(self, length: int, arrival: Arrival) -> None:
        if length != arrival.view.nbytes:
            raise PeerMisbehaved(self.peer, f"It sent {length} bytes where {arrival.view.nbytes} were agreed.")

    def _fill(self, view: memoryview, have: int = -1) -> None:
        """Read until `view` is full. `have` is what a first call to `_read` gave, of which 0 is the end."""
        start, size = max(have, 0), view.nbytes
        while start < size:
            if have == 0:
                raise ConnectionResetError("it was closed without a goodbye")
            have = self._read(size - start, view[start:])
            start += have
            self._moved += 1

    def _silence(self, timeout: float) -> PeerLost:
        return PeerLost(self.peer, f"It sent nothing for {timeout:g} s, and was given up.")

    def _set_error(self, error: PeerError) -> None:
        self._error = self._error or error
        for arrival in [arrival for posted in self._posted.values() for arrival in posted]:
            arrival.lose(self.peer, self._error, self.departed)
        if self._taking is not None:
            self._taking.lose(self.peer, self._error, self.departed)
        self._turn.notify_all()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise type(self._error)(self.peer, self._error.reason)


class _Reader:
    """The one who reads an inlet; leaving it hands the place on, or gives the connection up for everybody."""

    __slots__ = ("_inlet",)

    def __init__(self, inlet: Inlet) -> None:
        self._inlet = inlet

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inlet._stop_reading(error)
        if isinstance(error, OSError | ValueError):
            self._inlet._raise_error()
