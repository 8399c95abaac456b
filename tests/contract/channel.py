"""The laws of `Channel`. A new kind of channel is accepted when it keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest

from mesh.contracts import Channel
from mesh.errors import PeerLost, WireError
from mesh.wire import Frame
from tests.contract.worlds import SESSION, World

Law = Callable[[World], Awaitable[None]]


def frame(number: int, size: int = 0) -> Frame:
    """A frame that can be told from others, of `size` bytes."""
    return Frame(("test",), f"test.{number}", bytes([number % 256]) * size)


def plain(got: Frame) -> tuple[tuple[str, ...], str, bytes]:
    """What can be compared."""
    return got.scope, got.kind, bytes(got.body)


async def frames_keep_their_order(world: World) -> None:
    """What is sent first arrives first, whatever its size."""
    sent = [frame(number, size) for number, size in enumerate([0, 1, 140_000, 3, 40_000, 98_280, 98_290, 5] * 5)]
    async with world.pair() as (near, far), asyncio.TaskGroup() as tasks:
        tasks.create_task(send_all(near, sent))

        assert [plain(one) for one in sent] == [plain(await far.receive()) for _ in sent]


async def a_large_frame_arrives_whole(world: World) -> None:
    """Frames larger than any buffer on the way arrive as they were, either way."""
    body = bytes(range(256)) * 20_000
    async with world.pair() as (near, far):
        for source, target in ((near, far), (far, near)):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(source.send(Frame((), "test.large", memoryview(body))))

                assert body == (await target.receive()).body


async def both_may_speak_at_once(world: World) -> None:
    """Two that send to each other before either reads do not block each other."""
    sent = [frame(number, 60_000) for number in range(40)]
    async with world.pair() as ends, asyncio.TaskGroup() as tasks:
        for end in ends:
            tasks.create_task(send_all(end, sent))
        got = [tasks.create_task(receive_all(end, len(sent))) for end in ends]
    for one in got:
        assert [plain(each) for each in sent] == [plain(each) for each in one.result()]


async def concurrent_sends_keep_frames_whole(world: World) -> None:
    """Frames sent by many at once are not mixed, and each sender's keep their order."""
    async with world.pair() as (near, far), asyncio.TaskGroup() as tasks:
        for sender in range(8):
            tasks.create_task(send_all(near, [frame(sender * 10 + step, 300_000) for step in range(3)]))
        got = await receive_all(far, 24)
    numbers = [int(one.kind.removeprefix("test.")) for one in got]
    assert all(set(one.body) == {number} for one, number in zip(got, numbers, strict=True))
    assert all(sorted(mine) == mine for mine in ([n for n in numbers if n // 10 == sender] for sender in range(8)))


async def a_cancelled_receive_loses_nothing(world: World) -> None:
    """Whoever stops waiting for a frame, even as it comes, leaves it for the next."""
    async with world.pair() as (near, far):
        for number in range(40):
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(attempt(far))
                await asyncio.sleep(0)
                await near.send(frame(number))
                for _ in range(number % 8):
                    await asyncio.sleep(0)
                waiting.cancel()
            if waiting.cancelled() or waiting.result() is None:
                assert plain(frame(number)) == plain(await far.receive())
            else:
                assert plain(frame(number)) == plain(waiting.result())


async def closing_ends_the_others_wait(world: World) -> None:
    """Whoever waits for a frame learns that the peer has closed."""
    async with world.pair() as (near, far), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lost(far.receive))
        await asyncio.sleep(0)
        await near.aclose()
    assert waiting.result() == far.peer


async def closing_ends_ones_own_wait(world: World) -> None:
    """Whoever waits for a frame learns that this device has closed."""
    async with world.pair() as (near, _), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(lost(near.receive))
        await asyncio.sleep(0)
        await near.aclose()
    assert waiting.result() == near.peer


async def closing_may_be_repeated(world: World) -> None:
    """Closing twice, at both ends, one after the other or at once, is no error."""
    async with world.pair() as (near, far):
        async with asyncio.TaskGroup() as tasks:
            for end in (near, far, near):
                tasks.create_task(end.aclose())
        await near.aclose()
        await far.aclose()


async def what_was_sent_before_closing_arrives(world: World) -> None:
    """A reader that comes late still gets everything; then it learns of the end."""
    sent = [frame(number, 50_000) for number in range(12)]
    async with world.pair() as (near, far):
        await send_all(near, sent)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(near.aclose())
            assert [plain(one) for one in sent] == [plain(one) for one in await receive_all(far, len(sent))]
            assert await lost(far.receive) == far.peer


async def nothing_can_be_done_after_the_end(world: World) -> None:
    """After a close, either end finds that the peer is lost, again and again."""
    async with world.pair() as (near, far):
        await near.aclose()
        for end in (near, far):
            for _ in range(2):
                assert await lost(end.receive) == end.peer
                assert await lost(partial(end.send, frame(0))) == end.peer


async def a_killed_peer_is_lost(world: World) -> None:
    """When the peer's process is gone, both waiting and sending end with PeerLost."""
    async with world.devices(2) as (a, b):
        near = await a.transport.dial(b.sighting, SESSION)
        _, far = await b.accepted.get()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(lost(near.receive))
            await asyncio.sleep(0)
            world.kill(b, far)
        assert waiting.result() == b.transport.peer
        assert await lost(partial(near.send, frame(0))) == b.transport.peer


async def what_is_no_frame_closes_the_channel(world: World) -> None:
    """Bytes that are no frame raise WireError once, and after that the channel is closed."""
    async with world.devices(2) as (a, b):
        near = await a.transport.dial(b.sighting, SESSION)
        _, far = await b.accepted.get()
        await world.garble(near, a)
        with pytest.raises(WireError):
            await far.receive()

        assert await lost(far.receive) == far.peer
        assert await lost(near.receive) == near.peer


async def a_slow_reader_makes_the_sender_wait(world: World) -> None:
    """What a peer does not read is not piled up without end: sending stands still, and goes on when it reads."""
    count, size = 64, 2**20
    async with world.pair() as (near, far), asyncio.TaskGroup() as tasks:
        sent: list[str] = []
        all_sent = asyncio.Event()

        async def send_many() -> None:
            for number in range(count):
                await near.send(frame(number, size))
                sent.append(f"test.{number}")
            all_sent.set()

        tasks.create_task(send_many())
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await all_sent.wait()
        assert len(sent) < count // 2

        got = [one.kind for one in await receive_all(far, count)]
        await all_sent.wait()
        assert sent == got


CHANNEL_LAWS: tuple[Law, ...] = (
    frames_keep_their_order,
    a_large_frame_arrives_whole,
    both_may_speak_at_once,
    concurrent_sends_keep_frames_whole,
    a_cancelled_receive_loses_nothing,
    closing_ends_the_others_wait,
    closing_ends_ones_own_wait,
    closing_may_be_repeated,
    what_was_sent_before_closing_arrives,
    nothing_can_be_done_after_the_end,
    a_killed_peer_is_lost,
    what_is_no_frame_closes_the_channel,
    a_slow_reader_makes_the_sender_wait,
)


async def send_all(channel: Channel, frames: list[Frame]) -> None:
    for one in frames:
        await channel.send(one)


async def receive_all(channel: Channel, count: int) -> list[Frame]:
    return [await channel.receive() for _ in range(count)]


async def attempt(channel: Channel) -> Frame | None:
    try:
        return await channel.receive()
    except asyncio.CancelledError:
        return None


async def lost(doing: Callable[[], Awaitable[object]]) -> str:
    """Who was lost, in the end, when this is done again and again."""
    try:
        async with asyncio.timeout(10):
            while True:
                await doing()
    except PeerLost as error:
        return error.peer
