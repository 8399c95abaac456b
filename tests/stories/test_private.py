"""A model and an input that stay secret from the three devices that compute, over real sockets and real boxes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psutil
import pytest

from mesh.errors import MeshError, NoPlan
from mesh.group import Group
from mesh.ids import Rank
from mesh.messages import pack
from mesh.protocol import Device, Means, Plan
from mesh.service import Up
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.asking import Computed
from protocols.smpc.protocol import Part, Private
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.spec import PrivateSpec
from scenarios.city import TLS, VIRTUAL, City, Schedule, suffer
from tests.harness.private import Case, equip, lenet, mlp

Secrets = pytest.mark.parametrize("secret", ["input", "model", "both"])


async def _answers(city: City, case: Case, inputs: Sequence[Any], deadline: float = 60.0, **spec: Any) -> list[Any]:
    async with city.serve(0, case.job(deadline, **spec)) as service:
        stream = service.stream(tensors_of({"x": x}) for x in inputs)
        return [arrays_of(answer)["y"] async for answer in stream]


def _close(case: Case, inputs: Sequence[Any], answers: Sequence[Any]) -> None:
    assert len(inputs) == len(answers)
    for x, answer in zip(inputs, answers, strict=True):
        assert np.float32 == answer.dtype
        np.testing.assert_allclose(case.expected(x), answer, atol=1e-3)


@pytest.mark.parametrize("network", [mlp, lenet])
def test_three_devices_compute_what_the_runtime_does(network: Callable[[], Case]) -> None:
    """To within a thousandth, in order, and nothing is left behind."""
    case = network()
    inputs = case.inputs(4)

    async def story() -> tuple[list[Any], list[str]]:
        async with City(TLS, 4, equip(case)) as city:
            return await _answers(city, case, inputs), await city.wait_quiet(10)

    answers, left = TLS.run(story())
    _close(case, inputs, answers)
    assert [] == left


def test_what_an_answer_took_is_told() -> None:
    """Each party says its seconds, bytes and rounds; what is asked changes neither bytes nor rounds."""
    case = mlp()
    news: list[Any] = []

    async def story() -> None:
        async with City(TLS, 4, equip(case)) as city, city.serve(0, case.job(), report=news.append) as service:
            for x in case.inputs(2):
                await service.ask(tensors_of({"x": x}))

    TLS.run(story())
    told = [event for event in news if isinstance(event, Computed)]
    assert 6 == len(told)
    for peer in {event.peer for event in told}:
        assert 1 == len({(event.sent, event.rounds) for event in told if event.peer == peer})
    assert all(event.sent > 0 and event.seconds > 0 for event in told)


@Secrets
def test_whatever_is_secret_the_answer_is_the_same(secret: str) -> None:
    """What is not secret goes in clear, and is computed with as it is."""
    case = mlp()
    inputs = case.inputs(2)

    async def story() -> list[Any]:
        async with City(TLS, 4, equip(case)) as city:
            return await _answers(city, case, inputs, secret=secret)

    _close(case, inputs, TLS.run(story()))


def test_the_asking_device_computes_where_there_are_but_two_others() -> None:
    """It is then one of the three, and talks to itself without any network."""
    case = mlp()
    inputs = case.inputs(2)

    async def story() -> tuple[list[Any], list[str]]:
        async with City(TLS, 3, equip(case)) as city:
            return await _answers(city, case, inputs), await city.wait_quiet(10)

    answers, left = TLS.run(story())
    _close(case, inputs, answers)
    assert [] == left


def test_a_lost_party_costs_no_answer_and_leaves_no_box() -> None:
    """Kill one of the three midway: the others form anew, and every answer comes, in order."""
    case = mlp()
    inputs = case.inputs(12)

    async def story() -> tuple[list[Any], list[Any], list[str], list[Any]]:
        news: list[Any] = []
        async with City(TLS, 4, equip(case)) as city:
            async with city.serve(0, case.job(), report=news.append) as service:
                answers = []
                async for answer in service.stream(tensors_of({"x": x}) for x in inputs):
                    answers.append(arrays_of(answer)["y"])
                    if len(answers) == 4:
                        plan = next(event.plan for event in news if isinstance(event, Up))
                        city.streets.kill(city.peers.index(plan.roster[2]))
            return answers, [event for event in news if isinstance(event, Up)], await city.wait_quiet(15), boxes()

    answers, sessions, left, still = TLS.run(story())
    _close(case, inputs, answers)
    assert 2 <= len(sessions)
    assert ([], []) == (left, still)


def test_a_box_that_dies_costs_no_answer() -> None:
    """Its device is well, and may be one of the next three."""
    case = mlp()
    inputs = case.inputs(8)

    async def story() -> tuple[list[Any], list[str]]:
        async with City(TLS, 3, equip(case)) as city:
            async with city.serve(0, case.job()) as service:
                answers = []
                async for answer in service.stream(tensors_of({"x": x}) for x in inputs):
                    answers.append(arrays_of(answer)["y"])
                    if len(answers) == 3:
                        boxes()[0].kill()
            return answers, await city.wait_quiet(15)

    answers, left = TLS.run(story())
    _close(case, inputs, answers)
    assert ([], []) == (left, boxes())


@pytest.mark.parametrize("seed", range(4))
def test_any_fault_at_any_moment_is_survived(seed: int) -> None:
    """Law I and law II: right answers or a mesh error, and then nothing is left, no box either."""
    case = mlp()
    inputs = case.inputs(6)
    schedule = Schedule.drawn(seed, devices=4, horizon=2.5)

    async def story() -> tuple[list[Any] | None, list[str]]:
        async with City(TLS, 4, equip(case), seed=seed) as city, asyncio.TaskGroup() as tasks:
            faults = tasks.create_task(suffer(city.streets, schedule, 4))
            try:
                answers = await _answers(city, case, inputs, deadline=8.0)
            except MeshError:
                answers = None
            await faults
            return answers, await city.wait_quiet(20)

    answers, left = TLS.run(story())
    if answers is not None:
        _close(case, inputs, answers)
    assert ([], []) == (left, boxes()), schedule


def test_a_party_that_stands_still_is_found_out() -> None:
    """With nobody in its place the job fails in seconds, with a mesh error, and no box stays behind."""
    case = mlp()
    question = tensors_of({"x": case.inputs()[0]})

    async def story() -> tuple[list[str], list[Any]]:
        async with City(TLS, 3, equip(case)) as city:
            async with city.serve(0, case.job(deadline=5.0)) as service:
                await service.ask(question)
                city.streets.stall(1)
                with pytest.raises(MeshError):
                    await service.ask(question)
            return await city.wait_quiet(15), boxes()

    assert ([], []) == TLS.run(story())


def test_two_devices_of_one_owner_are_one_too_few() -> None:
    """Nobody is asked to compute, and the sentence says whose devices are in sight."""
    case = mlp()

    async def story() -> list[str]:
        owners = {0: "ann", 1: "bob", 2: "bob", 3: "ann"}
        async with City(VIRTUAL, 4, equip(case, owners)) as city:
            with pytest.raises(NoPlan, match="ann, bob"):
                async with city.serve(0, case.job()):
                    pass
            return await city.wait_quiet(15)

    assert [] == VIRTUAL.run(story())


class Overheard(Private):
    """The protocol, with an ear at what this rank receives."""

    def __init__(self, means: Means, heard: list[bytes]) -> None:
        super().__init__(means)
        self._heard = heard

    async def run(self, plan: Plan[PrivateSpec, Part], group: Group, device: Device) -> None:
        if group.rank:
            group = _Ear(group, self._heard)
            self._heard.append(repr(plan).encode())
        await super().run(plan, group, device)


class _Ear(Group):
    def __init__(self, group: Group, heard: list[bytes]) -> None:
        super().__init__(
            group.roster,
            group.rank,
            inbox=group._inbox,
            channels=group._channels,
            scope=group.scope,
            agreed=group.agreed,
        )
        self._heard = heard

    def within(self, *scope: str | int) -> Group:
        return _Ear(super().within(*scope), self._heard)

    async def receive(self, sender: Rank, kind: type[Any]) -> Any:
        message = await super().receive(sender, kind)
        self._heard.append(pack(message))
        return message


@Secrets
def test_no_party_is_sent_a_piece_of_what_is_secret(secret: str) -> None:
    """No 16 bytes of it in a row, whether as floats or as ring elements; what is no secret is there to be found."""
    case = mlp()
    inputs = case.inputs(2)
    heard: list[bytes] = []

    async def story() -> None:
        async with City(TLS, 4, equip(case, protocol=lambda means: Overheard(means, heard))) as city:
            await _answers(city, case, inputs, secret=secret)

    TLS.run(story())
    said = {data[at : at + 16] for data in heard for at in range(len(data) - 15)}
    weights = np.frombuffer(case.weights, "<f4")
    for name, values in (("input", np.concatenate(inputs).reshape(-1)), ("model", weights)):
        found = any(form[at : at + 16] in said for form in _forms(values) for at in range(len(form) - 15))
        assert (secret not in (name, "both")) == found, name


def _forms(values: Any) -> list[bytes]:
    return [values.tobytes(), values.astype(np.float64).tobytes(), FixedPoint().encode(values).tobytes()]


def boxes() -> list[psutil.Process]:
    """This process's children that are boxes."""
    return [child for child in psutil.Process().children(recursive=True) if _is_box(child)]


def _is_box(process: psutil.Process) -> bool:
    try:
        return any("box_inside" in word for word in process.cmdline())
    except psutil.Error:  # it went while we looked
        return False
