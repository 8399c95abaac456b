"""One message from whoever is first, over real links: taken once, from one, and nobody else's is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from mesh.authority import Authority
from mesh.errors import Misuse, PeerLost, PeerMisbehaved
from mesh.identity import Identity
from mesh.transport.blocking import Links, Raffle
from tests.tls.test_blocking import in_thread, opened, together

LABEL = b"anybody's message"[:16]


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    folder = tmp_path_factory.mktemp("mesh")
    authority = Authority.create(folder / "authority", mesh="anybody")
    return [authority.issue(folder / str(number)) for number in range(3)]


@pytest.fixture
def three(identities: list[Identity]) -> Iterator[list[Links]]:
    with ExitStack() as stack:
        links = opened(identities)
        for one in links:
            stack.callback(one.close, farewell=False)
        yield links


def others(links: Links) -> list[str]:
    return [peer for rank, peer in enumerate(links.peers) if rank != links.rank]


def ask(links: Links, into: bytearray) -> Raffle:
    return links.post_any([peer for rank, peer in enumerate(links.peers) if rank != links.rank], into, label=LABEL)


@pytest.mark.parametrize("size", [0, 8, 3_000_000])
def test_whoever_is_first(three: list[Links], size: int) -> None:
    """Each sender is named with its own message, of any size, and everybody's is taken exactly once."""
    taker, into = three[0], bytearray(size)

    def give(mine: Links) -> None:
        for _ in range(5):
            mine.send(mine.peers[0], bytes([mine.rank]) * size, label=LABEL)

    def take() -> list[tuple[int, bool]]:
        got = []
        for _ in range(10):
            sender = three[0].peers.index(ask(taker, into).wait())
            got.append((sender, into == bytes([sender]) * size))
        return got

    taken = together(take, *(lambda one=one: give(one) for one in three[1:]))[0]

    assert [(1, True)] * 5 + [(2, True)] * 5 == sorted(taken or [])


def test_what_is_here_already(three: list[Links]) -> None:
    """A message that came before anybody asked is found without waiting, and one that was asked for later too."""
    taker, giver = three[0], three[2]
    giver.send(giver.peers[0], b"early", label=LABEL)
    giver.send(giver.peers[0], b"mark")
    taker.receive_into(taker.peers[2], bytearray(4))
    first = ask(taker, early := bytearray(5))
    second = ask(taker, late := bytearray(4))

    assert first.here
    assert not second.here
    giver.send(giver.peers[0], b"late", label=LABEL)
    assert (taker.peers[2], taker.peers[2]) == (first.wait(), second.wait())
    assert [b"early", b"late"] == [bytes(early), bytes(late)]


def test_the_others_go_on(three: list[Links]) -> None:
    """Whoever was not drawn can still be received from, under that label and under others."""
    taker, one, two = three
    waiting = in_thread(lambda: ask(taker, bytearray(3)).wait())
    one.send(one.peers[0], b"won", label=LABEL)
    assert taker.peers[1] == waiting.result()
    into = bytearray(4)
    for label in (LABEL, b"\0" * 16):
        two.send(two.peers[0], b"lost", label=label)
        taker.receive_into(taker.peers[2], into, label=label)

        assert b"lost" == into


def test_nobody_sends(three: list[Links]) -> None:
    """When time is up all who might have sent are named; what comes later is there for the next who asks."""
    taker, one, _ = three
    with pytest.raises(PeerLost) as caught:
        ask(taker, bytearray(3)).wait(0.05)
    assert all(peer[:7] in caught.value.reason for peer in others(taker))
    one.send(one.peers[0], b"now", label=LABEL)
    assert taker.peers[1] == ask(taker, into := bytearray(3)).wait()
    assert b"now" == into


def test_one_vanishes(three: list[Links]) -> None:
    """A peer that vanishes may have been the one to send, so whoever waits is told its name."""
    taker, _, two = three
    waiting = in_thread(lambda: ask(taker, bytearray(3)).wait())
    two.close(farewell=False)

    with pytest.raises(PeerLost) as caught:
        waiting.result()
    assert taker.peers[2] == caught.value.peer


def test_goodbyes(three: list[Links]) -> None:
    """One goodbye ends nothing, the last one ends the wait."""
    taker, one, two = three
    waiting = in_thread(lambda: ask(taker, bytearray(3)).wait())
    two.close()
    one.send(one.peers[0], b"yes", label=LABEL)
    assert taker.peers[1] == waiting.result()
    one.close()
    with pytest.raises(PeerLost, match="goodbye"):
        ask(taker, bytearray(3)).wait()


def test_lengths_are_checked(three: list[Links]) -> None:
    """A message of another length is its sender's fault, whether it comes early or late."""
    taker, one, two = three
    waiting = in_thread(lambda: ask(taker, bytearray(3)).wait())
    one.send(one.peers[0], b"four", label=LABEL)
    with pytest.raises(PeerMisbehaved, match="4 bytes where 3"):
        waiting.result()
    two.send(two.peers[0], b"four", label=LABEL)
    two.send(two.peers[0], b"mark")
    taker.receive_into(taker.peers[2], bytearray(4))
    with pytest.raises(PeerMisbehaved, match="4 bytes where 3"):
        taker.post_any([taker.peers[2]], bytearray(3), label=LABEL)


def test_from_nobody(three: list[Links]) -> None:
    """To ask for a message from none, or from oneself, is our own bug."""
    wrong: list[Callable[[], Raffle]] = [
        lambda: three[0].post_any([], bytearray(1)),
        lambda: three[0].post_any([three[0].peers[0]], bytearray(1)),
    ]
    for act in wrong:
        with pytest.raises(Misuse):
            act()
