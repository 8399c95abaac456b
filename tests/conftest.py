"""What holds for every test: nothing is left behind, and a tier that is not allowed here says why.

That warnings are errors is set in `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")

_OPEN = Path("/proc/self/fd")
_TASKS = Path("/proc/self/task")
_GRACE = 20
"""Twentieths of a second that a socket has to be closed by somebody else; one that was forgotten stays open."""
_RUNNER = "_function_scoped_runner"  # pytest-asyncio's; every asynchronous test has one of its own


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test ends with the threads, tasks, sockets and child processes that it began with."""
    runner: asyncio.Runner | None = request.getfixturevalue(_RUNNER) if _RUNNER in request.fixturenames else None
    before = (threads := set(threading.enumerate()), _sockets(), _children())
    tasks = asyncio.all_tasks(runner.get_loop()) if runner else set()
    yield
    left = [f"thread {thread.name}" for thread in _running(threads)]
    if runner:
        left += [f"task {task.get_coro()}" for task in asyncio.all_tasks(runner.get_loop()) - tasks]
    left += [f"child process {pid}" for pid in _children() - before[2]]
    left += [f"open {name}" for name in _leaked_sockets(before[1])]
    assert [] == left


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tier of namespaces where the kernel or its keeper does not allow them."""
    if item.get_closest_marker("netns") and (reason := _why_no_namespaces()):
        pytest.skip(reason)


@functools.cache
def _why_no_namespaces() -> str:
    try:
        tried = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "true"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "no network namespaces: there is no `unshare` on this machine"
    return f"no network namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def _running(before: set[threading.Thread]) -> list[threading.Thread]:
    for thread in set(threading.enumerate()) - before:
        thread.join(1.0)  # one that is on its way out is given the time
    return [thread for thread in threading.enumerate() if thread not in before]


def _children() -> set[str]:
    found: set[str] = set()
    for task in _TASKS.iterdir() if _TASKS.exists() else ():
        try:
            found |= set((task / "children").read_text().split())
        except OSError:
            continue  # that thread has just ended
    return found


def _leaked_sockets(before: set[str]) -> set[str]:
    if _sockets() - before:
        gc.collect()
    for _ in range(_GRACE):
        if not _sockets() - before:
            break
        threading.Event().wait(0.05)  # a thread that looks a name up has sockets of its own, for a moment
    return _sockets() - before


def _sockets() -> set[str]:
    found: set[str] = set()
    for entry in os.listdir(_OPEN) if _OPEN.exists() else ():  # noqa: PTH208 - a Path for each of them costs too much
        try:
            name = os.readlink(_OPEN / entry)  # noqa: PTH115
        except OSError:
            continue  # the listing's own
        if name.startswith("socket:"):
            found.add(name)
    return found
