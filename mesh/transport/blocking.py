"""Channels for programs that block: mutual TLS 1.3 between the parties of one session, without an event loop.

For child processes that compute and wait by turns. Whom we talk to is settled as everywhere in the mesh: the name asked
for is the peer's id, both sides show certificates of this mesh, and both ids must be on the roster. Bytes go from and
into the caller's own buffers; Python does nothing per byte.

A pair of parties has two connections, one each way, because one `ssl.SSLSocket` must not be read and written by two
threads at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mesh.contracts import Address, Traffic
from mesh.errors import ConfigError, Misuse, PeerLost
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.blocking_any import Raffle
from mesh.transport.blocking_in import Arrival, Inlet
from mesh.transport.blocking_open import Listener, connect_all
from mesh.transport.blocking_out import FAREWELL, LABEL, Outlet, Ticket

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Address", "Identity", "Links", "Listener", "PeerId", "Raffle", "Receipt", "SessionId", "Ticket"]

_NO_LABEL = bytes(LABEL)
_AHEAD = 256 * 2**20
_LARGE = 2**20


class Receipt:
    """A message that was asked for with `Links.post`, and may or may not be here."""

    __slots__ = ("_arrival", "_links", "peer")

    def __init__(self, links: Links, peer: PeerId, arrival: Arrival) -> None:
        self.peer = peer
        self._links = links
        self._arrival = arrival

    @property
    def here(self) -> bool:
        """Whether the whole message lies in the buffer that was given for it."""
        return self._arrival.settled

    def wait(self, timeout: float | None = None) -> None:
        """Until it is here. Raises as `Links.receive_into` does."""
        self._links._await(self.peer, self._arrival, timeout)


class Links:
    """This party's connections to all others of one session. Made by `open`; may be used from several threads.

    A message has a label of 16 bytes, zeros unless said otherwise. Two messages with the same label from the same peer
    arrive in the order in which they were sent; with different labels, each is found by whoever asks for it.

    Every wait ends: `timeout` counts seconds in which nothing at all moves, `patience` where it is not given.

    Attributes:
        peers: everybody, in rank order, ourselves among them.
        rank: our place among them.
        patience: seconds.
    """

    def __init__(
        self, peers: Sequence[PeerId], me: PeerId, outlets: dict[PeerId, Outlet], inlets: dict[PeerId, Inlet],
        patience: float,
    ) -> None:  # fmt: skip
        self.peers = tuple(peers)
        self.rank = self.peers.index(me)
        self.patience = patience
        self._outlets = outlets
        self._inlets = inlets
        self._unattended = 0

    @classmethod
    def open(
        cls,
        identity: Identity,
        roster: Sequence[tuple[PeerId, Address | Sequence[Address]]],
        *,
        session: SessionId,
        listener: Listener,
        within: float = 30.0,
        patience: float = 60.0,
    ) -> Links:
        """Connect to every other party. All of them call this at about the same time, with the same roster.

        Args:
            roster: who takes part and where each listens, in rank order; one of them is us. Of several addresses of a
                peer, each is tried in turn.
            session: only parties of the same session are let in.
            listener: where the others reach us, as they have it in their rosters. It is closed when this returns.
            within: seconds for all of it.
            patience: seconds that a peer may be silent while we wait for it.

        Raises:
            ConfigError: the roster does not name us, or somebody twice.
            PeerUnreachable: a party was not there in time.
            PeerDeclined: a party is there, and not for this session.
            IdentityError: another device answers in its place, or does not take us for one of its mesh.
        """
        addresses = {peer: (at,) if isinstance(at, Address) else tuple(at) for peer, at in roster}
        if len(addresses) != len(roster) or identity.peer not in addresses:
            listener.close()
            raise ConfigError(f"The roster must name each of its {len(roster)} parties once, and us, to be used.")
        pairs = connect_all(identity, addresses, session, listener, within)
        outlets, inlets = {}, {}
        for peer, pair in pairs.items():
            if pair.out is None or pair.into is None:
                raise Misuse("connect_all returned before all connections were open")
            outlets[peer] = Outlet(peer, pair.out, patience)
            inlets[peer] = Inlet(peer, pair.into, _AHEAD)
        return cls(tuple(addresses), identity.peer, outlets, inlets, patience)

    def send(self, peer: PeerId, data: Buffer, *, label: bytes = _NO_LABEL, timeout: float | None = None) -> None:
        """Hand `data` over; afterwards the buffer is the caller's again.

        Raises:
            PeerLost: the peer is gone, or took nothing for `timeout` seconds.
        """
        ticket = self.begin_send(peer, data, label=label)
        if ticket is not None:
            self.finish_send(peer, ticket, timeout)

    def receive_into(
        self, peer: PeerId, into: Buffer, *, label: bytes = _NO_LABEL, timeout: float | None = None
    ) -> None:
        """Fill `into` with the next message so labelled, which must be just as long.

        Raises:
            PeerLost: the peer said goodbye, vanished, or sent nothing for `timeout` seconds.
            PeerMisbehaved: its message has another length, or it sent too much that nobody asked for.
        """
        if self._unattended:
            self._see_to_posts()
        self._inlet(peer).receive(label, _bytes_of(into, writable=True), self.patience if timeout is None else timeout)

    def exchange(
        self,
        peer_out: PeerId,
        out: Buffer,
        peer_in: PeerId,
        into: Buffer,
        *,
        label: bytes = _NO_LABEL,
        timeout: float | None = None,
    ) -> None:
        """Send to one and receive from one, perhaps the same, both at once: of any size, without deadlock.

        Raises as `send` and `receive_into` do.
        """
        ticket = self.begin_send(peer_out, out, label=label)
        if self._unattended:
            self._see_to_posts()
        seconds = self.patience if timeout is None else timeout
        self._inlet(peer_in).receive(label, _bytes_of(into, writable=True), seconds)
        if ticket is not None:
            self.finish_send(peer_out, ticket, timeout)

    def begin_send(self, peer: PeerId, data: Buffer, *, label: bytes = _NO_LABEL) -> Ticket | None:
        """Send without waiting. None if it has already left; else `data` must not change before `finish_send`."""
        outlet = self._outlets.get(peer)
        if outlet is None or len(label) != LABEL or label == FAREWELL:
            raise Misuse(f"no message can go to {peer[:7]} under the label {label!r}")
        return outlet.post(label, _bytes_of(data, writable=False))

    def finish_send(self, peer: PeerId, ticket: Ticket, timeout: float | None = None) -> None:
        """Wait for what `begin_send` began. Raises as `send` does."""
        self._see_to_posts()
        seconds = self.patience if timeout is None else timeout
        if not ticket.wait(seconds):
            raise PeerLost(peer, f"It took nothing for {seconds:g} s.")

    def post(self, peer: PeerId, into: Buffer, *, label: bytes = _NO_LABEL) -> Receipt:
        """Ask for a message without waiting. `into` belongs to the links until the receipt says that it is here."""
        inlet, view = self._inlet(peer), _bytes_of(into, writable=True)
        arrival = inlet.post(label, view)
        if not arrival.settled:
            self._unattended += 1
            if view.nbytes > _LARGE:
                inlet.attend()
        return Receipt(self, peer, arrival)

    def post_any(self, peers: Iterable[PeerId], into: Buffer, *, label: bytes = _NO_LABEL) -> Raffle:
        """Ask for one message, from whichever of `peers` is first, without waiting. `into` as for `post`.

        Raises:
            PeerMisbehaved: it is here already, and has another length.
        """
        inlets = {peer: self._inlet(peer) for peer in peers}
        raffle = Raffle(inlets, _bytes_of(into, writable=True), label, self.patience)
        raffle.post()
        if not raffle.here:
            self._unattended += 1
        return raffle

    def departed(self) -> tuple[PeerId, ...]:
        """Who has said goodbye, as against merely vanished."""
        return tuple(peer for peer, inlet in self._inlets.items() if inlet.departed)

    def traffic(self) -> dict[PeerId, Traffic]:
        """Bytes exchanged with each peer so far, heads included, TLS not."""
        return {peer: Traffic(self._outlets[peer].sent, inlet.received) for peer, inlet in self._inlets.items()}

    def close(self, *, farewell: bool = True) -> None:
        """Say goodbye, unless told not to, and close; always closes. What was sent before still arrives."""
        for outlet in self._outlets.values():
            outlet.close(farewell)
        for inlet in self._inlets.values():
            inlet.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(farewell=kind is None)

    def _inlet(self, peer: PeerId) -> Inlet:
        if peer not in self._inlets:
            raise Misuse(f"{peer[:7]} is not another party of this session")
        return self._inlets[peer]

    def _await(self, peer: PeerId, arrival: Arrival, timeout: float | None) -> None:
        if arrival.settled:
            return
        self._see_to_posts()
        self._inlet(peer).wait(arrival, self.patience if timeout is None else timeout)

    def _see_to_posts(self) -> None:
        """Before we wait for one peer: what was asked of the others must still be able to arrive."""
        if self._unattended:
            self._unattended = 0
            for inlet in self._inlets.values():
                inlet.attend()


def _bytes_of(data: Buffer, *, writable: bool) -> memoryview:
    view = memoryview(data)
    if not view.c_contiguous or (writable and view.readonly):
        raise Misuse("a buffer must be contiguous, and one to receive into must be writable")
    if view.format == "B" and view.ndim == 1:
        return view
    return view.cast("B") if view.nbytes else memoryview(bytearray())
