"""The two laws for private jobs among several people, in memory: hundreds of schedules of faults, in virtual time.

The program has no step, so that parties need no process and no links of their own; everything around it is as it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mesh.blobs import BlobRef
from mesh.errors import BadInput, MeshError
from mesh.group import Group
from mesh.protocol import ANYONE, Boxes, Device, Job, Means, Permits
from mesh.store.memory import Memory
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.dealing import pack_weights
from protocols.smpc.program.steps import Port, Program, Tensor
from protocols.smpc.protocol import Private
from protocols.smpc.roles import PrivatePlan
from protocols.smpc.spec import PrivateSpec
from scenarios.city import VIRTUAL, City, Equipment, Schedule, suffer
from tests.harness.private import PlainBox
from tests.harness.vault import PlainVault

DEVICES = 6
REQUESTS = 6
X, W = Tensor(0, "number", (2,)), Tensor(1, "number", (3,))
PROGRAM = Program(17, (Port("x", X),), (Port("w", W),), (), (), (Port("y", X), Port("v", W)))
WEIGHTS = pack_weights(PROGRAM.weights, {"w": np.array([1.5, -2.5, 3.5], np.float32)})
REF = BlobRef.of(WEIGHTS)


class Plain(Private):
    """The protocol with boxes that are none."""

    async def run(self, plan: PrivatePlan, group: Group, device: Device) -> None:
        boxes = Boxes(Path(), "127.0.0.1", lambda _peer: ("127.0.0.1",))
        await super().run(plan, group, replace(device, boxes=boxes))

    def _box(self) -> Any:
        return PlainBox(0.1)


def equip(device: int) -> Equipment:
    """Device 1 lends the model; all the others may be told, and may compute."""
    store = Memory()
    if device == 1:
        store.add(WEIGHTS)

    def model(name: str) -> dict[str, Any]:
        if device != 1 or name != "m":
            raise BadInput("none")
        built: dict[str, Any] = msgspec.to_builtins({"program": PROGRAM, "weights": REF})
        return built

    permits = Permits(offers=(("m", ANYONE),) if device == 1 else (), receives=(ANYONE,))
    means = Means(owner=f"owner {device}", permits=permits, model=model, vault=PlainVault())
    return Equipment([Plain(means)], owner=f"owner {device}", store=store)


async def told(city: City, deadline: float) -> bool:
    """Who asks and one other are told; whether who asks is told the truth."""
    receiver = ("me", str(city.peers[2]))
    return await _asked(city, deadline, ["y", "v"], receiver=receiver, name="a")


async def kept(city: City, deadline: float) -> bool:
    """The answers stay with the three, and go through the same program once more."""
    first = await _asked(city, deadline, [], receiver="shares", name="a")
    return first and await _asked(city, deadline, ["y", "v"], held={"x": "a:y"})


async def _asked(city: City, deadline: float, outputs: list[str], **changes: Any) -> bool:
    spec = PrivateSpec(PROGRAM, lender=str(city.peers[1]), model="m", patience=8.0, setup=20.0)
    inputs = [np.array([number, -number], np.float32) for number in range(REQUESTS)]
    given: list[Any] = [np.array(number) for number in range(REQUESTS)] if "held" in changes else inputs
    job = Job("private", replace(spec, **changes), deadline)
    async with city.serve(0, job) as service:
        answers = [arrays_of(answer) async for answer in service.stream(tensors_of({"x": x}) for x in given)]
    expected = [{"y": x, "v": np.array([1.5, -2.5, 3.5], np.float32)} for x in inputs]
    return len(answers) == REQUESTS and all(
        answer.keys() == set(outputs) and all(np.array_equal(truth[name], answer[name]) for name in outputs)
        for truth, answer in zip(expected, answers, strict=True)
    )


STORIES = {"told": told, "kept": kept}


@pytest.mark.parametrize("batch", range(2))
@pytest.mark.parametrize("story", STORIES)
def test_any_fault_at_any_moment_is_survived(story: str, batch: int) -> None:
    """Law I and law II, whoever is killed, stalled or cut off: asker, lender, party or receiver."""
    outcomes: Counter[str] = Counter()
    for seed in range(batch * 40, (batch + 1) * 40):
        schedule = Schedule.drawn(seed, devices=DEVICES, horizon=2.0)
        outcome, left = VIRTUAL.run(_judged(story, schedule))
        assert [] == left, f"{schedule} left something behind"
        outcomes[outcome] += 1
    assert outcomes["right"] > 10, outcomes


async def _judged(story: str, schedule: Schedule) -> tuple[str, list[str]]:
    async with City(VIRTUAL, DEVICES, equip, seed=schedule.seed) as city:
        async with asyncio.TaskGroup() as tasks:
            faults = tasks.create_task(suffer(city.streets, schedule, DEVICES))
            try:
                assert await STORIES[story](city, 60.0), f"a wrong answer under {schedule}"
                outcome = "right"
            except MeshError as error:
                outcome = type(error).__name__
            await faults
        return outcome, await city.wait_quiet(30)
