"""One message from whichever of several peers is first, in programs that block."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from mesh.errors import Misuse, PeerError, PeerLost
from mesh.ids import PeerId
from mesh.transport.blocking_in import Arrival, Inlet

__all__ = ["Raffle"]


class Raffle(Arrival):
    """A message that is expected from several peers at once. The first that comes is taken, and from that one alone.

    Args:
        inlets: those it may come from.
        view: where it will lie.
        label: which of their messages.
        patience: seconds of waiting where nothing else is said.

    Attributes:
        peer: who sent it, as soon as its beginning is here.
    """

    __slots__ = ("_error", "_inlets", "_label", "_lock", "_over", "_patience", "_present", "peer")

    def __init__(self, inlets: Mapping[PeerId, Inlet], view: memoryview, label: bytes, patience: float) -> None:
        super().__init__(view)
        if not inlets:
            raise Misuse("a message from anybody needs somebody who may send it")
        self.peer: PeerId | None = None
        self._inlets = inlets
        self._label = label
        self._patience = patience
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._present = set(inlets)
        self._error: PeerError | None = None

    @property
    def here(self) -> bool:
        """Whether the whole message lies in the buffer that was given for it."""
        return self.settled

    def post(self) -> None:
        """Expect it. Raises PeerMisbehaved: it is here already, and has another length."""
        try:
            for inlet in self._inlets.values():
                if self.peer is None:
                    inlet.post_arrival(self._label, self)
        except PeerError:
            self._withdraw()
            raise
        if self.settled:
            self._withdraw()

    def wait(self, timeout: float | None = None) -> PeerId:
        """Until it is here. Gives its sender.

        Raises:
            PeerLost: one of those who might have sent it vanished, all of them said goodbye, or nothing came from any
                of them for `timeout` seconds. In the last case only a sender who had begun is given up.
            PeerMisbehaved: the first to send sent another length.
        """
        seconds = self._patience if timeout is None else timeout
        for inlet in () if self.settled else self._inlets.values():
            inlet.attend()
        moved = -1
        while not self._over.wait(seconds) and moved != (moved := self._moved()):
            pass
        self._withdraw()
        if not self.settled:
            raise self._error or self._silence(seconds)
        if self.peer is None:
            raise Misuse("a message is here, and nobody sent it")
        return self.peer

    def claim(self, peer: PeerId) -> bool:
        with self._lock:
            if self.peer is None and not self._over.is_set():
                self.peer = peer
            return self.peer == peer and not self._over.is_set()

    def settle(self) -> None:
        self.settled = True
        self._over.set()

    def lose(self, peer: PeerId, error: PeerError, departed: bool) -> None:
        with self._lock:
            if self.peer not in (None, peer):
                return
            self._present.discard(peer)
            if not departed or self.peer == peer or not self._present:
                self._error = self._error or error
                self._over.set()

    def _withdraw(self) -> None:
        """Whatever comes from now on is for others."""
        self._over.set()
        for inlet in self._inlets.values():
            inlet.withdraw(self._label, self)

    def _moved(self) -> int:
        return sum(inlet.moved for inlet in self._inlets.values())

    def _silence(self, seconds: float) -> PeerLost:
        if self.peer is not None:
            return self._inlets[self.peer].give_up(seconds)
        return PeerLost(min(self._inlets), f"{_names(self._inlets)} sent nothing for {seconds:g} s.")


def _names(peers: Iterable[PeerId]) -> str:
    *most, last = sorted(peer.short for peer in peers)
    return f"{', '.join(most)} and {last}" if most else str(last)
