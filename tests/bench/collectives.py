"""What collectives cost: torch.distributed over the mesh backend under mutual TLS, next to gloo without any.

    python -m tests.bench.collectives [RANKS]

Both groups live in the same processes and take turns, so that a busy machine slows both alike. Prints one JSON line:
median and best seconds at rank 0, and the processor's seconds there.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.authority import Authority
from mesh.identity import Identity
from mesh.ids import SessionId
from mesh.transport.blocking import Links, Listener

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

REPEATS = {1: 500, 16 * 2**10: 100, 4 * 2**20: 5}  # 8-byte values
ROUNDS = 5


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(size):
            authority.issue(Path(folder) / str(rank))
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(size)]
        parties = [context.Process(target=party, args=(rank, size, folder, pipes[rank][1])) for rank in range(size)]
        for process in parties:
            process.start()
        roster = [ours.recv() for ours, _ in pipes]
        for ours, _ in pipes:
            ours.send(roster)
        result = pipes[0][0].recv()
        for process in parties:
            process.join()
    print(json.dumps({"bench": "collectives", "ranks": size, "unit": "s", **result}))


def party(rank: int, size: int, folder: str, pipe: Connection) -> None:
    warnings.simplefilter("ignore")
    import torch
    import torch.distributed as dist

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    identity, listener = Identity.load(Path(folder) / str(rank)), Listener()
    pipe.send((identity.peer, listener.address))
    roster = pipe.recv()
    dist.init_process_group("gloo", init_method=f"file://{folder}/gloo", rank=rank, world_size=size)
    gloo = dist.group.WORLD
    links = Links.open(identity, roster, session=SessionId("0" * 32), listener=listener)
    groups = {"mesh": mesh_group(links, rank, size), "gloo": gloo}
    figures: dict[str, dict[str, tuple[list[float], list[float]]]] = {name: {} for name in groups}
    for _ in range(ROUNDS):
        for name, group in groups.items():
            for act, repeats, what in acts(group):
                measure(figures[name].setdefault(what, ([], [])), act, repeats)
    if rank == 0:
        pipe.send({name: {what: summary(*one) for what, one in kinds.items()} for name, kinds in figures.items()})
    dist.barrier(group=gloo)
    links.close()
    dist.destroy_process_group()


def mesh_group(links: Links, rank: int, size: int) -> Any:
    from protocols.runtimes.collectives.group import MeshGroup
    from protocols.runtimes.collectives.talk import Circle

    return MeshGroup(Circle.of(links, "bench", rank, range(size)), 60.0, lambda: None)


def acts(group: Any) -> list[tuple[Callable[[], object], int, str]]:
    import torch
    from torch.distributed import distributed_c10d as c10d

    found: list[tuple[Callable[[], object], int, str]] = []
    for count, repeats in REPEATS.items():
        values = torch.ones(count, dtype=torch.int64)
        whole = torch.empty(count * group.size(), dtype=torch.int64)
        adding, gathering = c10d.AllreduceOptions(), c10d.AllgatherOptions()
        adding.asyncOp = gathering.asyncOp = False
        parts = [list(whole.chunk(group.size()))]
        found.append((functools.partial(waited, group.allreduce, [values], adding), repeats, f"all_reduce {count}"))
        found.append(
            (functools.partial(waited, group.allgather, parts, [values], gathering), repeats, f"all_gather {count}")
        )
    return found


def waited(begin: Callable[..., Any], *arguments: Any) -> None:
    begin(*arguments).wait()


def measure(figures: tuple[list[float], list[float]], act: Callable[[], object], repeats: int) -> None:
    act()
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        act()
    figures[0].append((time.perf_counter() - start) / repeats)
    figures[1].append((time.process_time() - cpu) / repeats)


def summary(seconds: list[float], cpu: list[float]) -> dict[str, float]:
    return {"median": statistics.median(seconds), "best": min(seconds), "cpu": statistics.median(cpu)}


if __name__ == "__main__":
    main()
