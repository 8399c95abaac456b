"""Faults that the device which asked suffers itself, and bytes that change on the way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import MeshError
from scenarios.city import VIRTUAL, City, Cut, Heal, Kill, Schedule, Stall
from scenarios.city.virtual import VirtualStreets
from tests.harness import toy
from tests.harness.laws import DEVICES, STORIES, judge

moments = st.floats(0, 4).map(lambda moment: round(moment, 3))
devices = st.integers(0, DEVICES - 1)
faults = st.one_of(
    st.builds(Stall, moments, devices, st.floats(0.1, 6)),
    st.builds(Cut, moments, st.sets(devices, min_size=1, max_size=DEVICES - 1).map(lambda side: tuple(sorted(side)))),
    st.builds(Kill, moments, st.integers(1, DEVICES - 1)),
    st.builds(Heal, moments),
)
schedules = st.builds(
    lambda seed, chosen: Schedule(seed, tuple(sorted(chosen, key=lambda fault: fault.at))),
    st.integers(0, 999),
    st.lists(faults, min_size=1, max_size=5),
)


@pytest.mark.parametrize("story", STORIES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(schedule=schedules)
def test_the_laws_hold_for_the_entry_too(story: str, schedule: Schedule) -> None:
    """Stall or cut off the device that asked, with the others or alone: laws I and II hold, whatever is drawn."""
    verdict = VIRTUAL.run(judge(VIRTUAL, story, schedule, pace=0.1, deadline=60.0, quiet=40.0))
    assert () == verdict.left


def _flipping(chance: random.Random, share: float) -> Callable[[bytes], bytes]:
    """Change one byte of a frame's head now and then: what carries data is TLS's to protect, and not looked at here."""

    def tamper(data: bytes) -> bytes:
        if chance.random() >= share:
            return data
        place = chance.randrange(8 + int.from_bytes(data[6:8], "big"))
        return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]

    return tamper


@pytest.mark.parametrize("story", STORIES)
def test_changed_frames_are_never_taken_for_others(story: str) -> None:
    """A byte changed in one frame of fifty: the right answer or a MeshError, no hang, and nothing left behind."""

    async def tale(seed: int) -> str:
        async with City(VIRTUAL, DEVICES, toy.equip(0.1), seed=seed) as city:
            assert isinstance(city.streets, VirtualStreets)
            tamper = _flipping(random.Random(seed), 0.02)
            for a in city.peers:
                for b in city.peers:
                    city.streets.network.weather(a, b, tamper=tamper)
            try:
                assert await STORIES[story](city, 60.0)
                outcome = "right"
            except MeshError as error:
                outcome = type(error).__name__
            assert [] == await city.wait_quiet(40)
            return outcome

    outcomes = Counter(VIRTUAL.run(tale(seed)) for seed in range(40))
    assert outcomes["right"] > 4, outcomes


def test_an_entry_that_stands_still_loses_no_request() -> None:
    """It comes back, forms a new session, and every answer is there, once and in order."""

    async def story() -> list[int]:
        async with City(VIRTUAL, 3, toy.equip(0.1)) as city:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_nap(city, after=3.0, seconds=8.0))
                async with city.serve(0, toy.job(60.0, parts=2, where="elsewhere")) as service:
                    answers = [toy.value_of(a) async for a in service.stream(map(toy.request_of, range(20)))]
            assert [] == await city.wait_quiet(30)
            return answers

    assert [toy.expected(number) for number in range(20)] == VIRTUAL.run(story())


async def _nap(city: City, after: float, seconds: float) -> None:
    await asyncio.sleep(after)
    city.streets.stall(0)
    await asyncio.sleep(seconds)
    city.streets.wake(0)
