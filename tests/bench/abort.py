"""What abort costs: the same work, semi-honest and checked, in three processes under mutual TLS on one machine.

    python -m tests.bench.abort [--repeats N] [NAME ...]

Prints a JSON line for each piece of work and each of both: seconds from a common start until the last party is done
(median, least and most), CPU seconds over all three processes, rounds waited for at the busiest party, and bytes sent
by each. "checked" is everything up to shares that may be handed out: admitted inputs, the work, its check. The last
figures of a line of "checked" are what it takes over "semi-honest": the ratios count, machines differ.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
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
from protocols.smpc.replicated import arithmetic, comparison
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.link import Link
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint, Secret, pairs_of, split
from tests.bench.replicated import keys_for, meet, together
from tests.unit.protocols.families import Case
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import everything, handed_out

PARTIES = 3
KINDS = ("semi-honest", "checked")

Values = Mapping[str, Any]
Work = Callable[[Party, Values], dict[str, Secret]]
Job = Callable[[], tuple[Work, list[Any]]]
"""Makes the work and, for each party, the values that it brings."""


def operation(function: Callable[..., Secret], *shapes: tuple[int, ...]) -> tuple[Work, list[Any]]:
    """One operation on random numbers under 4."""
    rng = np.random.default_rng(1)

    def draw(shape: tuple[int, ...], dtype: Any) -> Any:
        return rng.integers(0, 2**64, shape, np.uint64).astype(dtype)

    pairs = [pairs_of(split(FixedPoint().encode(rng.uniform(-4, 4, shape)), draw)) for shape in shapes]
    hands = [{str(place): pair[rank] for place, pair in enumerate(pairs)} for rank in range(PARTIES)]
    return (lambda party, values: {"y": function(party, *values.values())}), hands


def network(make: Callable[[], Case]) -> tuple[Work, list[Any]]:
    """A compiled model with secret weights and input, values compared on 32 bits."""
    model, feeds = make()
    compiled = compile_model(model.SerializeToString(), bits=32)
    program = compiled.program
    hands = handed_out((*program.inputs, *program.weights), {**feeds, **compiled.weights}, everything)
    return (lambda party, values: run_program(program, party, values)), hands


JOBS: dict[str, Job] = {
    "relu of 10": partial(operation, comparison.relu, (10,)),
    "relu of 100,000": partial(operation, comparison.relu, (100_000,)),
    "product of 100,000": partial(operation, arithmetic.multiply, (100_000,), (100_000,)),
    "matmul 128 x 128 x 128": partial(operation, arithmetic.product, (128, 128), (128, 128)),
    "perceptron, batch 1": partial(network, partial(networks.perceptron, 1)),
    "lenet, batch 1": partial(network, partial(networks.lenet, 1)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    names = [name for name in JOBS if not chosen.names or any(wanted in name for wanted in chosen.names)]
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(PARTIES):
            authority.issue(Path(folder) / str(rank))
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(PARTIES)]
        given = [(rank, folder, pipes[rank][1], names, chosen.repeats) for rank in range(PARTIES)]
        parties = [context.Process(target=run, args=each) for each in given]
        for process in parties:
            process.start()
        roster = [ours.recv() for ours, _ in pipes]
        for ours, _ in pipes:
            ours.send(roster)
        for name in names:
            report(name, [together([ours.recv() for ours, _ in pipes]) for _ in KINDS])
        for process in parties:
            process.join()


def report(name: str, figures: list[dict[str, Any]]) -> None:
    for kind, figure in zip(KINDS, figures, strict=True):
        print(json.dumps({"bench": "abort", "work": name, "kind": kind, **figure}))
    plain, checked = figures
    over = {key: round(checked[key] / plain[key], 1) for key in ("median", "cpu", "rounds")}
    over["sent"] = round(sum(checked["sent"]) / sum(plain["sent"]), 1)
    print(json.dumps({"bench": "abort", "work": name, "kind": "times as much", **over}), flush=True)


def run(rank: int, folder: str, pipe: Connection, names: list[str], repeats: int) -> None:
    """One of three processes. Only figures and addresses go through `pipe`."""
    identity, listener = Identity.load(Path(folder) / str(rank)), Listener()
    pipe.send((identity.peer, listener.address))
    roster = pipe.recv()
    with Links.open(identity, roster, session=SessionId("0" * 32), listener=listener, patience=300) as links:
        link = ChannelLink(links)
        for name in names:
            work, hands = JOBS[name]()
            for kind in KINDS:
                pipe.send(measure(link, kind, work, hands[rank], repeats))


def measure(link: Link, kind: str, work: Work, values: Values, repeats: int) -> dict[str, Any]:
    party = (CheckedParty if kind == "checked" else Party)(link, Correlated(link.rank, keys_for(link.rank), b"bench"))
    seconds, cpu = [], []
    sent = rounds = 0
    for _ in range(repeats + 1):
        meet(link)
        sent, rounds = link.sent, link.rounds
        burnt, start = time.process_time(), time.perf_counter()
        if isinstance(party, CheckedParty):
            party.admit(values.values())
        outputs = work(party, values)
        if isinstance(party, CheckedParty):
            party.release(outputs)
        sent, rounds = link.sent - sent, link.rounds - rounds
        cpu.append(time.process_time() - burnt)
        meet(link)
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "cpu": statistics.median(cpu[1:]), "rounds": rounds, "sent": sent}


if __name__ == "__main__":
    main()
