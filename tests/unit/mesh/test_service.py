"""A job that lasts: each request answered once, whatever becomes of its sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from mesh.blame import LOST
from mesh.errors import (
    BadInput,
    Busy,
    ConfigError,
    DeadlinePassed,
    MeshError,
    Misuse,
    NoPlan,
    PeerLost,
    PeerMisbehaved,
    SessionError,
    StoreError,
)
from mesh.protocol import Feed
from mesh.service import Lost, Up
from mesh.tensors import Tensors
from scenarios.city.clock import run
from tests.harness.groups import peers
from tests.harness.sessions import Sessions, deaf, doubling, losing, number, numbers, serving, value_of

A, B = peers(2)


def test_a_request_is_answered() -> None:
    """And counted."""

    async def story() -> tuple[int, object]:
        async with serving(Sessions(doubling)) as service:
            return value_of(await service.ask(number(21))), service.statistics()

    answer, seen = run(story())
    assert 42 == answer
    assert "asked=1, answered=1, refused=0, expired=0, waiting=0, sessions=1, replays=0" in str(seen)


def test_a_stream_keeps_its_order_through_lost_sessions() -> None:
    """Each number once, in order; what was under way when a session was lost is asked again of the next."""
    news: list[object] = []
    sessions = Sessions(losing(3, PeerLost(A, "x")), losing(2, PeerLost(B, "x")), doubling)

    async def story() -> list[int]:
        async with serving(sessions, news=news) as service:
            return [value_of(answer) async for answer in service.stream(numbers(12))]

    assert [2 * value for value in range(12)] == run(story())
    assert [[0, 1, 2, 3], [3, 4, 5], list(range(5, 12))] == sessions.took
    assert [Up, Lost, Up, Lost, Up] == [type(event) for event in news]
    assert [frozenset(), {A}, {A, B}] == sessions.avoided


def test_above_the_backlog_nothing_is_taken_on() -> None:
    """`Busy` says when to come back; below it, all goes on as before."""

    async def story() -> tuple[float, int]:
        async with serving(Sessions(doubling), backlog=2) as service, asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(service.ask(number(value))) for value in (1, 2)]
            await asyncio.sleep(0)
            with pytest.raises(Busy) as busy:
                await service.ask(number(3))
            await asyncio.wait(asked)
            return busy.value.after, value_of(await service.ask(number(4)))

    after, answer = run(story())
    assert after > 0
    assert 8 == answer


def test_a_request_that_nobody_answers_expires() -> None:
    """Alone: the next one has its own time. The error tells the last trouble."""

    async def story() -> object:
        sessions = Sessions(losing(0, PeerLost(A, "went away")), deaf)
        async with serving(sessions, deadline=5.0) as service:
            with pytest.raises(DeadlinePassed, match="went away"):
                await service.ask(number(1))
            return service.statistics()

    assert "expired=1, waiting=0" in str(run(story()))


def test_a_refused_request_hurts_nobody_else() -> None:
    """It is its own fault, and the session goes on."""

    async def fate(feed: Feed) -> None:
        while request := await feed.take():
            if value_of(request.payload) == 13:
                feed.refuse(request.seq, BadInput("unlucky"))
            else:
                feed.answer(request.seq, request.payload)

    async def story() -> object:
        async with serving(Sessions(fate)) as service:
            with pytest.raises(BadInput, match="unlucky"):
                await service.ask(number(13))
            assert 14 == value_of(await service.ask(number(14)))
            return service.statistics()

    assert "answered=1, refused=1" in str(run(story()))


def test_an_early_end_of_a_stream_leaves_nothing() -> None:
    """Not a request, not a task; refusals that nobody waits for make no noise."""

    async def fate(feed: Feed) -> None:
        while request := await feed.take():
            if request.seq:
                feed.refuse(request.seq, BadInput("no"))
            else:
                feed.answer(request.seq, request.payload)

    async def story() -> tuple[int, int]:
        async with serving(Sessions(fate)) as service:
            stream = service.stream(map(number, range(100)))
            async for _ in stream:
                break
            await stream.aclose()  # type: ignore[attr-defined]
            await asyncio.sleep(1)
            return service.statistics().waiting, len(service._pumps)

    assert (0, 0) == run(story())


def test_a_failing_source_ends_its_stream_and_nothing_else() -> None:
    """After the answers to what it gave; with its own error; and the service answers on."""

    async def broken() -> AsyncIterator[Tensors]:
        yield number(1)
        yield number(2)
        raise OSError("camera unplugged")

    async def story() -> tuple[list[int], int]:
        async with serving(Sessions(doubling)) as service:
            stream = service.stream(broken())
            answers = [value_of(await anext(stream)) for _ in range(2)]
            with pytest.raises(OSError, match="unplugged"):
                await anext(stream)
            return answers, value_of(await service.ask(number(5)))

    assert ([2, 4], 10) == run(story())


def test_two_streams_share_a_service() -> None:
    """Each gets its own answers."""

    async def story() -> list[list[int]]:
        async with serving(Sessions(doubling)) as service:
            got: list[list[int]] = [[], []]

            async def follow(place: int) -> None:
                async for answer in service.stream(map(number, range(place * 100, place * 100 + 9))):
                    got[place].append(value_of(answer))

            async with asyncio.TaskGroup() as tasks:
                for place in range(2):
                    tasks.create_task(follow(place))
            return got

    assert [[2 * v for v in range(9)], [2 * v for v in range(100, 109)]] == run(story())


def test_closing_lets_requests_in_flight_go() -> None:
    """Whoever waits hears of it, and so does whoever comes later."""

    async def story() -> list[str]:
        heard: list[str] = []
        async with asyncio.TaskGroup() as tasks:
            async with serving(Sessions(deaf)) as service:

                async def wait() -> None:
                    try:
                        await service.ask(number(1))
                    except SessionError as error:
                        heard.append(str(error))

                tasks.create_task(wait())
                await asyncio.sleep(1)
            with pytest.raises(SessionError, match="ended"):
                await service.ask(number(2))
        return heard

    assert ["The service was closed."] == run(story())


def test_a_session_that_does_not_end_is_cut_off() -> None:
    """Closing takes two seconds at most."""

    async def stuck(feed: Feed) -> None:
        await asyncio.sleep(1e6)

    async def story() -> float:
        async with serving(Sessions(stuck)):
            pass
        return asyncio.get_running_loop().time()

    assert run(story()) <= 3.0


def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    """Not in a group, whatever it is."""

    async def story() -> None:
        async with serving(Sessions(doubling)):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(story())


@pytest.mark.parametrize("error", [BadInput("x"), ConfigError("x"), Misuse("x"), StoreError("x"), NoPlan("x")])
def test_what_cannot_get_better_is_raised_at_once(error: MeshError) -> None:
    """Entering tells why, after one try."""
    sessions = Sessions(error)

    async def story() -> None:
        async with serving(sessions):
            pass

    with pytest.raises(type(error), match="x"):
        run(story())
    assert 1 == len(sessions.took)


def test_hopeless_later_ends_the_service() -> None:
    """Whoever waits then hears why."""

    async def story() -> None:
        async with serving(Sessions(losing(0, StoreError("disk full")))) as service:
            await service.ask(number(1))

    with pytest.raises(StoreError, match="disk full"):
        run(story())


def test_entering_gives_up_at_the_deadline() -> None:
    """And tells the last trouble."""

    async def story() -> None:
        async with serving(Sessions(PeerLost(A, "shaky")), deadline=7.0):
            pass

    with pytest.raises(DeadlinePassed, match="shaky"):
        run(story())


def test_no_plan_later_waits_for_better_days() -> None:
    """The mesh may grow again: the service asks around, ever less often, and goes on."""
    sessions = Sessions(losing(1, PeerLost(A, "x")), NoPlan("too few"), NoPlan("too few"), doubling)

    async def story() -> list[int]:
        async with serving(sessions) as service:
            return [value_of(answer) async for answer in service.stream(map(number, range(3)))]

    assert [0, 2, 4] == run(story())
    assert [{A}, set()] == [set(avoided) for avoided in sessions.avoided[1:3]]


def test_nobody_makes_it_recruit_without_end() -> None:
    """Sessions that form and get nowhere come ever more slowly, whoever is or is not to blame."""
    sessions = Sessions(losing(0, SessionError("left")))

    async def story() -> None:
        async with serving(sessions, deadline=60.0) as service:
            with pytest.raises(DeadlinePassed):
                await service.ask(number(1))

    run(story())
    assert len(sessions.begun) < 60 / 2
    pauses = [round(after - before, 3) for before, after in zip(sessions.begun, sessions.begun[1:], strict=False)]
    assert pauses == sorted(pauses)


def test_progress_costs_no_pause() -> None:
    """A device lost after it has served well is replaced at once."""
    sessions = Sessions(losing(2, PeerLost(A, "x")), losing(2, PeerLost(A, "x")), doubling)

    async def story() -> None:
        async with serving(sessions) as service:
            async for _ in service.stream(map(number, range(6))):
                pass

    run(story())
    assert [0.5, 0.5] == [sessions.begun[1] - sessions.begun[0], sessions.begun[2] - sessions.begun[1]]


def test_who_misbehaves_is_left_out_for_good() -> None:
    """Long after who was lost is asked again."""
    sessions = Sessions(
        losing(1, PeerMisbehaved(A, "x")), losing(1, PeerLost(B, "x")), losing(20, PeerLost(B, "x")), doubling
    )

    async def story() -> None:
        async with serving(sessions, deadline=60) as service:
            for value in range(8):
                await service.ask(number(value))
                await asyncio.sleep(LOST / 2)
            for value in range(20):
                await service.ask(number(value))

    run(story())
    assert [set(), {A}, {A, B}, {A, B}] == [set(avoided) for avoided in sessions.avoided]


def test_a_job_that_takes_no_requests_is_no_service() -> None:
    """It says so, instead of being held again and again."""

    async def brief(feed: Feed) -> None:
        return

    async def story() -> None:
        async with serving(Sessions(brief)) as service:
            await service.ask(number(1))

    with pytest.raises((BadInput, SessionError), match="no service"):
        run(story())
