"""Stands between a box and whoever asked for it, and sees to it that nothing the box has started outlives it.

A box is killed with its process group, but whatever leaves the group, or is orphaned when the box ends, would be left.
So the process that the node starts is a warden: it forks the box, adopts what the box abandons, and ends only when all
of that has ended, with the box's own exit status. It ends the box when it is asked to (SIGTERM), or when the node dies.
It holds no pipe, keeps no secret and does nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections import defaultdict
from pathlib import Path

__all__ = ["stand_guard"]

_PARENT_DIED, _ADOPT = 1, 36  # PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER, from <linux/prctl.h>
_HEARD = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def stand_guard(node: int) -> None:
    """Fork. Returns in the box; the warden stays in here until the box and all it has started are gone, and exits.

    Args:
        node: the process that asked for the box. If it has died already, so do we.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    _end_with(node, signal.SIGTERM)
    warden, box = os.getpid(), os.fork()
    if box:
        _die_as(_guard(box))
    _end_with(warden, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)


def _guard(box: int) -> int:
    """How the box ended, as `os.waitpid` says it, when nothing of it is left."""
    for stream in range(3):  # the node hears of the end by its pipes too: they are the box's alone
        os.close(stream)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ADOPT, 1)
    status: int | None = None
    while status is None and signal.sigwait(_HEARD) == signal.SIGCHLD:
        status = _reap().get(box)
    while True:
        _kill_all()
        try:
            ended, how = os.waitpid(-1, 0)
        except ChildProcessError:
            return signal.SIGKILL if status is None else status
        if ended == box:
            status = how


def _reap() -> dict[int, int]:
    """Who has ended, and how."""
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    return ended


def _kill_all() -> None:
    """All that descends from us. What is orphaned by that becomes ours, and is found the next time."""
    children = defaultdict[int, list[int]](list)
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            children[int(entry.read_text().rpartition(")")[2].split()[1])].append(int(entry.parent.name))
    waiting = list(children[os.getpid()])
    while waiting:
        process = waiting.pop()
        waiting += children[process]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _die_as(status: int) -> None:
    """End as the box has ended, for the node asks us."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def _end_with(parent: int, signal_: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DIED, signal_)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel knew
