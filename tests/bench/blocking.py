"""What blocking channels cost: exchanges between two processes under mutual TLS, next to gloo's without any.

    python -m tests.bench.blocking

Both carriers take turns within one run, so that a busy machine slows both alike. Each measurement is of an exchange,
so all bytes go both ways at once, and of one way alone. Prints one JSON line: medians and best in seconds; `cpu` is the
seconds of processor that one side spent on one exchange, from which follows what a machine of its own could carry.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mesh.authority import Authority
from mesh.contracts import Address
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.blocking import Links, Listener

SIZES = {8: 2000, 64 * 2**10: 200, 64 * 2**20: 3}
ROUNDS = 5
ROSTER = list[tuple[PeerId, Address]]

Exchange = Callable[[int], None]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(2):
            authority.issue(Path(folder) / str(rank))
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(2)]
        parties = [context.Process(target=party, args=(rank, folder, pipes[rank][1])) for rank in range(2)]
        for process in parties:
            process.start()
        introduce([ours for ours, _ in pipes])
        result = pipes[0][0].recv()
        for process in parties:
            process.join()
    print(json.dumps({"bench": "blocking", "unit": "s", **result}))


def introduce(pipes: list[Connection]) -> None:
    roster = [pipe.recv() for pipe in pipes]
    for pipe in pipes:
        pipe.send(roster)


def party(rank: int, folder: str, pipe: Connection) -> None:
    """One of two processes. Only figures and addresses go through `pipe`."""
    identity, listener = Identity.load(Path(folder) / str(rank)), Listener()
    pipe.send((identity.peer, listener.address))
    roster: ROSTER = pipe.recv()
    carriers: dict[str, tuple[Exchange, Exchange]] = {}
    with Links.open(identity, roster, session=SessionId("0" * 32), listener=listener) as links:
        carriers["mesh"] = over_links(links)
        if "--no-gloo" not in sys.argv:
            carriers["gloo"] = over_gloo(rank, folder)
        figures = {name: {str(size): Figures(size) for size in SIZES} for name in carriers}
        for _ in range(ROUNDS):
            for name, (both, one_way) in carriers.items():
                for size in SIZES:
                    figures[name][str(size)].measure(both, one_way)
    if rank == 0:
        pipe.send({name: {size: one.summary() for size, one in sizes.items()} for name, sizes in figures.items()})
    pipe.close()


class Figures:
    """Seconds and CPU seconds of one carrier at one size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.both: list[float] = []
        self.one_way: list[float] = []
        self.cpu: list[float] = []

    def measure(self, both: Exchange, one_way: Exchange) -> None:
        both(self.size)
        cpu, start = time.process_time(), time.perf_counter()
        for _ in range(SIZES[self.size]):
            both(self.size)
        self.both.append((time.perf_counter() - start) / SIZES[self.size])
        self.cpu.append((time.process_time() - cpu) / SIZES[self.size])
        start = time.perf_counter()
        for _ in range(SIZES[self.size]):
            one_way(self.size)
        self.one_way.append((time.perf_counter() - start) / SIZES[self.size])

    def summary(self) -> dict[str, Any]:
        return {
            "exchange": {"median": statistics.median(self.both), "best": min(self.both)},
            "there and a word back": {"median": statistics.median(self.one_way), "best": min(self.one_way)},
            "cpu": statistics.median(self.cpu),
        }


def over_links(links: Links) -> tuple[Exchange, Exchange]:
    peer = links.peers[1 - links.rank]
    out = {size: memoryview(os.urandom(size)) for size in SIZES}
    into = {size: memoryview(bytearray(size)) for size in SIZES}
    word = bytearray(1)

    def both(size: int) -> None:
        links.exchange(peer, out[size], peer, into[size])

    def one_way(size: int) -> None:
        if links.rank == 0:
            links.send(peer, out[size])
            links.receive_into(peer, word)
        else:
            links.receive_into(peer, into[size])
            links.send(peer, word)

    return both, one_way


def over_gloo(rank: int, folder: str) -> tuple[Exchange, Exchange]:
    warnings.simplefilter("ignore")
    import torch
    from torch import distributed

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/gloo", rank=rank, world_size=2)
    out = {size: torch.randint(0, 256, (size,), dtype=torch.uint8) for size in SIZES}
    into = {size: torch.empty(size, dtype=torch.uint8) for size in SIZES}
    word = torch.zeros(1, dtype=torch.uint8)

    def both(size: int) -> None:
        sending = distributed.isend(out[size], 1 - rank)
        distributed.recv(into[size], 1 - rank)
        if sending is not None:
            sending.wait()

    def one_way(size: int) -> None:
        if rank == 0:
            distributed.send(out[size], 1)
            distributed.recv(word, 1)
        else:
            distributed.recv(into[size], 0)
            distributed.send(word, 0)

    return both, one_way


if __name__ == "__main__":
    main()
