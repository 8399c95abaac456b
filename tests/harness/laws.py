"""The two laws of the mesh, for one schedule of faults.

I.  At any moment, kill, stall or cut any device: the job ends with the right answer or with a `MeshError`, and never
    hangs.
II. Half a minute later, no device still holds a seat, a task or a channel of that job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mesh.errors import MeshError
from mesh.protocol import Job
from protocols.echo import EchoSpec
from scenarios.city import City, Schedule, Tier, suffer
from tests.harness import toy

__all__ = ["DEVICES", "STORIES", "Verdict", "judge"]

DEVICES = 4
REQUESTS = 6


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one run ended.

    Attributes:
        outcome: "right", or the class of the MeshError that ended it.
        left: what was still held afterwards; lawful runs leave nothing.
    """

    outcome: str
    left: tuple[str, ...]


async def _echo(city: City, deadline: float) -> bool:
    words = await city.submit(0, Job("echo", EchoSpec("hello"), deadline))
    return words == tuple(f"hello from {rank}" for rank in range(len(words))) and 1 <= len(words) <= DEVICES


async def _sharded(city: City, deadline: float) -> bool:
    numbers = list(range(REQUESTS))
    async with city.serve(0, toy.job(deadline, parts=3, where="elsewhere", patience=deadline / 3)) as service:
        answers = [toy.value_of(answer) async for answer in service.stream(map(toy.request_of, numbers))]
        return answers == [toy.expected(number) for number in numbers] and service.statistics().answered == REQUESTS


STORIES: dict[str, Callable[[City, float], Awaitable[bool]]] = {"echo": _echo, "sharded": _sharded}


async def judge(tier: Tier, story: str, schedule: Schedule, *, pace: float, deadline: float, quiet: float) -> Verdict:
    """Tell a story while a schedule of faults happens.

    Args:
        pace: seconds that one segment of the toy model takes.
        deadline: of the job; far above what any single fault costs.
        quiet: seconds after which nothing may be left.

    Raises:
        AssertionError: a wrong answer.
    """
    async with City(tier, DEVICES, toy.equip(pace), seed=schedule.seed) as city:
        async with asyncio.TaskGroup() as tasks:
            faults = tasks.create_task(suffer(city.streets, schedule, DEVICES))
            try:
                right = await STORIES[story](city, deadline)
                outcome = "right"
            except MeshError as error:
                right, outcome = True, type(error).__name__
            await faults
        assert right, f"a wrong answer under {schedule}"
        return Verdict(outcome, tuple(await city.wait_quiet(quiet)))
