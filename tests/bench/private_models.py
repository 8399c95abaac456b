"""Networks on secret shares: python -m tests.bench.private_models [--which WHICH] [--delay MILLISECONDS] [NAME ...]

Three parties, a thread each, in one process: no TLS and no network, but one interpreter for all three. A line of JSON
for each network: median and least seconds from the first step to the last, messages one after another, bytes that each
party sends, bytes of the program, and the largest distance from ONNX Runtime's answer. With a delay, every message
takes that long, and `rounds` of them in all; what is left of the seconds is computing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np

from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.run import run_program
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.opening import reveal
from tests.unit.protocols.families import FLOAT, Array, Case, Net
from tests.unit.protocols.smpc.parties import party_on
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import decoded, handed_out, plain


def single(operator: str, *shape: int, **attributes: Any) -> Case:
    """One operator."""
    net = Net()
    last = net.op(operator, "x", **attributes)
    return net.model({"x": (FLOAT, list(shape))}, {net.name(last, "y"): FLOAT}), {"x": networks.normal(*shape, scale=3)}


NETWORKS: dict[str, Callable[[], Case]] = {
    "mlp-1": partial(networks.perceptron, 1),
    "mlp-128": partial(networks.perceptron, 128),
    "lenet-1": partial(networks.lenet, 1),
    "lenet-32": partial(networks.lenet, 32),
    "encoder": networks.encoder,
    "relu": partial(single, "Relu", 65_536),
    "softmax": partial(single, "Softmax", 64, 1000, axis=1),
    "max-pool": partial(single, "MaxPool", 1, 64, 64, 64, kernel_shape=[2, 2], strides=[2, 2]),
}
SECRET = {"both": lambda _: True, "input": lambda name: name == "x", "model": lambda name: name != "x"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NETWORKS, []], metavar="NAME")
    parser.add_argument("--which", choices=SECRET, default="both", help="what is secret")
    parser.add_argument("--bits", type=int, default=64, help="on which values are compared")
    parser.add_argument("--delay", type=float, default=0.0, help="milliseconds that every message takes")
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    for name in chosen.names or NETWORKS:
        line = {"bench": "private_models", "network": name, "secret": chosen.which, "bits": chosen.bits}
        line["delay"] = chosen.delay
        print(json.dumps(line | measured(NETWORKS[name](), chosen)), flush=True)


def measured(case: Case, chosen: argparse.Namespace) -> dict[str, Any]:
    model, feeds = case
    delay = chosen.delay / 1000
    compiled = compile_model(model.SerializeToString(), bits=chosen.bits)
    program = compiled.program
    hands = handed_out((*program.inputs, *program.weights), {**feeds, **compiled.weights}, SECRET[chosen.which])

    def at(link: LocalLink) -> tuple[Array, float, int, int]:
        party = party_on(link)
        link.latency = max(delay, link.latency)
        start = time.perf_counter()
        result = run_program(program, party, hands[link.rank])["y"]
        seconds, cost = time.perf_counter() - start, (link.depth, link.sent)
        words = reveal(party, result)
        assert words is not None
        return decoded("number", words), seconds, *cost

    runs = [run_together(connect(delay=delay), at) for _ in range(chosen.repeats + 1)][1:]
    seconds = [max(party[1] for party in parties) for parties in runs]
    expected = plain(model, feeds)["y"]
    return {
        "seconds": round(statistics.median(seconds), 4),
        "least": round(min(seconds), 4),
        "rounds": max(party[2] for party in runs[0]),
        "bytes": [party[3] for party in runs[0]],
        "program": len(msgspec.msgpack.encode(program)),
        "error": float(f"{max(np.abs(parties[0][0] - expected).max() for parties in runs):.2g}"),
        "largest": round(float(np.abs(expected).max()), 2),
    }


if __name__ == "__main__":
    main()
