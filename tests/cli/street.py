"""Real nodes, each a process of its own, on the loopback interface of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.authority import Authority
from mesh.client import Client

__all__ = ["Neighbour", "acquainted", "mesh", "neighbour", "street"]

PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Attributes:
    ready: what it said when it was.
    """

    state: Path
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def client(self) -> Client:
        return Client(self.state / "control.sock")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code, and all that it wrote on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


def mesh(*arguments: str | Path, state: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """One command, as a person runs it. Only what it is told counts, not what this machine has set."""
    command = [sys.executable, "-m", "mesh", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=_environ(state), timeout=PATIENCE, check=False, input=stdin
    )


@contextmanager
def neighbour(state: Path, *flags: str) -> Iterator[Neighbour]:
    """A node that is ready; killed at the end if it still runs."""
    command = [sys.executable, "-m", "mesh", "up", "--json", "--port", "0", "--interface", "lo", *flags]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environ(state)
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            assert line, process.communicate()[1]
            yield Neighbour(state, process, json.loads(line))
        finally:
            process.kill()


@contextmanager
def street(folder: Path, names: Sequence[str], *flags: str, owners: bool = False) -> Iterator[list[Neighbour]]:
    """Nodes of one mesh that have found each other; each with an owner of its name, if that is wanted."""
    authority = Authority.create(folder / "authority", mesh="test")
    with ExitStack() as stack:
        nodes = []
        for name in names:
            authority.issue(folder / name / "identity")
            own = ("--owner", name) if owners else ()
            nodes.append(stack.enter_context(neighbour(folder / name, *flags, *own)))
        asyncio.run(acquainted(nodes))
        yield nodes


async def acquainted(nodes: Sequence[Neighbour]) -> None:
    """Wait until each has found all others."""
    everyone = {node.ready["peer"] for node in nodes}
    async with asyncio.timeout(PATIENCE):
        for node in nodes:
            known: set[str] = set()
            while not everyone <= known:
                known = {peer.peer for peer in await node.client.peers() if peer.state == "ready"}
                known.add(node.ready["peer"])


def _environ(state: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    return {**kept, "OMP_NUM_THREADS": "1", **({"MESH_STATE": str(state)} if state else {})}
