"""Training jobs, for programs: what a file describes is trained by devices that see none of the data.

    async with mesh.connect() as node:
        outcome = await train(node, Path("risk.toml"), report=print)
        Path("risk.onnx").write_bytes(outcome.files[".onnx"])

The same call again, after whatever went wrong, goes on from the last checkpoint.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh.client import Client
from mesh.doors.language import PlanLost, PlanUp, Progress
from mesh.errors import BadInput
from mesh.plugins import load_workshop
from mesh.tensors import Tensor, Tensors
from mesh.workshop import TrainingWorkshop

__all__ = ["Outcome", "train"]

PROTOCOL = "private-training"

Hear = Callable[[PlanUp | PlanLost | Progress], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training job.

    Attributes:
        name: of the job.
        steps: done, all sessions together.
        losses: those that were told in this run, each with its step.
        files: the model, by suffix, if this device was told it.
        served: the name under which this device can have the model computed, if it stayed with the three as shares.
        sessions: that it took in this run.
    """

    name: str
    steps: int
    losses: tuple[tuple[int, float], ...]
    files: Mapping[str, bytes]
    served: str
    sessions: int


async def train(node: Client, recipe: Path, *, deadline: float = 3600.0, report: Hear = lambda _event: None) -> Outcome:
    """Train what a TOML file describes, from its beginning or from where it stopped, to its end.

    Args:
        deadline: seconds for all of it.
        report: hears of plans made and lost, and of every few steps: `Progress` named "Resumed" and "Advanced".

    Raises:
        BadInput: the file, or somebody's data, cannot be used so; the message says whose and why.
        NoPlan: an owner, a receiver or three parties of different owners are not in sight, or say no.
        MeshError: it began, and failed: the same again goes on from the last checkpoint.
    """
    workshop = load_workshop(PROTOCOL)
    if not isinstance(workshop, TrainingWorkshop):
        raise BadInput(f"What is installed for {PROTOCOL} makes no models.")
    prepared = await asyncio.to_thread(workshop.prepare, recipe, name="", options={})
    manifest = prepared.manifest
    await node.put_model(prepared)
    async with node.stream(manifest.name, deadline=deadline, backlog=1, report=report, progress=True) as stream:
        answer = await stream.ask({"until": Tensor("int64", (), memoryview(struct.pack("<q", -1)))})
    files, served = await asyncio.to_thread(workshop.made, manifest, answer)
    if served is not None:
        await node.put_model(served)
    return Outcome(
        name=str(manifest.spec["name"]),
        steps=_numbers(answer, "step", "q")[0],
        losses=tuple(zip(_numbers(answer, "loss_steps", "q"), _numbers(answer, "losses", "d"), strict=True)),
        files=files,
        served=served.manifest.name if served is not None else "",
        sessions=stream.statistics.sessions if stream.statistics else 1,
    )


def _numbers(answer: Tensors, name: str, code: str) -> tuple[int, ...]:
    data = answer[name].data
    return struct.unpack(f"<{data.nbytes // 8}{code}", data)
