"""Steps of private training: python -m tests.bench.private_training [NAME ...] [--steps N] [--profile]

Three processes over mutual TLS on loopback, a thread each, batch 128. A line of JSON for each network: median seconds
of a step, processor seconds, bytes that each party sends and rounds that it waits for. `--profile` prints where party 1
spends its time.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing
import os
import pstats
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from mesh.authority import Authority
from mesh.identity import Identity
from mesh.ids import SessionId
from mesh.transport.blocking import Links, Listener
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.opening import share
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.training.learner import Learner, Recipe
from protocols.smpc.training.losses import LossKind
from protocols.smpc.training.network import Layer, lay_out
from protocols.smpc.training.optimisers import Optimiser
from tests.bench.replicated import keys_for, meet

BATCH = 128
PERCEPTRON = [Layer("dense", 128), Layer("relu"), Layer("dense", 10)]
LENET = [
    Layer("conv", 6, 5),
    Layer("relu"),
    Layer("max-pool", 2),
    Layer("conv", 16, 5),
    Layer("relu"),
    Layer("max-pool", 2),
    Layer("flatten"),
    Layer("dense", 120),
    Layer("relu"),
    Layer("dense", 10),
]
WORKS: dict[str, tuple[list[Layer], tuple[int, ...], LossKind, Optimiser]] = {
    "logistic": ([Layer("dense", 1)], (30,), "logistic", Optimiser()),
    "logistic-784": ([Layer("dense", 1)], (784,), "logistic", Optimiser()),
    "perceptron": (PERCEPTRON, (784,), "cross-entropy", Optimiser()),
    "perceptron-momentum": (PERCEPTRON, (784,), "cross-entropy", Optimiser("momentum")),
    "perceptron-adam": (PERCEPTRON, (784,), "cross-entropy", Optimiser("adam", rate=0.001)),
    "lenet": (LENET, (1, 28, 28), "cross-entropy", Optimiser()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*WORKS, []], metavar="NAME")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--profile", action="store_true")
    chosen = parser.parse_args()
    names = chosen.names or list(WORKS)
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(PARTIES):
            authority.issue(Path(folder) / str(rank))
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(PARTIES)]
        given = [(rank, folder, pipes[rank][1], names, chosen.steps, chosen.profile) for rank in range(PARTIES)]
        parties = [context.Process(target=run, args=each) for each in given]
        for process in parties:
            process.start()
        roster = [ours.recv() for ours, _ in pipes]
        for ours, _ in pipes:
            ours.send(roster)
        for name in names:
            parts = [ours.recv() for ours, _ in pipes]
            print(
                json.dumps({"bench": "private_training", "work": name, "batch": BATCH, **together(parts)}), flush=True
            )
        for process in parties:
            process.join()


def together(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the three, the slowest at each step counts."""
    seconds = [max(step) for step in zip(*(part["seconds"] for part in parts), strict=True)]
    return {
        "seconds": round(statistics.median(seconds), 4),
        "least": round(min(seconds), 4),
        "cpu": [round(part["cpu"], 4) for part in parts],
        "sent": [part["sent"] for part in parts],
        "rounds": [part["rounds"] for part in parts],
        "load": round(os.getloadavg()[0], 1),
    }


def run(rank: int, folder: str, pipe: Connection, names: list[str], steps: int, profile: bool) -> None:
    """One of three processes. Only figures and addresses go through `pipe`."""
    identity, listener = Identity.load(Path(folder) / str(rank)), Listener()
    pipe.send((identity.peer, listener.address))
    roster = pipe.recv()
    with Links.open(identity, roster, session=SessionId("0" * 32), listener=listener) as links:
        party = Party(ChannelLink(links), Correlated(rank, keys_for(rank), b"bench"))
        for name in names:
            pipe.send(measure(party, name, steps, profile=profile and rank == 1))


def measure(party: Party, name: str, steps: int, *, profile: bool) -> dict[str, Any]:
    layers, shape, loss, how = WORKS[name]
    network = lay_out(layers, shape)
    columns = network[-1].after[0]
    rng = np.random.default_rng(1)
    xs, labels = (
        rng.standard_normal((BATCH, *shape)),
        np.eye(max(columns, 2))[rng.integers(0, columns, BATCH), :columns],
    )
    mine = party.rank == 0
    x = share(party, 0, party.fixed.encode(xs) if mine else None, xs.shape)
    y = share(party, 0, party.fixed.encode(labels) if mine else None, labels.shape)
    learner, link = Learner(party, Recipe(network, loss, how)), party.link
    for _ in range(2):
        learner.step(x, y)
    meet(link)
    sent, rounds, burnt = link.sent, link.rounds, time.process_time()
    seconds, watch = [], cProfile.Profile()
    if profile:
        watch.enable()
    for _ in range(steps):
        start = time.perf_counter()
        learner.step(x[:], y)
        seconds.append(time.perf_counter() - start)
    watch.disable()
    if profile:
        pstats.Stats(watch).sort_stats("tottime").print_stats(18)
    return {
        "seconds": seconds,
        "cpu": (time.process_time() - burnt) / steps,
        "rounds": (link.rounds - rounds) // steps,
        "sent": (link.sent - sent) // steps,
    }


if __name__ == "__main__":
    main()
