"""Memory, processor, files and kernel: what on this machine makes a node slow or short-lived. Linux only."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from mesh.config import NodeConfig
from mesh.doctor.findings import Finding, ok, warning
from mesh.resources import Memory

__all__ = ["machine"]

_MB = 10**6
_ROOM = 500 * _MB
_FILES = 4096
_BACKLOG = 128
_BUSY = 10.0


def machine(config: NodeConfig, *, root: Path = Path("/")) -> Iterator[Finding]:
    """Look at what the kernel tells.

    Args:
        root: where its files lie.
    """
    yield _memory(root)
    yield from _pressure(root)
    yield from _quota(root)
    yield _disk(config.state)
    yield from _governor(root)
    yield from _swap(root)
    yield _files()
    yield from _backlog(root)


def _memory(root: Path) -> Finding:
    free = Memory(root=root).available()
    said = f"{free / _MB:,.0f} MB are free, by the kernel and every control group around this process"
    if free < _ROOM:
        return warning("memory", said, "stop what else runs here, or raise the group's memory.max")
    return ok("memory", said)


def _pressure(root: Path) -> Iterator[Finding]:
    for name in ("memory", "cpu", "io"):
        line = next((line for line in _lines(root / "proc/pressure" / name) if line.startswith("some")), "")
        share = next((float(word[6:]) for word in line.split() if word.startswith("avg60=")), None)
        if share is None:
            continue
        said = f"programs here waited for {name} in {share:.0f} % of the last minute"
        cure = "systemd-cgtop shows who uses it"
        yield warning(f"{name} pressure", said, cure) if share > _BUSY else ok(f"{name} pressure", said)


def _quota(root: Path) -> Iterator[Finding]:
    group = next((line[3:] for line in _lines(root / "proc/self/cgroup") if line.startswith("0::")), None)
    words = _lines(root / "sys/fs/cgroup" / (group or "").lstrip("/") / "cpu.max") or [""]
    quota, _, period = words[0].partition(" ")
    if not quota.isdigit() or not period.isdigit():
        return
    cores = int(quota) / int(period)
    said = f"this process may use {cores:.2g} cores of {os.cpu_count()}"
    yield ok("cpu quota", said) if cores >= 1 else warning("cpu quota", said, "raise the group's cpu.max")


def _disk(state: Path) -> Finding:
    place = next(folder for folder in (state, *state.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / _MB:,.0f} MB are free for models in {place}"
    if free < _ROOM:
        return warning("disk", said, "mesh models remove NAME, or another --state")
    return ok("disk", said)


def _governor(root: Path) -> Iterator[Finding]:
    for name in _lines(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"):
        said = f"the processor's governor is {name}"
        cure = "cpupower frequency-set -g schedutil (or performance, where heat and power allow)"
        yield warning("governor", f"{said}: it stays slow", cure) if name == "powersave" else ok("governor", said)


def _swap(root: Path) -> Iterator[Finding]:
    table = {name: rest for name, _, rest in (line.partition(":") for line in _lines(root / "proc/meminfo"))}
    total, free = (int(table.get(name, "0").split()[0]) * 1024 for name in ("SwapTotal", "SwapFree"))
    if not total:
        yield ok("swap", "there is none: what does not fit ends at once, and slows nothing")
    elif (used := total - free) > _ROOM // 5:
        said = f"{used / _MB:,.0f} MB of {total / _MB:,.0f} MB swap are in use: models that are swapped out stall"
        yield warning("swap", said, "lend less: mesh up --memory SIZE")
    else:
        yield ok("swap", f"{total / _MB:,.0f} MB, hardly used")


def _files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = f"a process may open {soft} files (at most {hard})"
    if soft < min(_FILES, hard if hard > 0 else _FILES) and soft < 1024:
        return warning("open files", f"{said}: each connection takes one", f"ulimit -n {_FILES}")
    return ok("open files", said)


def _backlog(root: Path) -> Iterator[Finding]:
    for line in _lines(root / "proc/sys/net/core/somaxconn"):
        said = f"so many connections may wait to be accepted: {line}"
        cure = f"sysctl -w net.core.somaxconn={_BACKLOG}"
        yield ok("somaxconn", said) if int(line) >= _BACKLOG else warning("somaxconn", said, cure)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
