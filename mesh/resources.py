"""What this device has left to lend, and what this process takes. Linux only; asks the kernel anew each time."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Memory", "Usage", "usage"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_V2 = ("memory.max", "memory.current")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


@dataclass(frozen=True, slots=True)
class Usage:
    """What this process has taken.

    Attributes:
        cpu: seconds of all cores together, children not counted.
        memory: bytes resident.
    """

    cpu: float
    memory: int


def usage() -> Usage:
    """This process, now."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    return Usage(spent.ru_utime + spent.ru_stime, resident)


class Memory:
    """Bytes that this device can lend: the least of what its owner, its control groups and the kernel leave it.

    Args:
        limit: what the owner lends at most; 0 sets no limit. What this process takes beyond what it took when this
            object was made counts against it: that is what sessions hold.
        root: where the kernel's files lie.
    """

    def __init__(self, limit: int = 0, *, root: Path = Path("/")) -> None:
        self._limit = limit
        self._root = root
        self._idle = usage().memory

    def available(self) -> int:
        """Bytes, now; 0 when there is nothing left, or the kernel does not tell."""
        rooms = [_meminfo(self._root / "proc/meminfo"), *_cgroups(self._root)]
        if self._limit:
            rooms.append(self._limit - max(0, usage().memory - self._idle))
        return max(0, min(rooms))


def _meminfo(path: Path) -> int:
    for line in _lines(path):
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return 0


def _cgroups(root: Path) -> Iterator[int]:
    """Bytes left in every control group around this process that has a limit, of either version."""
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            yield from _rooms(root / "sys/fs/cgroup", path, *_V2)
        elif "memory" in controllers.split(","):
            yield from _rooms(root / "sys/fs/cgroup/memory", path, *_V1)


def _rooms(mount: Path, path: str, limit: str, taken: str) -> Iterator[int]:
    group = mount / path.lstrip("/")
    # Inside a container the path may be that of the host, and the group itself is then mounted at the top.
    for folder in (group, *group.parents):
        most, now = _number(folder / limit), _number(folder / taken)
        if most is not None and now is not None:
            yield most - now + _reclaimable(folder / "memory.stat")
        if folder == mount:
            return


def _reclaimable(stat: Path) -> int:
    """Bytes of files that are cached and unused: counted as taken, and given back on demand."""
    for line in _lines(stat):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdigit() else None  # "max": no limit


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
