"""What three-party computation costs, in three processes under mutual TLS on one machine.

    python -m tests.bench.replicated [NAME ...]

Prints a JSON line for each piece of work: seconds from a common start until the last party is done (median, least and
most of the repetitions), CPU seconds over all three processes, rounds waited for at the busiest party, and bytes sent
by each. Machines differ and are seldom idle: CPU seconds over cores is what an idle one would need.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # three parties share the machine

import numpy as np

from mesh.authority import Authority
from mesh.identity import Identity
from mesh.ids import SessionId
from mesh.transport.blocking import Links, Listener
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.run import run_program
from protocols.smpc.replicated import arithmetic, comparison, functions
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.kernels import Geometry
from protocols.smpc.replicated.link import Link, Words
from protocols.smpc.replicated.opening import share
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import Secret
from tests.unit.protocols.families import Case
from tests.unit.protocols.smpc.program import networks

PARTIES = 3
REPEATS = 7

Work = Callable[..., Any]


def perceptron(party: Party, x: Secret, *weights: Secret) -> Secret:
    for weight in weights[:-1]:
        x = comparison.relu(party, arithmetic.product(party, x, weight), bits=32)
    return arithmetic.product(party, x, weights[-1])


def network(case: Case) -> tuple[Work, list[tuple[int, ...]]]:
    """A model, input and weights secret, as an owner's device compiles it."""
    compiled = compile_model(case[0].SerializeToString())
    program = compiled.program
    ports = (*program.inputs, *program.weights)

    def work(party: Party, *secrets: Secret) -> Any:
        return run_program(program, party, {port.name: each for port, each in zip(ports, secrets, strict=True)})

    return work, [port.tensor.shape for port in ports]


def convolution(party: Party, planes: Secret, weights: Secret) -> Secret:
    return arithmetic.conv2d(party, planes, weights, Geometry(padding=(1, 1, 1, 1)))


def layers(batch: int) -> list[tuple[int, ...]]:
    return [(batch, 784), (784, 128), (128, 128), (128, 10)]


NETWORKS: dict[str, Callable[[], Case]] = {
    "network perceptron, batch 1": partial(networks.perceptron, 1),
    "network perceptron, batch 128": partial(networks.perceptron, 128),
    "network lenet, batch 1": partial(networks.lenet, 1),
    "network lenet, batch 32": partial(networks.lenet, 32),
    "network encoder of 2 layers, width 128, 64 tokens": networks.encoder,
}
"""On random input and weights: nothing that is done depends on them."""

WORKS: dict[str, tuple[Work, list[tuple[int, ...]]]] = {
    "relu of 1,048,576": (comparison.relu, [(1 << 20,)]),
    "relu of 1,048,576, 32 bits": (lambda party, x: comparison.relu(party, x, bits=32), [(1 << 20,)]),
    "matmul 512 x 512 x 512": (arithmetic.product, [(512, 512), (512, 512)]),
    "max pooling 64 x 64 x 64": (lambda party, x: comparison.max_pool(party, x, (2, 2)), [(1, 64, 64, 64)]),
    "convolution 64 x 56 x 56 by 64 x 3 x 3": (convolution, [(1, 64, 56, 56), (64, 64, 3, 3)]),
    "convolution 512 x 7 x 7 by 512 x 3 x 3": (convolution, [(1, 512, 7, 7), (512, 512, 3, 3)]),
    "max pooling 32 x 16 x 32 x 32": (lambda party, x: comparison.max_pool(party, x, (2, 2)), [(32, 16, 32, 32)]),
    "softmax 64 x 1000": (lambda party, x: functions.softmax(party, x, 1), [(64, 1000)]),
    "sigmoid of 65,536": (functions.sigmoid, [(1 << 16,)]),
    "gelu of 65,536": (functions.gelu, [(1 << 16,)]),
    "layer norm 64 x 128": (lambda party, x: functions.layer_norm(party, x, 1), [(64, 128)]),
    "perceptron, batch 1": (perceptron, layers(1)),
    "perceptron, batch 128": (perceptron, layers(128)),
    "product of 10": (arithmetic.multiply, [(10,), (10,)]),
    "relu of 10": (comparison.relu, [(10,)]),
}


def main() -> None:
    names = [name for name in (*WORKS, *NETWORKS) if not sys.argv[1:] or any(wanted in name for wanted in sys.argv[1:])]
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(PARTIES):
            authority.issue(Path(folder) / str(rank))
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(PARTIES)]
        parties = [context.Process(target=run, args=(rank, folder, pipes[rank][1], names)) for rank in range(PARTIES)]
        for process in parties:
            process.start()
        roster = [ours.recv() for ours, _ in pipes]
        for ours, _ in pipes:
            ours.send(roster)
        for name in names:
            print(json.dumps({"bench": "replicated", "work": name, **together([ours.recv() for ours, _ in pipes])}))
        for process in parties:
            process.join()


def run(rank: int, folder: str, pipe: Connection, names: list[str]) -> None:
    """One of three processes. Only figures and addresses go through `pipe`."""
    identity, listener = Identity.load(Path(folder) / str(rank)), Listener()
    pipe.send((identity.peer, listener.address))
    roster = pipe.recv()
    with Links.open(identity, roster, session=SessionId("0" * 32), listener=listener) as links:
        link = ChannelLink(links)
        party = Party(link, Correlated(rank, keys_for(rank), b"bench"))
        for name in names:
            pipe.send(measure(party, *(WORKS[name] if name in WORKS else network(NETWORKS[name]()))))


def keys_for(rank: int) -> dict[int, bytes]:
    """Fixed, and known to everybody: this measures, and protects nothing."""
    return {peer: bytes(sorted((rank, peer))).ljust(32, b"k") for peer in range(PARTIES) if peer != rank}


def measure(party: Party, work: Work, shapes: list[tuple[int, ...]]) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    secrets = [share(party, 0, numbers(rng, shape) if party.rank == 0 else None, shape) for shape in shapes]
    link, seconds, cpu = party.link, [], []
    sent = rounds = 0
    for _ in range(REPEATS + 1):
        fresh = [Secret(secrets[0].first, secrets[0].second), *secrets[1:]]  # weights may be prepared, inputs not
        meet(link)
        sent, rounds = link.sent, link.rounds
        burnt, start = time.process_time(), time.perf_counter()
        work(party, *fresh)
        sent, rounds = link.sent - sent, link.rounds - rounds
        cpu.append(time.process_time() - burnt)
        meet(link)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "cpu": statistics.median(cpu[1:]), "rounds": rounds, "sent": sent}


def numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Words:
    return np.rint(rng.uniform(-1, 1, shape) * 2**18).astype(np.int64).view(np.uint64)


def meet(link: Link) -> None:
    """Nobody leaves before everybody has come."""
    word = np.zeros(1, np.uint64)
    link.exchange(link.next, [word], link.previous, [word.copy()])
    link.exchange(link.previous, [word], link.next, [word.copy()])


def together(parties: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [max(each) for each in zip(*(party["seconds"] for party in parties), strict=True)]
    return {
        "median": round(statistics.median(seconds), 5),
        "least": round(min(seconds), 5),
        "most": round(max(seconds), 5),
        "cpu": round(sum(party["cpu"] for party in parties), 5),
        "rounds": max(party["rounds"] for party in parties),
        "sent": [party["sent"] for party in parties],
    }


if __name__ == "__main__":
    main()
