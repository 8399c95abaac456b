"""What has arrived and nobody has asked for yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from mesh.control import framed
from mesh.errors import BadFrame, MeshError, Misuse, PeerError, PeerLost, PeerMisbehaved
from mesh.ids import PeerId, Rank
from mesh.inbox import End, Inbox
from mesh.wire import Frame
from tests.harness.groups import Wire, peers

ROSTER = peers(3)
KEY = (Rank(1), (), "test.word")
BUDGET = 100_000


def word(body: bytes, *scope: str) -> Frame:
    return Frame(scope, "test.word", body)


@asynccontextmanager
async def reading() -> AsyncIterator[tuple[Inbox, Wire]]:
    """An inbox of rank 0, filled with what rank 1 sends."""
    inbox, wire = Inbox(ROSTER, Rank(0), kinds=frozenset({"test.word", "test.other"}), budget=BUDGET), Wire(ROSTER[1])
    async with asyncio.TaskGroup() as tasks:
        filling = tasks.create_task(inbox.fill(Rank(1), wire))
        try:
            yield inbox, wire
        finally:
            filling.cancel()


async def settled() -> None:
    """Let everything that can happen, happen."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_frames_wait_under_their_address() -> None:
    """By sender, scope and kind; in order within one address, whatever else came in between."""
    async with reading() as (inbox, wire):
        wire.give(word(b"1"), word(b"far", "round"), Frame((), "test.other", b"x"), word(b"2"))
        assert [b"1", b"2"] == [(await inbox.take(KEY)).body for _ in range(2)]
        assert b"far" == (await inbox.take((Rank(1), ("round",), "test.word"))).body


async def test_nothing_is_kept_of_an_address_that_is_done_with() -> None:
    """A scope for each round, for a million rounds, leaves nothing behind."""
    async with reading() as (inbox, wire):
        for number in range(50):
            key = (Rank(1), (str(number),), "test.word")
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(inbox.take(key))
                await settled()
                wire.give(word(b"early", str(number)), word(b"late", str(number)))
            assert b"early" == waiting.result().body
            assert b"late" == (await inbox.take(key)).body
        assert {} == inbox._ready
        assert {} == inbox._waiting


async def test_a_cancelled_receive_loses_nothing() -> None:
    """Not even what came in the very moment of being cancelled."""
    async with reading() as (inbox, _):
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(inbox.take(KEY))
            await settled()
            inbox._put(Rank(1), word(b"just then"))
            waiting.cancel()
        assert b"just then" == (await inbox.take(KEY)).body


async def test_a_cancelled_receive_hands_on_what_it_got() -> None:
    """To another that waits for the same, and would else wait for ever."""
    async with reading() as (inbox, _), asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        first, second = tasks.create_task(inbox.take(KEY)), tasks.create_task(inbox.take(KEY))
        await settled()
        inbox._put(Rank(1), word(b"one"))
        first.cancel()
        assert b"one" == (await second).body


async def test_whoever_floods_is_cut_off() -> None:
    """A budget of bytes for each sender; what came within it can still be read."""
    async with reading() as (inbox, wire):
        wire.give(*[word(b"x" * 9_000, "unasked") for _ in range(12)])
        with pytest.raises(PeerMisbehaved, match="nobody asked for"):
            await inbox.take(KEY)
        assert 9_000 == len((await inbox.take((Rank(1), ("unasked",), "test.word"))).body)


@pytest.mark.parametrize(
    "frame", [word(b""), word(b"", *("s" * 1000,) * 16), word(b"x" * 500)], ids=["empty", "long scope", "small"]
)
async def test_no_kind_of_frame_is_a_free_ride(frame: Frame) -> None:
    """The budget counts what a frame takes to keep, whatever part of it is large."""
    async with reading() as (inbox, wire):
        wire.give(*[Frame((*frame.scope, str(number)), frame.kind, frame.body) for number in range(200)])
        with pytest.raises(PeerMisbehaved):
            await inbox.take(KEY)


async def test_what_was_read_costs_no_budget() -> None:
    """A reader that keeps up can be sent any amount."""
    async with reading() as (inbox, wire):
        for _ in range(100):
            wire.give(*[word(b"x" * 9_000) for _ in range(5)])
            for _ in range(5):
                await inbox.take(KEY)


@pytest.mark.parametrize("frame", [Frame((), "test.unknown"), Frame((), "mesh.start"), Frame((), End.kind, b"\xc1")])
async def test_a_word_outside_the_vocabulary_is_misbehaviour(frame: Frame) -> None:
    """A control word is none of a session's words, and a broken last word is no word."""
    async with reading() as (inbox, wire):
        wire.give(frame)
        with pytest.raises(PeerMisbehaved):
            await inbox.take(KEY)


@pytest.mark.parametrize(
    ("culprit", "blamed", "witness"),
    [
        ("", ROSTER[1], ""),
        (ROSTER[1], ROSTER[1], ""),
        (ROSTER[2], ROSTER[2], ROSTER[1]),
        (ROSTER[0], ROSTER[1], ""),
        (PeerId.of_key(b"stranger"), ROSTER[1], ""),
        ("nonsense", ROSTER[1], ""),
    ],
    ids=["itself", "by name", "a third", "us", "a stranger", "nonsense"],
)
async def test_the_last_word_is_weighed(culprit: str, blamed: PeerId, witness: str) -> None:
    """Who left because of a third is its witness, and not blamed. Nobody puts it on us, or on a stranger."""
    async with reading() as (inbox, wire):
        wire.give(word(b"before"), framed(End(reason="bye", culprit=culprit)))
        assert b"before" == (await inbox.take(KEY)).body
        with pytest.raises(PeerLost) as lost:
            await inbox.take(KEY)
    assert (blamed, witness, "bye") == (lost.value.peer, lost.value.witness, lost.value.reason)


@pytest.mark.parametrize(
    ("failure", "told"), [(BadFrame("junk"), PeerMisbehaved), (PeerLost(ROSTER[1], "gone"), PeerLost)]
)
async def test_all_who_wait_hear_of_the_end(failure: MeshError, told: type[PeerError]) -> None:
    """Of bytes that are no frame, too; and so does whoever comes later."""
    async with reading() as (inbox, wire):
        heard = []

        async def hear(scope: str) -> None:
            with suppress(MeshError):
                try:
                    await inbox.take((Rank(1), (scope,), "test.word"))
                except PeerError as error:
                    heard.append(type(error))

        async with asyncio.TaskGroup() as tasks:
            for scope in "ab":
                tasks.create_task(hear(scope))
            await settled()
            wire.give(failure)
        await hear("c")
        assert [told] * 3 == heard


async def test_asking_for_an_undeclared_word_is_our_mistake() -> None:
    """It could never come."""
    async with reading() as (inbox, _):
        with pytest.raises(Misuse):
            await inbox.take((Rank(1), (), "test.unknown"))
