"""Blocking channels over real sockets, real TLS and real certificates, the parties as threads of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest

from mesh.authority import Authority
from mesh.contracts import Address
from mesh.errors import IdentityError, MeshError, Misuse, PeerDeclined, PeerLost, PeerMisbehaved, PeerUnreachable
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.blocking import Links, Listener

SESSION = SessionId("5e" * 16)
T = TypeVar("T")
SIZES = (0, 1, 8, 16_384, 65_536, 65_537, 3_000_000)


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    folder = tmp_path_factory.mktemp("mesh")
    authority = Authority.create(folder / "authority", mesh="blocking")
    return [authority.issue(folder / str(number)) for number in range(4)]


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    folder = tmp_path_factory.mktemp("other")
    return Authority.create(folder / "authority", mesh="blocking").issue(folder / "stranger")


@pytest.fixture
def parties(identities: list[Identity]) -> Iterator[Callable[[int], list[Links]]]:
    """Opens links between so many parties; closes them all at the end."""
    with ExitStack() as stack:

        def make(size: int) -> list[Links]:
            links = opened(identities[:size])
            for one in links:
                stack.callback(one.close, farewell=False)
            return links

        yield make


def opened(identities: list[Identity]) -> list[Links]:
    listeners = [Listener() for _ in identities]
    roster = [(identity.peer, listener.address) for identity, listener in zip(identities, listeners, strict=True)]
    return together(
        *(
            lambda me=me, listener=listener: Links.open(me, roster, session=SESSION, listener=listener, patience=10)
            for me, listener in zip(identities, listeners, strict=True)
        )
    )


def together(*acts: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]


def pattern(size: int, seed: int) -> bytes:
    return bytes((seed + number * 7) % 251 for number in range(min(size, 251))) * (size // 251 + 1)


def message(size: int, seed: int) -> bytes:
    return pattern(size, seed)[:size]


@pytest.mark.parametrize("size", SIZES)
def test_exchange_of_any_size(parties: Callable[[int], list[Links]], size: int) -> None:
    """Both send and receive at once, whatever the size, and each gets just what the other sent."""
    a, b = parties(2)

    def swap(mine: Links, other: Links) -> bytes:
        peer, into = other.peers[other.rank], bytearray(size)
        mine.exchange(peer, message(size, mine.rank), peer, into)
        return bytes(into)

    assert [message(size, 1), message(size, 0)] == together(lambda: swap(a, b), lambda: swap(b, a))


def test_ring(parties: Callable[[int], list[Links]]) -> None:
    """Each sends to the next and receives from the one before, and nobody waits for ever."""
    links = parties(3)

    def turn(mine: Links) -> bytes:
        into = bytearray(2_000_000)
        mine.exchange(mine.peers[(mine.rank + 1) % 3], message(len(into), mine.rank), mine.peers[mine.rank - 1], into)
        return bytes(into)

    assert [message(2_000_000, (rank - 1) % 3) for rank in range(3)] == together(
        *(lambda one=one: turn(one) for one in links)
    )


def test_found_by_label(parties: Callable[[int], list[Links]]) -> None:
    """Messages with different labels are found in any order; with the same label, in the order of sending."""
    a, b = parties(2)
    first, second = b"1" * 16, b"2" * 16
    for label, text in ((first, b"one"), (second, b"two"), (first, b"six")):
        a.send(b.peers[1], text, label=label)
    got = []
    for label in (second, first, first):
        into = bytearray(3)
        b.receive_into(a.peers[0], into, label=label)
        got.append(bytes(into))

    assert [b"two", b"one", b"six"] == got


def test_posted_receives_let_a_blocked_sender_go_on(parties: Callable[[int], list[Links]]) -> None:
    """Both ask for a large message first, send theirs, and only then wait for what they asked for."""
    size = 20_000_000
    a, b = parties(2)

    def swap(mine: Links) -> bytes:
        peer, into = mine.peers[1 - mine.rank], bytearray(size)
        receipt = mine.post(peer, into)
        mine.send(peer, message(size, mine.rank))
        receipt.wait()
        assert receipt.here
        return bytes(into)

    assert [message(size, 1), message(size, 0)] == together(lambda: swap(a), lambda: swap(b))


def test_small_posted_receives_too(parties: Callable[[int], list[Links]]) -> None:
    """A chain of waits is undone though the message at its end was only asked for, and nobody waits for it."""
    a, b = parties(2)
    asked, large = b"a" * 16, bytearray(20_000_000)

    def first() -> None:
        receipt = a.post(a.peers[1], bytearray(8), label=asked)
        a.receive_into(a.peers[1], large)
        receipt.wait()

    def second() -> None:
        b.send(b.peers[0], bytes(8), label=asked)
        b.send(b.peers[0], message(len(large), 5))

    together(first, second)

    assert message(len(large), 5) == large


def test_many_threads(parties: Callable[[int], list[Links]]) -> None:
    """Eight threads a side share the links, each with its own label, and each finds only what is its own."""
    a, b = parties(2)

    def talk(mine: Links, thread: int) -> bool:
        peer, label, into = mine.peers[1 - mine.rank], bytes([thread]) * 16, bytearray(5000)
        good = True
        for round_ in range(40):
            mine.exchange(peer, message(5000, thread + round_ + mine.rank), peer, into, label=label)
            good &= into == message(5000, thread + round_ + 1 - mine.rank)
        return good

    acts = [lambda one=one, thread=thread: talk(one, thread) for one in (a, b) for thread in range(8)]

    assert all(together(*acts))


def test_goodbye_is_no_loss(parties: Callable[[int], list[Links]]) -> None:
    """What was sent before a goodbye arrives; then the goodbye is told apart from a loss."""
    a, b = parties(2)
    a.send(a.peers[1], b"last")
    a.close()
    into = bytearray(4)
    b.receive_into(b.peers[0], into)

    assert b"last" == into
    with pytest.raises(PeerLost, match="goodbye"):
        b.receive_into(b.peers[0], into)
    assert (b.peers[0],) == b.departed()


def test_loss_is_no_goodbye(parties: Callable[[int], list[Links]]) -> None:
    """A peer that vanishes is named at once, and has not departed."""
    a, b = parties(2)
    waiting = in_thread(lambda: b.receive_into(b.peers[0], bytearray(4)))
    a.close(farewell=False)

    with pytest.raises(PeerLost, match="broke") as caught:
        waiting.result()
    assert a.peers[0] == caught.value.peer
    assert () == b.departed()


def test_silence_ends(parties: Callable[[int], list[Links]]) -> None:
    """A peer that is there and says nothing is given up, by name."""
    _, b = parties(2)

    with pytest.raises(PeerLost, match="sent nothing") as caught:
        b.receive_into(b.peers[0], bytearray(4), timeout=0.05)
    assert b.peers[0] == caught.value.peer


def test_nobody_reads(parties: Callable[[int], list[Links]]) -> None:
    """A peer that takes nothing holds a sender up no longer than it has patience."""
    a, _ = parties(2)

    with pytest.raises(PeerLost, match="took nothing"):
        a.send(a.peers[1], bytes(64 * 2**20), timeout=0.05)


def test_lengths_are_checked(parties: Callable[[int], list[Links]]) -> None:
    """A message of another length than was agreed is refused, early or late, and its sender blamed."""
    a, b = parties(2)
    a.send(a.peers[1], b"12345")

    with pytest.raises(PeerMisbehaved, match="5 bytes where 4"):
        b.receive_into(b.peers[0], bytearray(4))


def test_what_nobody_asked_for_is_bounded(parties: Callable[[int], list[Links]]) -> None:
    """No peer can make us hold more than the budget of messages that nobody asked for."""
    a, b = parties(2)
    b._inlets[b.peers[0]]._ahead = 100
    a.send(a.peers[1], bytes(101), label=b"?" * 16)

    with pytest.raises(PeerMisbehaved, match="nobody asked for"):
        b.receive_into(b.peers[0], bytearray(4))


def test_close_wakes_whoever_waits(parties: Callable[[int], list[Links]]) -> None:
    """Closing closes, twice if asked, and a thread that waits on the links is told."""
    a, _ = parties(2)
    waiting = in_thread(lambda: a.receive_into(a.peers[1], bytearray(4)))
    a.close()
    a.close()

    with pytest.raises(PeerLost, match="closed"):
        waiting.result()
    with pytest.raises(PeerLost):
        a.send(a.peers[1], b"late")


def test_wrong_use(parties: Callable[[int], list[Links]]) -> None:
    """Ourselves, strangers, short labels and buffers that cannot be written are our own bugs."""
    a, _ = parties(2)
    wrong: list[Callable[[], Any]] = [
        lambda: a.send(a.peers[0], b""),
        lambda: a.receive_into(PeerId("x"), bytearray(1)),
        lambda: a.send(a.peers[1], b"", label=b"short"),
        lambda: a.send(a.peers[1], b"", label=b"\xff" * 16),
        lambda: a.receive_into(a.peers[1], b"read-only"),
        lambda: a.send(a.peers[1], memoryview(bytes(8))[::2]),
    ]
    for act in wrong:
        with pytest.raises(Misuse):
            act()


def test_traffic_is_counted(parties: Callable[[int], list[Links]]) -> None:
    """What one sent is what the other received, 24 bytes of head included."""
    a, b = parties(2)
    a.send(a.peers[1], bytes(100))
    b.receive_into(b.peers[0], bytearray(100))

    assert 124 == a.traffic()[a.peers[1]].sent == b.traffic()[b.peers[0]].received


def test_another_device_at_the_address(identities: list[Identity]) -> None:
    """Whoever took a party's address is found out by its certificate."""
    a, b, c = identities[:3]
    with Listener() as ours, Listener() as taken:
        theirs = in_thread(lambda: join(c, [(a.peer, ours.address), (c.peer, taken.address)], taken))
        with pytest.raises(IdentityError, match="another device took"):
            join(a, [(a.peer, ours.address), (b.peer, taken.address)], ours)
        with pytest.raises(PeerUnreachable):
            theirs.result()


def test_every_address_of_a_peer_is_tried(identities: list[Identity]) -> None:
    """One where nobody is, one where another device is, and then its own."""
    nobody = Listener()
    nobody.close()
    with Listener() as other:
        meanwhile = in_thread(lambda: join(identities[2], [(identities[2].peer, other.address)], other, within=3))
        listeners = [Listener(), Listener()]
        addresses = (nobody.address, other.address, listeners[1].address)
        roster = [(identities[0].peer, (listeners[0].address,)), (identities[1].peer, addresses)]
        made = together(
            *(
                lambda me=me, listener=listener: Links.open(
                    me, roster, session=SESSION, listener=listener, within=10, patience=10
                )
                for me, listener in zip(identities[:2], listeners, strict=True)
            )
        )
        for links in made:
            links.close(farewell=False)
        meanwhile.result().close()


def test_another_authority(identities: list[Identity], stranger: Identity) -> None:
    """A device of a mesh of the same name but another authority is refused by both sides."""
    a = identities[0]
    with Listener() as ours, Listener() as theirs:
        roster = [(a.peer, ours.address), (stranger.peer, theirs.address)]
        other = in_thread(lambda: join(stranger, roster, theirs))
        with pytest.raises(IdentityError):
            join(a, roster, ours)
        with pytest.raises(PeerUnreachable, match="did not in time"):
            other.result()


def test_not_on_the_roster(identities: list[Identity]) -> None:
    """A device of the mesh that is no party of the session is told so."""
    a, b, c = identities[:3]
    with Listener() as ours, Listener() as theirs:
        other = in_thread(lambda: join(b, [(c.peer, ours.address), (b.peer, theirs.address)], theirs))
        with pytest.raises(PeerDeclined, match="does not know us"):
            join(a, [(a.peer, ours.address), (b.peer, theirs.address)], ours)
        with pytest.raises(PeerUnreachable):
            other.result()


def test_another_session(identities: list[Identity]) -> None:
    """A party that is there for another session says so, and is not mixed up with ours."""
    a, b = identities[:2]
    with Listener() as ours, Listener() as theirs:
        roster = [(a.peer, ours.address), (b.peer, theirs.address)]
        other = in_thread(lambda: join(b, roster, theirs, SessionId("07" * 16)))
        with pytest.raises(PeerDeclined, match="another session"):
            join(a, roster, ours)
        with pytest.raises(PeerUnreachable):
            other.result()


def test_nobody_there(identities: list[Identity]) -> None:
    """A party that never comes is named when the time is up, whether it was to dial or to be dialled."""
    a, b = identities[:2]
    with Listener() as ours, Listener() as theirs:
        roster = [(a.peer, ours.address), (b.peer, theirs.address)]
        theirs.close()
        with pytest.raises(PeerUnreachable) as dialled:
            join(a, roster, ours, within=0.2)
    with Listener() as ours, Listener() as theirs:
        roster = [(a.peer, theirs.address), (b.peer, ours.address)]
        with pytest.raises(PeerUnreachable) as awaited:
            join(b, roster, ours, within=0.2)

    assert [b.peer, a.peer] == [dialled.value.peer, awaited.value.peer]


def test_strangers_who_stall_hold_nobody_up(identities: list[Identity]) -> None:
    """Someone who connects and says nothing does not keep the parties from each other."""
    import socket

    a, b = identities[:2]
    with Listener() as first, Listener() as second:
        stalling = [socket.create_connection((second.address.host, second.address.port)) for _ in range(2)]
        roster = [(a.peer, first.address), (b.peer, second.address)]
        for one in together(lambda: join(a, roster, first), lambda: join(b, roster, second)):
            one.close(farewell=False)
        for connection in stalling:
            connection.close()


def join(
    me: Identity,
    roster: list[tuple[PeerId, Address]],
    listener: Listener,
    session: SessionId = SESSION,
    within: float = 1.0,
) -> Links:
    return Links.open(me, roster, session=session, listener=listener, within=within)


def in_thread(act: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except MeshError as error:
            future.set_exception(error)

    threading.Thread(target=run).start()
    return future
