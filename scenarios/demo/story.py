"""The main job, start to end: devices meet, share a model, answer frames, lose one of their number, and go on."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.client import Client, connect
from mesh.doors.language import PlanLost, PlanUp, Progress
from mesh.errors import DeadlinePassed, MeshError, NoNode, first_error
from mesh.tensors import Tensors
from scenarios.demo.figures import Tally, Times
from scenarios.demo.fleet import Fleet, Machine
from scenarios.demo.oracle import Oracle
from scenarios.demo.report import DeviceUse, Found, LinkUse, Outcome, PartView, Seen
from scenarios.demo.screen import Screen
from scenarios.demo.sources import Shot
from scenarios.junction.boxes import Box
from scenarios.junction.detectors import Detector
from scenarios.junction.score import Score

__all__ = ["Script", "tell", "wait_met"]

MODEL = "detector"
PARTS = 3

NETWORK = 2.5e8
"""Bytes per second between two of the processes, for the planner: about half of what one hop on an idle machine was
measured to carry, since sending and computing share the processors here."""

_MEETING = 15.0


@dataclass(frozen=True, slots=True)
class Script:
    """What is told.

    Attributes:
        shots: every frame, in order; gone through several times. Where they are a sequence, they hold the truth.
        frames: how many they are.
        size: height and width of each.
        source: where they come from, for people.
    """

    model: Path
    detector: Detector
    shots: Iterable[Shot]
    frames: int
    size: tuple[int, int]
    source: str


async def tell(script: Script, fleet: Fleet, screen: Screen) -> tuple[Outcome, list[list[Box]]]:
    """Tell it; what came of it, and every frame's boxes.

    Args:
        fleet: the first machine is the camera's, which asks and holds no part.

    Raises:
        MeshError: the story could not be told to its end.
    """
    began = time.perf_counter()
    camera = fleet.machines[0]
    seen = await wait_met(fleet, screen.sighting)
    async with connect(camera.socket) as node:
        screen.say(f"Cutting {script.model.name} into segments, and proving each against the whole ...")
        await node.add_model(MODEL, script.model)
        segments = (await node.model(MODEL)).spec["model"]["segments"]
        whole, expected = await asyncio.to_thread(_whole, script, screen)
        before = await _traffic(fleet)
        fleet.look()
        used = {machine.name: machine.cpu for machine in fleet.machines}
        run = _Run(script, fleet, screen, _Cast(fleet, segments), expected)
        await run.through(node)
        links = _links(fleet, before, await _traffic(fleet))
    fleet.look()
    half = run.killed_after
    outcome = Outcome(
        model=script.model.name,
        source=script.source,
        frames=script.frames,
        seen=tuple(seen),
        plans=tuple(run.plans),
        whole=whole,
        before=run.tally.times(0, half),
        after=run.tally.times(half),
        gap=run.tally.longest_gap(half),
        answered=len(run.tally.answered),
        lost=script.frames - len(run.tally.answered),
        twice=run.twice,
        differing=len(run.tally.differing),
        replayed=run.replayed,
        killed=run.killed,
        killed_after=half,
        sessions=len(run.plans),
        devices=tuple(DeviceUse(m.name, m.alive, m.cpu - used[m.name], m.resident) for m in fleet.machines),
        links=tuple(links),
        found=tuple(_found(run.score)),
        seconds=time.perf_counter() - began,
    )
    return outcome, run.boxes


class _Cast:
    """Plans in the words of the demo: devices by name, and what their segments amount to."""

    def __init__(self, fleet: Fleet, segments: Sequence[Mapping[str, Any]]) -> None:
        self._fleet = fleet
        self._segments = segments

    def parts(self, up: PlanUp) -> tuple[PartView, ...]:
        """Those who compute, in the order in which a frame passes through them."""
        return tuple(
            self._part(stage.peer, stage.task) for stage in up.plan.stages if stage.task["first"] < stage.task["last"]
        )

    def _part(self, peer: str, task: Mapping[str, Any]) -> PartView:
        held = self._segments[task["first"] : task["last"]]
        return PartView(
            device=self._fleet.named(peer).name,
            peer=str(peer),
            segments=(task["first"], task["last"]),
            weights=sum(segment["weights"] for segment in held),
            multiply_adds=sum(segment["multiply_adds"] for segment in held),
            predicted=task["seconds"],
        )


class _Run:
    """The frames go through, and half way a device is killed."""

    def __init__(self, script: Script, fleet: Fleet, screen: Screen, cast: _Cast, expected: Sequence[bytes]) -> None:
        self.tally = Tally()
        self.plans: list[tuple[PartView, ...]] = []
        self.boxes: list[list[Box]] = []
        self.replayed = 0
        self.twice = 0
        self.killed = ""
        self.killed_after = script.frames // 2
        self._script = script
        self._fleet = fleet
        self._screen = screen
        self._cast = cast
        self._expected = expected
        self._truth: Iterator[Shot] = iter(script.shots) if isinstance(script.shots, Sequence) else iter(())
        self.score = Score()

    async def through(self, node: Client) -> None:
        """Send every frame and hold every answer against the whole model's."""
        with self._screen.progress("Frames answered", self._script.frames) as step:
            async with node.stream(
                MODEL, parts=PARTS, where="elsewhere", link=NETWORK, backlog=2 * PARTS + 2, report=self._hear
            ) as stream:
                async for answer in stream.answers(self._inputs()):
                    self._take(answer)
                    step(self._standing())
                    if len(self.tally.answered) == self.killed_after:
                        await self._kill()
        if stream.statistics is not None:
            self.twice = max(0, stream.statistics.answered - self._script.frames)

    def _inputs(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        for shot in self._script.shots:
            feeds = self._script.detector.prepare(shot.image)
            self.tally.sent.append(time.perf_counter())
            yield feeds

    def _take(self, answer: Tensors) -> None:
        self.tally.answered.append(time.perf_counter())
        arrays = {name: np.asarray(tensor) for name, tensor in answer.items()}
        number = len(self.boxes)
        if _digest(arrays) != self._expected[number]:
            self.tally.differing.append(number)
        height, width = self._script.size
        self.boxes.append(self._script.detector.decode(arrays, height, width))
        if (shot := next(self._truth, None)) is not None and shot.truth is not None:
            self.score.add(self.boxes[-1], shot.truth, shot.unclear)

    def _standing(self) -> str:
        same = f"{len(self.boxes) - len(self.tally.differing)} bytes alike"
        if not self.score.frames:
            return same
        return f"{same}, precision {self.score.total.precision:.0%}, recall {self.score.total.recall:.0%}"

    async def _kill(self) -> None:
        parts = self.plans[-1]
        victim = self._fleet.named(parts[len(parts) // 2].peer)
        self.killed = victim.name
        await victim.kill()
        self._screen.alarm(f"Killed {victim.name} (SIGKILL), which held a middle part. Frames go on.")

    def _hear(self, event: PlanUp | PlanLost | Progress) -> None:
        match event:
            case PlanUp():
                self.plans.append(self._cast.parts(event))
                self._screen.plan(self.plans[-1], again=len(self.plans) > 1)
            case PlanLost(fault, replayed):
                self.replayed += replayed
                name = self._fleet.named(fault.peer).name if fault.peer else "The session"
                self._screen.alarm(
                    f"{name} is lost ({fault.reason or fault.message}) {replayed} frames are asked again."
                )


async def wait_met(
    fleet: Fleet, hear: Callable[[Seen], None] = lambda _seen: None, within: float = _MEETING
) -> list[Seen]:
    """Wait until every device sees every other one, and would work with it; so many seconds at most.

    Raises:
        MeshError: a node ended.
        DeadlinePassed: they did not all meet.
    """
    began = time.perf_counter()
    seen: list[Seen] = []

    async def look_out(machine: Machine) -> None:
        known: set[str] = set()
        while len(known) < len(fleet.machines) - 1:
            if not machine.alive:
                raise MeshError(f"The node {machine.name} ended at once. It said: {machine.last_words()}")
            for peer in await _in_sight(machine):
                if peer not in known:
                    known.add(peer)
                    seen.append(Seen(machine.name, fleet.named(peer).name, time.perf_counter() - began))
                    hear(seen[-1])
            await asyncio.sleep(0.05)

    try:
        async with asyncio.timeout(within), asyncio.TaskGroup() as tasks:
            for machine in fleet.machines:
                tasks.create_task(look_out(machine))
    except TimeoutError:
        met = ", ".join(f"{pair.device} sees {pair.peer}" for pair in seen) or "nobody sees anybody"
        raise DeadlinePassed(f"The devices did not all meet within {within:g} s: {met}.") from None
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    return seen


async def _in_sight(machine: Machine) -> list[str]:
    try:
        async with connect(machine.socket) as node:
            return [str(peer.peer) for peer in await node.peers() if peer.state == "ready"]
    except NoNode:
        return []  # it is still starting


def _whole(script: Script, screen: Screen) -> tuple[Times, list[bytes]]:
    """What one session over the whole model makes of every frame, and how long it takes."""
    oracle, digests = Oracle(script.model), []
    sent, answered = [], []
    with screen.progress("The whole model, in one session", script.frames) as step:
        for shot in script.shots:
            feeds = script.detector.prepare(shot.image)
            sent.append(sum(oracle.seconds))
            digests.append(_digest(oracle.answer(feeds)))
            answered.append(sum(oracle.seconds))
            step("")
    return Times.of(sent, answered), digests


def _digest(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """SHA-256 over every output: its name, dtype, shape and bytes."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


Traffic = dict[str, dict[str, tuple[int, int]]]
"""Bytes sent to and received from each peer, by device."""


async def _traffic(fleet: Fleet) -> Traffic:
    counted: Traffic = {}
    for machine in fleet.machines:
        if machine.alive:
            async with connect(machine.socket) as node:
                traffic = (await node.status()).traffic
            counted[machine.name] = {fleet.named(peer).name: (t.sent, t.received) for peer, t in traffic.items()}
    return counted


def _links(fleet: Fleet, before: Traffic, after: Traffic) -> list[LinkUse]:
    """Bytes from each device to each other one. Those of a device that is gone are told by whoever heard them."""

    def crossed(counted: Traffic, source: str, target: str) -> int:
        if source in after:
            return counted[source].get(target, (0, 0))[0]
        return counted[target].get(source, (0, 0))[1] if target in after else 0

    names = [machine.name for machine in fleet.machines]
    links = [LinkUse(a, b, crossed(after, a, b) - crossed(before, a, b)) for a in names for b in names if a != b]
    return [link for link in links if link.bytes]


def _found(score: Score) -> list[Found]:
    return [
        Found(label, tally.precision, tally.recall, tally.found + tally.missed)
        for label, tally in sorted(score.labels.items())
    ]
