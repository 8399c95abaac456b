"""What sharing a model costs and gains: four node processes against one session, turn by turn, in one run.

    python -m tests.bench.pipeline [--frames 120] [--rounds 5] [--parts 3] [--model FILE.onnx]

Prints one JSON line. Processor seconds are those of every process that has a hand in it: on the mesh's side the camera,
the devices that hold parts, and this program, which stands for the one that feeds the camera's frames in.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mesh.client import Client, connect
from scenarios.demo.fleet import Fleet
from scenarios.demo.oracle import Oracle
from scenarios.demo.sources import junction
from scenarios.demo.story import NETWORK, wait_met
from scenarios.junction.detectors import DEFAULT_MODEL, ports, recognise

MODEL = "detector"


@dataclass(frozen=True, slots=True)
class Round:
    """Frames per second and processor seconds per frame."""

    rate: float
    cpu: float


def whole(model: Path, feeds: list[dict[str, np.ndarray]]) -> Round:
    """One session in this process."""
    oracle = Oracle(model)
    oracle.answer(feeds[0])
    began, cpu = time.perf_counter(), time.process_time()
    for inputs in feeds:
        oracle.answer(inputs)
    return Round(len(feeds) / (time.perf_counter() - began), (time.process_time() - cpu) / len(feeds))


async def shared(node: Client, fleet: Fleet, parts: int, feeds: list[dict[str, np.ndarray]]) -> Round:
    """The same frames, through the mesh."""
    async with node.stream(MODEL, parts=parts, where="elsewhere", link=NETWORK, backlog=2 * parts + 2) as stream:
        await stream.ask(feeds[0])
        fleet.look()
        used = sum(machine.cpu for machine in fleet.machines) + time.process_time()
        began = time.perf_counter()
        async for _ in stream.answers(iter(feeds)):
            pass
        seconds = time.perf_counter() - began
        fleet.look()
        cpu = sum(machine.cpu for machine in fleet.machines) + time.process_time() - used
    return Round(len(feeds) / seconds, cpu / len(feeds))


async def measured(model: Path, frames: int, rounds: int, parts: int) -> dict[str, object]:
    """Turn by turn, so that whatever else the machine does meets both."""
    detector = recognise(*ports(model))
    feeds = [dict(detector.prepare(shot.image)) for shot in junction(3, frames)]
    alone: list[Round] = []
    together: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as folder:
        names = ["camera", *(f"part{number}" for number in range(parts))]
        async with Fleet(names, Path(folder)) as fleet:
            await wait_met(fleet)
            async with connect(fleet.machines[0].socket) as node:
                await node.add_model(MODEL, model)
                for _ in range(rounds):
                    alone.append(whole(model, feeds))
                    together.append(await shared(node, fleet, parts, feeds))
    ratios = [b.cpu / a.cpu for a, b in zip(alone, together, strict=True)]
    gains = [b.rate / a.rate for a, b in zip(alone, together, strict=True)]
    return {
        "bench": "pipeline",
        "model": model.name,
        "parts": parts,
        "frames": frames,
        "rounds": rounds,
        "whole_fps": _spread([a.rate for a in alone]),
        "mesh_fps": _spread([b.rate for b in together]),
        "whole_cpu_s_per_frame": _spread([a.cpu for a in alone]),
        "mesh_cpu_s_per_frame": _spread([b.cpu for b in together]),
        "cpu_ratio": _spread(ratios),
        "rate_ratio": _spread(gains),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {name: round(figure, 6) for name, figure in _figures(values).items()}


def _figures(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", type=int, default=3)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    given = parser.parse_args()
    json.dump(asyncio.run(measured(given.model, given.frames, given.rounds, given.parts)), sys.stdout)
    print()


if __name__ == "__main__":
    main()
