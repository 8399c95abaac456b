"""What devices do together, told on every tier."""

from __future__ import annotations

import pytest

from mesh.errors import BadInput, NoPlan
from mesh.protocol import Job
from mesh.service import Up
from protocols.echo import EchoSpec
from scenarios.city import TLS, VIRTUAL, City, Tier
from tests.harness import toy

TIERS = pytest.mark.parametrize("tier", [VIRTUAL, TLS], ids=lambda tier: tier.name)


@TIERS
def test_echo_is_heard_by_everyone(tier: Tier) -> None:
    """Rank 0 hears every device's word, in rank order."""

    async def story() -> tuple[str, ...]:
        async with City(tier, 4, toy.equip(0.01)) as city:
            return await city.submit(0, Job("echo", EchoSpec("hello")))

    assert tuple(f"hello from {rank}" for rank in range(4)) == tier.run(story())


@TIERS
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_a_cut_model_answers_as_the_whole_does(tier: Tier, parts: int) -> None:
    """Cutting a model across devices changes nothing in its answers, nor in their order."""
    numbers = list(range(12))

    async def story() -> tuple[list[int], list[str]]:
        async with City(tier, 4, toy.equip(0.01)) as city:
            async with city.serve(0, toy.job(parts=parts, where="elsewhere")) as service:
                answers = [toy.value_of(a) async for a in service.stream(map(toy.request_of, numbers))]
            return answers, await city.wait_quiet(5)

    answers, left = tier.run(story())
    assert [toy.expected(number) for number in numbers] == answers
    assert [] == left


@TIERS
def test_a_device_alone_needs_nobody(tier: Tier) -> None:
    """With everything here, no other device is asked to hold a part."""

    async def story() -> int:
        async with City(tier, 2, toy.equip(0.01)) as city, city.serve(0, toy.job(where="here")) as service:
            return toy.value_of(await service.ask(toy.request_of(5)))

    assert toy.expected(5) == tier.run(story())


def test_a_job_for_one_device_is_nobody_elses_business() -> None:
    """What is to run here alone sends no device a word, not even a question."""

    async def story() -> list[str]:
        async with City(VIRTUAL, 3, toy.equip(0.01)) as city, city.serve(0, toy.job(where="here")) as service:
            await service.ask(toy.request_of(5))
            return [str(peer) for peer in city.nodes[0].traffic()]

    assert [] == VIRTUAL.run(story())


@TIERS
def test_a_lost_device_costs_no_answer(tier: Tier) -> None:
    """Kill the device that holds a middle part: all answers come, in order, each once, and unchanged."""
    numbers = list(range(40))

    async def story() -> tuple[list[int], list[object]]:
        news: list[object] = []
        async with City(tier, 4, toy.equip(0.02)) as city:
            async with city.serve(0, toy.job(parts=3, where="elsewhere"), report=news.append) as service:
                answers = []
                async for answer in service.stream(map(toy.request_of, numbers)):
                    answers.append(toy.value_of(answer))
                    if len(answers) == 10:
                        plan = next(event.plan for event in news if isinstance(event, Up))
                        city.streets.kill(city.peers.index(plan.roster[2]))
        return answers, [event for event in news if isinstance(event, Up)]

    answers, sessions = tier.run(story())
    assert [toy.expected(number) for number in numbers] == answers
    assert 2 == len(sessions)


@TIERS
def test_a_request_at_fault_is_refused_and_the_service_goes_on(tier: Tier) -> None:
    """A bad request gets a sentence; the next one gets its answer from the same session."""

    async def story() -> tuple[str, int, int]:
        async with City(tier, 3, toy.equip(0.01)) as city:
            async with city.serve(0, toy.job(parts=2, where="elsewhere")) as service:
                with pytest.raises(BadInput) as refusal:
                    await service.ask({})
                answer = toy.value_of(await service.ask(toy.request_of(7)))
                return str(refusal.value), answer, service.statistics().sessions

    sentence, answer, sessions = tier.run(story())
    assert "'v0' is missing" in sentence
    assert toy.expected(7) == answer
    assert 1 == sessions


@TIERS
def test_what_nobody_can_hold_is_refused_at_once(tier: Tier) -> None:
    """When the devices lack memory, the asker is told so, and nothing is left behind."""

    async def story() -> list[str]:
        def poor(device: int) -> object:
            from dataclasses import replace

            return replace(toy.equip(0.01)(device), memory=50)

        async with City(tier, 3, poor) as city:
            with pytest.raises(NoPlan):
                async with city.serve(0, toy.job()):
                    pass
            return await city.wait_quiet(15)

    assert [] == tier.run(story())
