"""The only network that a protocol sees."""

from __future__ import annotations

import asyncio

import pytest

from mesh.errors import FrameTooLarge, MeshError, Misuse, PeerLost, PeerMisbehaved, QuorumLost
from mesh.group import BODY_LIMIT, Group
from mesh.ids import Rank
from mesh.messages import Message, message, pack
from mesh.transport.virtual import Link
from mesh.wire import Frame
from scenarios.city.clock import run
from tests.harness.groups import groups


@message("test.word", reveals="the word")
class Word(Message, frozen=True):
    """A number."""

    value: int


@message("test.bulk", reveals="its size")
class Bulk(Message, frozen=True):
    """Many bytes."""

    data: bytes


@message("test.stray", reveals="nothing")
class Stray(Message, frozen=True):
    """In no vocabulary."""


WORDS = (Word, Bulk)


def test_everyone_gets_all_in_rank_order() -> None:
    """An exchange, at every rank, whatever the weather."""

    async def story() -> list[list[int]]:
        async with groups(4, WORDS, link=Link(delay=0.1, jitter=1.0)) as (members, _, _):
            got: dict[int, list[int]] = {}

            async def take_part(group: Group) -> None:
                got[group.rank] = [word.value for word in await group.exchange(Word(value=group.rank * 10))]

            async with asyncio.TaskGroup() as tasks:
                for group in members:
                    tasks.create_task(take_part(group))
            return [got[rank] for rank in range(4)]

    assert [[0, 10, 20, 30]] * 4 == run(story())


def test_scopes_keep_rounds_apart() -> None:
    """What is asked for decides, not what came first."""

    async def story() -> list[int]:
        async with groups(2, WORDS) as ((a, b), _, _):
            for number in range(5):
                await a.within("round", number).send(Rank(1), Word(value=number))
            return [(await b.within("round", number).receive(Rank(0), Word)).value for number in (3, 0, 4, 2, 1)]

    assert [3, 0, 4, 2, 1] == run(story())


def test_a_scope_is_the_path_to_it() -> None:
    """`within` twice is `within` once, and numbers are words."""

    async def story() -> tuple[tuple[str, ...], tuple[str, ...]]:
        async with groups(1, WORDS) as ((alone,), _, _):
            return alone.within("a", 1).within("b").scope, alone.within("a", "1", "b").scope

    first, second = run(story())
    assert first == second == ("a", "1", "b")


@pytest.mark.parametrize(("dead", "quorum", "outcome"), [(0, 3, [1, 2, 3]), (1, 2, [2, 3]), (2, 2, QuorumLost)])
def test_collecting_waits_until_everyone_sent_or_went(dead: int, quorum: int, outcome: object) -> None:
    """Dropouts are counted, and too many end it."""

    async def story() -> object:
        async with groups(4, WORDS) as (members, network, _):
            for group in members[1 + dead :]:
                await group.send(Rank(0), Word(value=group.rank))
            for group in members[1 : 1 + dead]:
                network.kill(group.roster[group.rank])
            got = await members[0].collect(Word, members[0].others, quorum=quorum)
            return [word.value for word in got.values()]

    if outcome is QuorumLost:
        with pytest.raises(QuorumLost, match=r"1 of 'test.word' came, 2 are needed"):
            run(story())
    else:
        assert outcome == run(story())


def test_collecting_from_one_who_misbehaves_ends_it() -> None:
    """A wrong word is no dropout."""

    async def story() -> None:
        async with groups(3, WORDS) as (members, _, channels):
            await members[1].send(Rank(0), Word(value=1))
            await channels[2][Rank(0)].send(Frame((), Word.kind, b"\x81\xa5value\xa1x"))
            await members[0].collect(Word, members[0].others, quorum=1)

    with pytest.raises(PeerMisbehaved):
        run(story())


@pytest.mark.parametrize("rank", [0, 3, -1])
def test_a_rank_has_nothing_to_say_to_itself_or_to_nobody(rank: int) -> None:
    """Neither sends nor waits for ever."""

    async def send(group: Group) -> None:
        await group.send(Rank(rank), Word(value=1))

    async def receive(group: Group) -> None:
        await group.receive(Rank(rank), Word)

    async def story() -> None:
        async with groups(3, WORDS) as (members, _, _):
            for act in (send, receive):
                with pytest.raises(Misuse):
                    await act(members[0])

    run(story())


def test_what_is_not_in_the_vocabulary_does_not_leave() -> None:
    """Nor what is no message at all, nor more than anybody would take."""

    async def story() -> int:
        async with groups(2, WORDS) as ((a, _), network, _):
            with pytest.raises(Misuse):
                await a.send(Rank(1), Stray())
            with pytest.raises(FrameTooLarge):
                await a.send(Rank(1), Bulk(data=bytes(BODY_LIMIT)))
            return len(network.sent)

    assert 0 == run(story())


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (Frame((), Word.kind, b"\x81\xa5value\xa1x"), PeerMisbehaved),
        (Frame((), Word.kind, pack(Bulk(data=b""))), PeerMisbehaved),
        (Frame((), Stray.kind, pack(Stray())), PeerMisbehaved),
    ],
    ids=["ill-typed", "another's fields", "undeclared"],
)
def test_what_does_not_fit_is_its_senders_fault(frame: Frame, error: type[MeshError]) -> None:
    """And the sender is named."""

    async def story() -> None:
        async with groups(2, WORDS) as ((a, _), _, channels):
            await channels[1][Rank(0)].send(frame)
            await a.receive(Rank(1), Word)

    with pytest.raises(error):
        run(story())


def test_a_slow_receiver_slows_its_sender() -> None:
    """Sending waits once enough is under way: nothing piles up at the sender."""

    async def story() -> int:
        async with groups(2, WORDS, link=Link(delay=1.0, rate=1e6)) as ((a, b), _, _):
            loop = asyncio.get_running_loop()
            for _ in range(10):
                await a.send(Rank(1), Bulk(data=bytes(500_000)))
            sent_at = loop.time()
            for _ in range(10):
                await b.receive(Rank(0), Bulk)
            return round(sent_at)

    assert 3 <= run(story())


def test_tampered_bytes_are_never_taken_for_words() -> None:
    """Any flipped byte of a frame's head ends in a MeshError; none hangs."""

    def story(place: int) -> object:
        async def told() -> object:
            def tamper(data: bytes) -> bytes:
                return data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]

            async with groups(2, WORDS, link=Link(tamper=tamper)) as ((a, b), _, channels):
                await a.send(Rank(1), Word(value=7))
                await channels[0][Rank(1)].aclose()
                return (await b.receive(Rank(0), Word)).value

        return run(told())

    head = 8 + 1 + 1 + 1 + len(Word.kind)
    for place in (*range(5), *range(6, head)):
        with pytest.raises((PeerMisbehaved, PeerLost)):
            story(place)
