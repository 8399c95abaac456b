"""Opening the connections between the parties of one session: who dials, who is let in, and how long that may take.

Every pair of parties has two connections, one each way, and the lower rank dials both. The one who dials says on each
which way it goes and for which session it is; the one who is dialled answers with one byte. That answer also tells the
dialler that its certificate was believed, which a TLS 1.3 client does not know when its handshake ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, cast

from mesh.contracts import Address
from mesh.errors import ConfigError, IdentityError, MeshError, PeerDeclined, PeerUnreachable
from mesh.identity import Identity, server_name
from mesh.ids import PeerId, SessionId

__all__ = ["Listener", "Pair", "connect_all"]

_HELLO = struct.Struct("!4sBB32s")
_MAGIC, _VERSION = b"VEIB", 1
_TO_DIALLED, _TO_DIALLER = 0, 1

_WELCOME, _STRANGER, _OTHER_SESSION, _TWICE = b"\0", b"\1", b"\2", b"\3"
_REFUSALS = {
    _STRANGER: "It does not know us as a party of this session.",
    _OTHER_SESSION: "It is there for another session.",
    _TWICE: "It has this connection already.",
}

_ATTEMPT = 5.0  # seconds for one connection, from TCP to the answer: a stranger who stalls costs no more
_AGAIN = 0.05


class Listener:
    """Where the other parties of a session reach us. Open it first, tell them `address`, then connect.

    Args:
        host: a literal address of this device.
        port: 0 takes any that is free.

    Raises:
        ConfigError: nothing can listen there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            raise ConfigError(f"Nothing can listen at {host}, port {port}: {error.strerror}.") from error
        self.address = Address(host, self._socket.getsockname()[1])

    def accept(self, within: float) -> socket.socket:
        """The next who calls. Any number of threads may wait. Raises OSError, TimeoutError among them."""
        self._socket.settimeout(max(within, 0.001))
        return self._socket.accept()[0]

    def close(self) -> None:
        """Stop listening, and wake whoever waits. Safe to repeat."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Pair:
    """The two connections to one peer: one that we write to, one that we read from."""

    out: ssl.SSLSocket | None = None
    into: ssl.SSLSocket | None = None

    def close(self) -> None:
        for connection in (self.out, self.into):
            if connection is not None:
                connection.close()


def connect_all(
    identity: Identity,
    roster: Mapping[PeerId, Sequence[Address]],
    session: SessionId,
    listener: Listener,
    within: float,
) -> dict[PeerId, Pair]:
    """Both connections to every other party of `roster`, which is in rank order and names us too.

    Raises:
        PeerUnreachable: one of them did not come, or could not be reached, `within` seconds.
        PeerDeclined: it answered, and does not want us in this session.
        IdentityError: another device answers at its address, or it does not believe us to be of its mesh.
    """
    return _Opening(identity, roster, session, listener, time.monotonic() + within).run()


class _Opening:
    def __init__(
        self,
        identity: Identity,
        roster: Mapping[PeerId, Sequence[Address]],
        session: SessionId,
        listener: Listener,
        deadline: float,
    ) -> None:
        peers = list(roster)
        ours = peers.index(identity.peer)
        self._identity = identity
        self._session = hashlib.sha256(session.encode()).digest()
        self._listener = listener
        self._deadline = deadline
        self._higher = {peer: roster[peer] for peer in peers[ours + 1 :]}
        self._pairs = {peer: Pair() for peer in peers if peer != identity.peer}
        self._missing = {(peer, way) for peer in peers[:ours] for way in (_TO_DIALLED, _TO_DIALLER)}
        self._welcomed: set[tuple[PeerId, int]] = set()
        self._changed = threading.Condition()
        self._callers: set[ssl.SSLSocket] = set()

    def run(self) -> dict[PeerId, Pair]:
        try:
            with ThreadPoolExecutor(2 + len(self._missing), "accept") as pool:
                try:
                    for _ in range(2 + len(self._missing) if self._missing else 0):
                        pool.submit(self._answer_calls)
                    for peer, addresses in self._higher.items():
                        for way in (_TO_DIALLED, _TO_DIALLER):
                            self._place(peer, way, True, self._dial(peer, addresses, way))
                    self._await_calls()
                finally:
                    self._deadline = 0.0
                    self._listener.close()
                    self._turn_away()
        except BaseException:
            for pair in self._pairs.values():
                pair.close()
            raise
        return self._pairs

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _place(self, peer: PeerId, way: int, dialled_by_us: bool, connection: ssl.SSLSocket) -> None:
        if (way == _TO_DIALLED) is dialled_by_us:
            self._pairs[peer].out = connection
        else:
            self._pairs[peer].into = connection

    def _await_calls(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: not self._missing, max(0.0, self._left())):
                peer = min(self._missing)[0]
                raise PeerUnreachable(peer, "It was to open connections to us, and did not in time.")

    def _answer_calls(self) -> None:
        context = self._identity.server_context()
        while self._left() > 0 and self._missing:
            try:
                caller = self._listener.accept(self._left())
            except OSError:
                return
            with contextlib.suppress(OSError, IdentityError, struct.error):
                self._answer(caller, context)

    def _answer(self, caller: socket.socket, context: ssl.SSLContext) -> None:
        """Let a party of this session in, and nobody else; every way out of here but that one closes the connection."""
        with _closed_on_failure(caller):
            caller.settimeout(_ATTEMPT)
            tls = context.wrap_socket(
                caller, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        with _closed_on_failure(tls), self._at_the_door(tls):
            tls.do_handshake()
            peer = self._identity.peer_of(tls)
            magic, version, way, session = _HELLO.unpack(_exactly(tls, _HELLO.size))
            if (magic, version) != (_MAGIC, _VERSION) or way not in (_TO_DIALLED, _TO_DIALLER):
                raise ConnectionRefusedError("it speaks another language")
            verdict = self._verdict(peer, way, session)
            if verdict != _WELCOME:
                tls.sendall(verdict)
                raise ConnectionRefusedError(_REFUSALS[verdict])
            self._let_in(peer, way, tls)

    def _let_in(self, peer: PeerId, way: int, tls: ssl.SSLSocket) -> None:
        """It is no longer at the door when it is no longer missing, or it would be turned away with those who are."""
        try:
            tls.sendall(_WELCOME)
            _prepare(tls)
        except BaseException:
            with self._changed:
                self._welcomed.discard((peer, way))
            raise
        with self._changed:
            self._callers.discard(tls)
            self._missing.discard((peer, way))
            self._place(peer, way, False, tls)
            self._changed.notify_all()

    @contextlib.contextmanager
    def _at_the_door(self, tls: ssl.SSLSocket) -> Iterator[None]:
        with self._changed:
            self._callers.add(tls)
        try:
            yield
        finally:
            with self._changed:
                self._callers.discard(tls)

    def _turn_away(self) -> None:
        """Whoever is still at the door when all is settled, or has failed, is no longer waited for."""
        with self._changed:
            for caller in self._callers:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(caller, socket.SHUT_RDWR)

    def _verdict(self, peer: PeerId, way: int, session: bytes) -> bytes:
        if peer not in self._pairs or peer in self._higher:
            return _STRANGER
        if session != self._session:
            return _OTHER_SESSION
        with self._changed:
            if (peer, way) in self._welcomed:
                return _TWICE
            self._welcomed.add((peer, way))
        return _WELCOME

    def _dial(self, peer: PeerId, addresses: Sequence[Address], way: int) -> ssl.SSLSocket:
        """At one address after the other, until the peer answers or time is up: it may not be listening yet.

        Another device at one address need not mean that the peer is at none: that is raised once none is left to try.
        """
        why, met = "it has no address", None
        pause = threading.Event()
        left = list(addresses)
        while left and (seconds := self._left()) > 0:
            for address in list(left):
                try:
                    return self._attempt(peer, address, way, min(seconds, _ATTEMPT))
                except ssl.SSLError as error:
                    met = _whom_we_met(peer, address, error)
                    met.__cause__ = error
                    left.remove(address)
                except OSError as error:
                    why = f"{address}: {error}"
            pause.wait(_AGAIN)
        if met is not None and not left:
            raise met
        raise PeerUnreachable(peer, f"It cannot be reached at {', '.join(map(str, addresses))}: {why}.")

    def _attempt(self, peer: PeerId, address: Address, way: int, timeout: float) -> ssl.SSLSocket:
        plain = socket.create_connection((address.host, address.port), timeout)
        with _closed_on_failure(plain):
            tls = self._identity.client_context().wrap_socket(
                plain, server_hostname=server_name(peer), suppress_ragged_eofs=False
            )
        with _closed_on_failure(tls):
            if self._identity.peer_of(tls) != peer:
                raise IdentityError(f"{address} is not {peer.short}, though its certificate names it.")
            tls.sendall(_HELLO.pack(_MAGIC, _VERSION, way, self._session))
            answer = _exactly(tls, 1)
            if answer != _WELCOME:
                raise PeerDeclined(peer, _REFUSALS.get(answer, "It refused the connection."))
            _prepare(tls)
        return tls


@contextlib.contextmanager
def _closed_on_failure(connection: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _exactly(tls: ssl.SSLSocket, size: int) -> bytes:
    have = b""
    while len(have) < size:
        more = tls.recv(size - len(have))
        if not more:
            raise ConnectionResetError("it hung up")
        have += more
    return have


def _prepare(tls: ssl.SSLSocket) -> None:
    """Small messages leave at once; a peer whose machine is gone is noticed within 20 seconds even if nobody writes."""
    tls.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            tls.setsockopt(socket.IPPROTO_TCP, cast(int, getattr(socket, option)), seconds)


def _whom_we_met(peer: PeerId, address: Address, error: ssl.SSLError) -> MeshError:
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, "verify_message", "") or str(error)
        return IdentityError(
            f"{address} is not {peer.short}: {why}. Either another device took that address, or the two are not of the "
            "same mesh: compare their ids and root.pem."
        )
    if "ALERT" in (error.reason or ""):
        return IdentityError(
            f"{peer.short} at {address} refused our certificate ({error.reason}): check that it is of the same mesh "
            "and not expired, and that both clocks are right."
        )
    return PeerUnreachable(peer, f"It hung up at {address} before the connection was open.")
