"""A model served to a program: many requests, each answered once, whatever happens to the devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh import blocking
from mesh.doors.language import PlanLost, PlanUp, Progress
from mesh.errors import BadInput, MeshError, NoNode, NoPlan
from mesh.tensors import Tensor
from tests.doors.house import House, open_house, prepared
from tests.harness import toy


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        await opened.client.put_model(prepared())
        yield opened


def frame(number: int) -> dict[str, object]:
    return {"v0": np.array([number], np.int64)}


def number_in(answer: dict[str, Tensor]) -> int:
    return int(np.asarray(answer[f"v{toy.SEGMENTS}"])[0])


async def test_answers_come_in_the_order_of_the_frames(house: House) -> None:
    """Whatever the backlog, and from any kind of source."""

    async def camera() -> AsyncIterator[dict[str, object]]:
        for number in range(20):
            yield frame(number)

    expected = [toy.expected(number) for number in range(20)]
    for source, backlog in (
        (camera(), 1),
        (camera(), 16),
        (map(frame, range(20)), 4),
        ([frame(n) for n in range(20)], 7),
    ):
        async with house.client.stream("toy", mode="away", backlog=backlog) as stream:
            assert expected == [number_in(answer) async for answer in stream.answers(source)]
        assert stream.statistics is not None
        assert (20, 20, 0) == (stream.statistics.asked, stream.statistics.answered, stream.statistics.replays)
        assert 20 == len(stream.latencies)


async def test_one_answer_needs_one_call(house: House) -> None:
    """`infer` is a stream of one."""
    assert toy.expected(5) == number_in(await house.client.infer("toy", frame(5), mode="away"))


async def test_the_plan_is_told_and_progress_if_it_is_wanted(house: House) -> None:
    """Who holds which part, before the first answer; and what the protocol reports."""
    events: list[PlanUp | PlanLost | Progress] = []
    async with house.client.stream("toy", mode="away", report=events.append) as stream:
        await stream.ask(frame(1))
    (up,) = events
    assert isinstance(up, PlanUp)
    assert house.city.peers[0] == up.plan.stages[0].peer
    assert [(0, 0), (0, 3), (3, 6)] == [(stage.task["first"], stage.task["last"]) for stage in up.plan.stages]
    async with house.client.stream("toy", mode="away", report=events.append, progress=True) as stream:
        await stream.ask(frame(1))
    assert {"Loaded", "Hop"} <= {event.what for event in events if isinstance(event, Progress)}


async def test_a_request_at_fault_is_refused_and_the_stream_goes_on(house: House) -> None:
    """Its error is raised where it was asked; with `outcomes` it takes its place among the answers."""
    async with house.client.stream("toy", mode="away") as stream:
        with pytest.raises(BadInput, match="'v0' is missing"):
            await stream.ask({})
        assert toy.expected(2) == number_in(await stream.ask(frame(2)))
        outcomes = [outcome async for outcome in stream.outcomes([frame(1), {}, frame(3)])]
        assert ["dict", "BadInput", "dict"] == [type(outcome).__name__ for outcome in outcomes]
        with pytest.raises(BadInput, match="is no array"):
            await stream.ask({"v0": "one"})


async def test_a_device_that_dies_costs_no_answer_and_doubles_none(house: House) -> None:
    """The program hears that the plan was lost and made anew, and gets every answer once."""
    events: list[PlanUp | PlanLost | Progress] = []
    answers = []
    async with house.client.stream("toy", where="elsewhere", parts=1, report=events.append) as stream:
        async for answer in stream.answers(map(frame, range(60))):
            answers.append(number_in(answer))
            if len(answers) == 10:
                up = events[0]
                assert isinstance(up, PlanUp)
                house.city.streets.kill(house.city.peers.index(up.plan.stages[1].peer))
    assert [toy.expected(number) for number in range(60)] == answers
    assert ["PlanUp", "PlanLost", "PlanUp"] == [type(event).__name__ for event in events]


async def test_what_cannot_be_served_is_said_on_entering(house: House) -> None:
    """With the class that the node gave it."""
    cases: list[tuple[str, dict[str, Any], type[MeshError]]] = [
        ("nope", {}, BadInput),
        ("toy", {"mode": "sideways"}, BadInput),
        ("toy", {"colour": "red"}, BadInput),
        ("toy", {"backlog": 0}, BadInput),
        ("toy", {"parts": "many"}, BadInput),
    ]
    for model, options, wrong in cases:
        with pytest.raises(wrong):
            async with house.client.stream(model, **options):
                pass
    house.city.streets.kill(1)
    house.city.streets.kill(2)
    await house.client.remove_model("toy")
    with pytest.raises(MeshError) as failed:
        async with house.client.stream("toy"):
            pass
    assert failed.type in (BadInput, NoPlan)


async def test_whoever_sends_faster_than_is_answered_waits(house: House) -> None:
    """The node takes on no more than the backlog, however much is sent; nothing is refused for it."""
    async with house.client.stream("toy", mode="away", backlog=2) as stream:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(stream.ask(frame(number))) for number in range(50)]
        assert [toy.expected(number) for number in range(50)] == [number_in(task.result()) for task in asked]


async def test_a_program_that_leaves_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its session ends on every device, whether it said goodbye or not."""
    async with open_house(tmp_path, pace=0.2) as house:
        await house.client.put_model(prepared())

        async def give_up() -> None:
            async with house.client.stream("toy", mode="away") as stream:
                async for _ in stream.answers(map(frame, range(100))):
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await give_up()
        assert [] == await house.city.wait_quiet(15)


async def test_what_the_frames_raise_is_raised_where_answers_are_awaited(house: House) -> None:
    """A camera that fails fails the loop that reads it, and nothing else."""

    def broken() -> Iterator[dict[str, object]]:
        yield frame(1)
        raise ZeroDivisionError

    answers = []

    async def watch() -> None:
        async for answer in stream.answers(broken()):
            answers.append(number_in(answer))  # noqa: PERF401 - those before the failure are wanted

    async with house.client.stream("toy", mode="away") as stream:
        with pytest.raises(ZeroDivisionError):
            await watch()
        assert toy.expected(2) == number_in(await stream.ask(frame(2)))
    assert [toy.expected(1)] == answers


async def test_a_node_that_goes_away_ends_its_streams(tmp_path: Path) -> None:
    """Whoever waits for an answer is told, and does not hang."""
    async with AsyncExitStack() as node, asyncio.TaskGroup() as tasks:
        house = await node.enter_async_context(open_house(tmp_path, pace=0.5))
        await house.client.put_model(prepared())
        entered = asyncio.Event()

        async def use() -> None:
            async with house.client.stream("toy", mode="away") as stream:
                entered.set()
                await stream.ask(frame(1))

        async def be_told() -> None:
            with pytest.raises(NoNode):
                await use()

        tasks.create_task(be_told())
        await entered.wait()
        await node.aclose()


async def test_the_blocking_twin_does_the_same(house: House) -> None:
    """A program without asyncio sees the same answers, errors and events."""
    events: list[PlanUp | PlanLost | Progress] = []

    def program() -> tuple[list[int], int]:
        with blocking.connect(house.control) as node:
            assert house.city.peers[0] == node.status().peer
            assert ["toy"] == [model.name for model in node.models()]
            assert 2 == len(node.peers())
            with node.stream("toy", mode="away", backlog=3, report=events.append) as stream:
                answers = [number_in(answer) for answer in stream.answers(map(frame, range(10)))]
                with pytest.raises(BadInput):
                    stream.ask({})
            with pytest.raises(BadInput, match="colour"), node.stream("toy", colour="red"):
                pass
            with pytest.raises(ZeroDivisionError), node.stream("toy", mode="away"):
                raise ZeroDivisionError
            return answers, number_in(node.infer("toy", frame(7), mode="away"))

    answers, one = await asyncio.to_thread(program)
    assert [toy.expected(number) for number in range(10)] == answers
    assert toy.expected(7) == one
    assert isinstance(events[0], PlanUp)


def test_the_blocking_twin_says_that_there_is_no_node(tmp_path: Path) -> None:
    """On entering, and without leaving its thread behind."""
    with pytest.raises(NoNode, match="mesh up"), blocking.connect(tmp_path / "control.sock"):
        pass
