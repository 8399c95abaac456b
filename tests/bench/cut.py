"""What cutting costs: the segments one by one against the whole, and the time to plan. Prints one line of JSON.

    python tests/bench/cut.py [MODEL.onnx ...]

Without a model, a residual network of forty convolutions is made up.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from protocols.runtimes.models import pack
from protocols.runtimes.onnx import Part, load
from protocols.sharded.graph import optimise
from protocols.sharded.planner import Machine, Piece, lay_out, pieces_of
from protocols.sharded.prepare import prepare, sample_of

ROUNDS = 30


def made_up() -> bytes:
    generator = np.random.default_rng(0)
    nodes, weights, source = [], [], "x"
    for layer in range(40):
        shape = (32, 3 if layer == 0 else 32, 3, 3)
        weight = generator.standard_normal(shape).astype(np.float32) / 17
        weights.append(numpy_helper.from_array(weight, f"w{layer}"))
        nodes.append(helper.make_node("Conv", [source, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        source = f"r{layer}"
        if layer % 2:
            nodes.append(helper.make_node("Add", [source, f"r{layer - 1}"], [f"a{layer}"]))
            source = f"a{layer}"
    first = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 64, 64])
    last = helper.make_tensor_value_info(source, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "made up", [first], [last], weights)
    return pack(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def cutting(source: bytes) -> dict[str, Any]:
    began = time.perf_counter()
    prepared = prepare(source)
    preparing = time.perf_counter() - began
    info = prepared.info
    model = optimise(source)
    whole = load([pack(model)])
    count = len(prepared.blobs)
    thirds = lay_out(
        pieces_of(info), [Machine(2**40, info.speed, 1e12)] * 3, minimum_parts=min(3, count), maximum_parts=3
    )
    ways = {
        "whole": [whole],
        "joined": [load(prepared.blobs, keep=info.crossing(count))],
        "three_parts": [
            load(prepared.blobs[share.first : share.last], keep=info.crossing(share.last)) for share in thirds.shares
        ],
        "all_segments": [load([blob], keep=info.crossing(at + 1)) for at, blob in enumerate(prepared.blobs)],
    }
    feeds = sample_of(model)

    def run(parts: Sequence[Part]) -> None:
        carried: dict[str, NDArray[Any]] = dict(feeds)
        for part in parts:
            carried |= part.run({name: carried[name] for name in part.inputs})

    for parts in ways.values():
        run(parts)
    # In turn, and compared within each turn: other work on this machine slows all of them alike.
    rounds = [{name: seconds(partial(run, parts)) for name, parts in ways.items()} for _ in range(ROUNDS)]
    ratios = {
        f"{name}_over_whole": round(statistics.median(turn[name] / turn["whole"] for turn in rounds), 3)
        for name in ("joined", "three_parts", "all_segments")
    }
    return {
        "segments": count,
        "nodes": len(model.graph.node),
        "multiply_adds": info.multiply_adds,
        "prepare_s": round(preparing, 3),
        "whole_ms": round(1e3 * statistics.median(turn["whole"] for turn in rounds), 3),
        **ratios,
        "largest_crossing_kB": round(max(info.crossing_bytes(cut) for cut in range(count)) / 1e3, 1),
    }


def planning(segments: int, devices: int, *, alike: bool) -> float:
    """Milliseconds, the median over ten random questions."""
    dice = random.Random(1)

    def ask() -> float:
        pieces = [
            Piece(dice.random() * 1e9, dice.randrange(10**6), dice.randrange(10**6), dice.randrange(10**5, 10**6))
            for _ in range(segments)
        ]
        unlike = [Machine(10**9, dice.uniform(1e9, 2e10), dice.uniform(1e7, 1e8)) for _ in range(devices)]
        machines = [Machine(10**9, 1e10, 5e7)] * devices if alike else unlike
        return seconds(lambda: lay_out(pieces, machines, leaving=1000, entry=0))

    return round(1e3 * statistics.median(ask() for _ in range(10)), 2)


def main(paths: list[str]) -> None:
    models = {Path(path).name: Path(path).read_bytes() for path in paths} or {"made up": made_up()}
    report = {
        "bench": "cut",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}",
        "models": {name: cutting(blob) for name, blob in models.items()},
        "plan_ms": {
            f"{segments} segments, {devices} {'equal' if alike else 'unequal'} devices": planning(
                segments, devices, alike=alike
            )
            for segments, devices in ((32, 5), (64, 8))
            for alike in (False, True)
        },
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1:])
