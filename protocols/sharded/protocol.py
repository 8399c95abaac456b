"""Sharded inference: a model cut across devices, byte for byte the answer of the whole.

Every device hands its part's outcome to the next one down the line, and the last one answers the device that asked.
Several requests are in the line at once, each at another device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mesh.blobs import BlobRef
from mesh.errors import NoPlan
from mesh.group import BUDGET, Group
from mesh.ids import Rank
from mesh.protocol import Candidate, Device, Plan, Protocol, Stage
from protocols.sharded.entry import Pace, feed_line
from protocols.sharded.line import Load, Part, work_line
from protocols.sharded.planner import LINK, Layout, Machine, lay_out, pieces_of
from protocols.sharded.segments import ModelInfo
from protocols.sharded.words import VOCABULARY

__all__ = ["Sharded", "ShardedSpec", "Slice"]

Where = Literal["here", "elsewhere", "anywhere"]


@dataclass(frozen=True, slots=True)
class ShardedSpec:
    """Which model, and how it may be spread.

    Attributes:
        model: the model's segments; see `protocols.sharded.prepare`.
        blobs: where the bytes of each segment are to be had under which name; the asking device has them all.
        parts: devices that are to hold a part each. Fewer only where fewer are there; 0 takes as many as pay.
        where: which devices may hold parts: the one that asks, the others, or any. The others are tried first and
            the asking one added if they cannot do it, when it says "elsewhere".
        link: bytes per second that the network carries between any two devices; only planning relies on it. More
            makes cuts cheap where much crosses them. The default is 100 Mbit/s.
        window: requests in the line at once; 0 takes two for each device. More hides the network's delay better, and
            makes each device hold more.
        patience: seconds that one request may stay with one device before that device counts as lost.
        setup: seconds until every device must have fetched and loaded its part.
    """

    model: ModelInfo
    blobs: tuple[BlobRef, ...]
    parts: int = 0
    where: Where = "anywhere"
    link: float = LINK
    window: int = 0
    patience: float = 10.0
    setup: float = 120.0


@dataclass(frozen=True, slots=True)
class Slice:
    """The segments first <= i < last, held by one device; none at a rank 0 that only feeds the line.

    Attributes:
        memory: bytes that holding and running them takes, as predicted.
        seconds: that computing them takes for each request, as predicted.
    """

    first: int
    last: int
    memory: int = 0
    seconds: float = 0.0


class Sharded(Protocol[ShardedSpec, Slice, None]):
    """A service: it answers what its feed brings, until the feed is over.

    Args:
        load: loads consecutive segments.
        measure: this device's speed in multiply-adds per second.
        memory: bytes that a part may take here; 0 sets no limit.
    """

    name = "sharded"
    spec = ShardedSpec
    task = Slice
    vocabulary = VOCABULARY
    promises = (
        "An answer is byte for byte that of the whole model in one session, on devices of one kind of processor.",
        "Each device sees what crosses the cut before its part; much of the input can be made out from that.",
        "Each device gets its own segments of the model and can keep them.",
        "Every member of the session learns the plan: who takes part, and the model's shapes and costs.",
        "Not promised: that a device computes honestly. A wrong answer from a device that lies is not noticed.",
    )

    def __init__(self, load: Load, measure: Callable[[], Awaitable[float]], *, memory: int = 0) -> None:
        self._load = load
        self._measure = measure
        self._memory = memory

    async def tune(self) -> float:
        return await self._measure()

    def alone(self, spec: ShardedSpec) -> bool:
        return spec.where == "here"

    def plan(self, spec: ShardedSpec, candidates: Sequence[Candidate]) -> Plan[ShardedSpec, Slice]:
        myself, others = candidates[0], candidates[1:]
        choices = {
            "here": ([myself],),
            "elsewhere": (list(others), list(candidates)),
            "anywhere": (list(candidates),),
        }[spec.where]
        trouble: NoPlan | None = None
        for crew in choices:
            try:
                layout = _laid_out(spec, crew, entry=0 if crew and crew[0] is myself else None)
            except NoPlan as error:
                trouble = error
            else:
                return _staged(spec, myself, crew, layout)
        raise trouble or NoPlan("No device may hold a part.")

    def consent(self, plan: Plan[ShardedSpec, Slice], rank: Rank) -> str | None:
        return _model_trouble(plan.spec) or _line_trouble(plan) or self._memory_trouble(plan, rank)

    def _memory_trouble(self, plan: Plan[ShardedSpec, Slice], rank: Rank) -> str | None:
        mine = plan.stages[rank].task
        needed = max(sum(ref.size for ref in plan.spec.blobs[mine.first : mine.last]), mine.memory)
        if self._memory and needed > self._memory:
            return f"My part takes {needed / 1e6:.0f} MB, and I lend {self._memory / 1e6:.0f} MB."
        return None

    async def run(self, plan: Plan[ShardedSpec, Slice], group: Group, device: Device) -> None:
        spec, mine = plan.spec, plan.stages[group.rank].task
        began = asyncio.get_running_loop().time()
        part = await Part.loaded(
            spec.model,
            spec.blobs,
            (mine.first, mine.last),
            load=self._load,
            blobs=device.blobs,
            source=group.roster[0],
        )
        try:
            if group.rank == 0:
                outputs = spec.model.crossing(len(spec.model.segments))
                await feed_line(group, part, pace_of(plan), outputs=outputs, feed=device.feed, report=device.report)
            else:
                after = Rank((group.rank + 1) % group.size)
                await work_line(group, part, after=after, ready=asyncio.get_running_loop().time() - began)
        finally:
            part.close()


def pace_of(plan: Plan[ShardedSpec, Slice]) -> Pace:
    """How much the plan lets into the line, and how long anything may take.

    All that is in the line may come to lie before one slow device, and must not be more than may be sent unasked.
    """
    spec = plan.spec
    heaviest = max(0, *(spec.model.crossing_bytes(cut) for cut in range(len(spec.model.segments) + 1)))
    most = max(1, BUDGET // (2 * heaviest + 1))
    return Pace(min(spec.window or 2 * len(plan.stages), most), spec.patience, spec.setup)


def _model_trouble(spec: ShardedSpec) -> str | None:
    segments, values = spec.model.segments, len(spec.model.values)
    if not segments or [ref.digest for ref in spec.blobs] != [segment.digest for segment in segments]:
        return "The plan's blobs are not the model's segments."
    if any(not 0 <= place < values for segment in segments for place in segment.entering):
        return "A segment of the plan takes a value that the plan does not name."
    return None


def _line_trouble(plan: Plan[ShardedSpec, Slice]) -> str | None:
    slices, pace = [stage.task for stage in plan.stages], pace_of(plan)
    bounds = [0, *(part.last for part in slices)]
    if [part.first for part in slices] != bounds[:-1] or bounds[-1] != len(plan.spec.model.segments):
        return "The parts of the plan do not make one whole model, one after the other."
    if any(part.first >= part.last for part in slices[1:]) or slices[0].last < 0:
        return "The plan has a device in it that does nothing."
    if not (1 <= pace.window <= 1024 and 0 < pace.patience <= 3600 and 0 < pace.setup <= 3600):
        return "The plan asks for a window over 1024 requests, or for patience over an hour."
    return None


def _laid_out(spec: ShardedSpec, crew: Sequence[Candidate], entry: int | None) -> Layout:
    machines = [Machine(candidate.memory, candidate.speed, spec.link) for candidate in crew]
    most = min(spec.parts or len(crew), len(crew), len(spec.model.segments))
    return lay_out(
        pieces_of(spec.model),
        machines,
        leaving=spec.model.crossing_bytes(len(spec.model.segments)),
        entry=entry,
        minimum_parts=most if spec.parts else 1,
        maximum_parts=most,
    )


def _staged(
    spec: ShardedSpec, myself: Candidate, crew: Sequence[Candidate], layout: Layout
) -> Plan[ShardedSpec, Slice]:
    stages = [
        Stage(crew[share.machine].peer, "part", Slice(share.first, share.last, share.memory, share.compute))
        for share in layout.shares
    ]
    if stages[0].peer != myself.peer:
        stages.insert(0, Stage(myself.peer, "entry", Slice(0, 0)))
    return Plan(Sharded.name, spec, tuple(stages), quorum=len(stages))
