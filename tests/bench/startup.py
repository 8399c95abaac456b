"""What it takes to be there: commands, a node until it is ready, its first peer, and a node that has nothing to do.

    python -m tests.bench.startup

Real processes on the loopback interface. Prints one JSON line; times in seconds, memory in bytes. `python` is an
interpreter that does nothing, for comparison on the same machine at the same moment. Peers are counted from when the
second node says that it is ready; one is willing once it has measured how fast it computes.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mesh.authority import Authority
from tests.cli.street import Neighbour, neighbour

ROUNDS = 7
IDLE = 10.0
"""Seconds that an idle node is watched for."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for name in ("ada", "bob"):
            authority.issue(Path(folder) / name / "identity")
        began = time.perf_counter()
        with neighbour(Path(folder) / "ada") as ada:
            ready = time.perf_counter() - began
            figures = {
                "python": timed([sys.executable, "-c", "pass"]),
                "help": command("--help"),
                "version": command("version"),
                "status": command("status", "--state", str(ada.state)),
                "peers_alone": command("peers", "--state", str(ada.state)),
                "ready": ready,
            }
            with neighbour(Path(folder) / "bob") as bob:
                began = time.perf_counter()
                asyncio.run(_in_sight(bob))
                figures["first_peer_in_sight"] = time.perf_counter() - began
                asyncio.run(_met(bob, ada.ready["peer"]))
                figures["first_peer_willing"] = time.perf_counter() - began
            figures |= asyncio.run(_idle(ada))
    sys.stdout.write(json.dumps(figures) + "\n")


def command(*words: str) -> float:
    """Median seconds of a `mesh` command, from call to exit."""
    return timed([sys.executable, "-c", "from mesh.cli import main; main()", *words])


def timed(words: Sequence[str]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _in_sight(node: Neighbour) -> None:
    async with asyncio.timeout(30):
        while not (await node.client.status()).in_sight:
            pass


async def _met(node: Neighbour, peer: str) -> None:
    async with asyncio.timeout(30):
        while peer not in {found.peer for found in await node.client.peers() if found.state == "ready"}:
            pass


async def _idle(node: Neighbour) -> dict[str, float]:
    before = await node.client.status()
    await asyncio.sleep(IDLE)
    after = await node.client.status()
    return {"idle_memory": after.resident, "idle_cores": (after.cpu - before.cpu) / (after.uptime - before.uptime)}


if __name__ == "__main__":
    main()
