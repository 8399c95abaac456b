"""Starts a script at several devices, each with a key of its own, on this machine."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from mesh.authority import Authority
from mesh.identity import Identity

__all__ = ["run_at_all"]


def run_at_all(
    devices: int, script: Sequence[str], *, dealer: bool = False, extra: Mapping[str, str] | None = None,
    timeout: float = 600.0,
) -> list[subprocess.CompletedProcess[str]]:  # fmt: skip
    """Run a script for CrypTen at so many devices, and wait for all.

    Args:
        script: its path and its arguments.
        dealer: one device more makes triples for CrypTen's own type mpc.
        extra: environment variables besides ours.
        timeout: seconds for all of it.

    Returns:
        What each wrote and how it ended, in rank order.
    """
    with tempfile.TemporaryDirectory() as folder:
        meeting = _meeting(Path(folder), devices + dealer)
        bridge = [sys.executable, "-W", "ignore", "-P", "-m", "protocols.smpc.crypten_bridge"]
        commands = [[*bridge, *(["--mpc"] if dealer else []), *script] for _ in range(devices)]
        commands += [[*bridge, "--deal"]] if dealer else []
        paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        running = [
            subprocess.Popen(
                command,
                env={**os.environ, **paths, "RENDEZVOUS": url, "OMP_NUM_THREADS": "1", **(extra or {})},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for command, url in zip(commands, meeting, strict=True)
        ]
        try:
            return [_ended(process, timeout) for process in running]
        finally:
            for process in running:
                process.kill()


def _ended(process: subprocess.Popen[str], timeout: float) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _meeting(folder: Path, devices: int) -> list[str]:
    """How each device is told who takes part: its own identity, and everybody's address."""
    authority = Authority.create(folder / "authority", mesh="hospitals")
    with ExitStack() as held:
        ports = []
        for number in range(devices):
            authority.issue(folder / str(number))
            free = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            ports.append(free.getsockname()[1])
    peers = [Identity.load(folder / str(number)).peer for number in range(devices)]
    roster = ",".join(f"{peer}@127.0.0.1:{port}" for peer, port in zip(peers, ports, strict=True))
    session = secrets.token_hex(8)
    return [f"mesh://{roster}?identity={folder / str(number)}&session={session}" for number in range(devices)]
