"""The laws of `Transport`. A new kind of transport is accepted when it keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from mesh.contracts import Sighting
from mesh.errors import IdentityError, PeerLost, PeerUnreachable
from mesh.ids import PeerId, SessionId
from mesh.wire import Frame
from tests.contract.channel import lost, plain
from tests.contract.worlds import SESSION, World

Law = Callable[[World], Awaitable[None]]

ASK = Frame(("test",), "test.ask", b"what?")


async def a_call_is_answered(world: World) -> None:
    """Whoever is called sees the proven id of the caller and the request as it was; the caller gets the answer."""
    seen: list[tuple[PeerId, Frame]] = []

    async def answer(peer: PeerId, request: Frame) -> Frame:
        seen.append((peer, request))
        return Frame((), "test.answer", b"that")

    async with world.devices(2, answer) as (a, b):
        reply = await a.transport.call(b.sighting, ASK)
    assert ((), "test.answer", b"that") == plain(reply)
    assert [(a.transport.peer, plain(ASK))] == [(peer, plain(request)) for peer, request in seen]


async def calls_do_not_mix(world: World) -> None:
    """Many calls at once, both ways, each get their own answer."""
    async with world.devices(2) as (a, b):
        asked = [Frame((), f"test.{number}", bytes([number]) * number * 100) for number in range(30)]
        async with asyncio.TaskGroup() as tasks:
            there = [tasks.create_task(a.transport.call(b.sighting, one)) for one in asked]
            back = [tasks.create_task(b.transport.call(a.sighting, one)) for one in asked]
        for answers in (there, back):
            assert [plain(one) for one in asked] == [plain(task.result()) for task in answers]


async def another_in_its_place_is_refused(world: World) -> None:
    """Where somebody else answers than was meant, nothing is asked and no channel is opened."""
    asked: list[PeerId] = []

    async def answer(peer: PeerId, request: Frame) -> Frame:
        asked.append(peer)
        return request

    async with world.devices(3, answer) as (a, b, c):
        mistaken = Sighting(c.transport.peer, b.sighting.addresses)
        with pytest.raises(IdentityError, match="is not"):
            await a.transport.call(mistaken, ASK)
        with pytest.raises(IdentityError, match="is not"):
            await a.transport.dial(mistaken, SESSION)
        assert 0 == a.transport.channels()


async def nobody_there_is_unreachable(world: World) -> None:
    """Where nobody listens, or nothing is known of where to look, calling and dialling end with PeerUnreachable."""
    async with world.devices(2) as (a, b):
        for addresses in ((world.nowhere(),), ()):
            nobody = Sighting(b.transport.peer, addresses)
            with pytest.raises(PeerUnreachable):
                await a.transport.call(nobody, ASK)
            with pytest.raises(PeerUnreachable):
                await a.transport.dial(nobody, SESSION)


async def silence_ends_a_call(world: World) -> None:
    """A peer that never answers does not hold a caller for ever."""

    async def answer(peer: PeerId, request: Frame) -> Frame:
        await asyncio.Event().wait()
        return request

    async with world.impatient().devices(2, answer) as (a, b):
        with pytest.raises(PeerUnreachable, match="did not answer"):
            await a.transport.call(b.sighting, ASK)


async def a_channel_knows_its_session_and_peer(world: World) -> None:
    """Both ends know whom they are connected to, and the one that accepts knows for what."""
    session = SessionId("0123456789abcdef" * 2)
    async with world.devices(2) as (a, b):
        near = await a.transport.dial(b.sighting, session)
        told, far = await b.accepted.get()
        assert (session, a.transport.peer, b.transport.peer) == (told, far.peer, near.peer)


async def accepting_ends_the_channel_when_it_returns(world: World) -> None:
    """A channel belongs to `accept` until that returns, and then it is closed."""
    async with world.devices(2) as (a, b):
        near = await a.transport.dial(b.sighting, SESSION)
        _, far = await b.accepted.get()
        await far.send(ASK)
        b.dismissed.set()
        assert plain(ASK) == plain(await near.receive())
        assert await lost(near.receive) == b.transport.peer
        with pytest.raises(PeerLost):
            await far.receive()


async def leaving_closes_every_channel(world: World) -> None:
    """When a device stops serving, nobody waits for it any more, and nothing of its channels is left."""
    async with AsyncExitStack() as staying, asyncio.TaskGroup() as tasks:
        async with AsyncExitStack() as leaving:
            first, second = world.transports(2)
            a, b = await world.join(staying, first), await world.join(leaving, second)
            there = await a.transport.dial(b.sighting, SESSION)
            back = await b.transport.dial(a.sighting, SESSION)
            _, far = await a.accepted.get()
            waiting = [tasks.create_task(lost(end.receive)) for end in (there, back, far)]
            await asyncio.sleep(0)
        assert 0 == b.transport.channels()
    assert [there.peer, back.peer, far.peer] == [task.result() for task in waiting]


async def channels_are_counted(world: World) -> None:
    """How many are open is known at both ends, and is nothing again when they are closed."""
    async with world.devices(2) as (a, b):
        counts = [(a.transport.channels(), b.transport.channels())]
        opened = [await a.transport.dial(b.sighting, SESSION) for _ in range(3)]
        accepted = [(await b.accepted.get())[1] for _ in opened]
        counts.append((a.transport.channels(), b.transport.channels()))
        b.dismissed.set()
        for channel in (*opened, *accepted):
            await channel.aclose()
        counts.append((a.transport.channels(), b.transport.channels()))
    assert [(0, 0), (3, 3), (0, 0)] == counts


async def traffic_is_counted_by_peer(world: World) -> None:
    """Bytes of calls and channels are counted at both ends alike, for each peer."""
    async with world.devices(3) as (a, b, c):
        await a.transport.call(b.sighting, ASK)
        near = await a.transport.dial(c.sighting, SESSION)
        _, far = await c.accepted.get()
        await near.send(Frame((), "test.much", bytes(10_000)))
        await far.receive()
        seen = a.transport.traffic()
        assert {b.transport.peer, c.transport.peer} == set(seen)
        assert seen[b.transport.peer].sent == b.transport.traffic()[a.transport.peer].received > 0
        assert seen[b.transport.peer].received == b.transport.traffic()[a.transport.peer].sent > 0
        assert 10_000 < seen[c.transport.peer].sent == c.transport.traffic()[a.transport.peer].received < 10_100


TRANSPORT_LAWS: tuple[Law, ...] = (
    a_call_is_answered,
    calls_do_not_mix,
    another_in_its_place_is_refused,
    nobody_there_is_unreachable,
    silence_ends_a_call,
    a_channel_knows_its_session_and_peer,
    accepting_ends_the_channel_when_it_returns,
    leaving_closes_every_channel,
    channels_are_counted,
    traffic_is_counted_by_peer,
)
