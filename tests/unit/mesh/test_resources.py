"""What can be lent is the least of what owner, control groups and kernel leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.resources import Memory, usage

GB = 10**9


def kernel(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:   4000000 kB\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_limits_it_is_what_the_kernel_has(tmp_path: Path) -> None:
    """MemAvailable, which is given in kibibytes."""
    assert 4_000_000 * 1024 == Memory(root=kernel(tmp_path, {})).available()


@pytest.mark.parametrize("path", ["/", "/system.slice/mesh.service"])
def test_a_group_of_version_2_leaves_its_limit_less_its_use(tmp_path: Path, path: str) -> None:
    """Cached files count as free; a limit on a group further out counts too."""
    root = kernel(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{path}\n",
            "sys/fs/cgroup/memory.max": "2000000000\n",
            "sys/fs/cgroup/memory.current": "1500000000\n",
            "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 100000000\n",
        },
    )
    assert 600_000_000 == Memory(root=root).available()


def test_a_group_without_a_limit_leaves_everything(tmp_path: Path) -> None:
    """Version 2 writes "max"."""
    files = {"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "1\n"}
    root = kernel(tmp_path, {"proc/self/cgroup": "0::/\n", **files})
    assert 4_000_000 * 1024 == Memory(root=root).available()


def test_a_group_of_version_1_is_found_at_its_own_mount(tmp_path: Path) -> None:
    """Where each kind of resource has a hierarchy of its own."""
    root = kernel(
        tmp_path,
        {
            "proc/self/cgroup": "9:cpu,cpuacct:/\n4:memory:/box\n0::/\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "3000000000\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": "1000000000\n",
        },
    )
    assert 2 * GB == Memory(root=root).available()


def test_an_exhausted_group_leaves_nothing(tmp_path: Path) -> None:
    """Not less than nothing."""
    files = {"sys/fs/cgroup/memory.max": "10\n", "sys/fs/cgroup/memory.current": "20\n"}
    assert 0 == Memory(root=kernel(tmp_path, {"proc/self/cgroup": "0::/\n", **files})).available()


def test_the_owner_lends_no_more_than_was_said(tmp_path: Path) -> None:
    """The owner's limit holds, less what this process has taken since."""
    held = Memory(GB, root=kernel(tmp_path, {}))
    assert 0 < held.available() <= GB


def test_a_kernel_that_does_not_tell_lends_nothing(tmp_path: Path) -> None:
    """Better than to promise what may not be there."""
    assert 0 == Memory(root=tmp_path).available()


def test_this_process_uses_something() -> None:
    """Seconds and bytes, not ticks and pages."""
    used = usage()
    assert used.cpu > 0
    assert 2**20 < used.memory < 2**40
