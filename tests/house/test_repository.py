"""What is in the repository, and what is not."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, entry_points, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.source import OURS, ROOT

GROUPS = ("mesh.protocols", "mesh.workshops", "mesh.commands", "console_scripts")
_SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20}")
_PLACES = re.compile(rb"/(?:work|farm)/[a-z]|/root/|/Users/[a-z]|/tmp/br" + rb"ief")


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout of git")
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_secret_and_no_machine_is_in_the_repository() -> None:
    """No private key, and no path that exists on one person's machine only."""
    for name in _tracked():
        data = (ROOT / name).read_bytes()
        assert not _SECRET.search(data), f"{name} holds a private key"
        if b"\0" not in data[:4096] and name != "tests/house/test_repository.py":
            found = _PLACES.search(data)
            assert found is None, f"{name} names the place {found.group()!r}"


def test_nothing_that_is_made_is_tracked() -> None:
    """Keys, caches and builds stay out."""
    made = re.compile(r"(^|/)(__pycache__|build|dist|\.venv|.*\.egg-info)(/|$)|\.(pyc|key|pem|p12|so)$")
    assert [] == [name for name in _tracked() if made.search(name)]


@pytest.mark.parametrize("group", GROUPS)
def test_every_entry_point_leads_somewhere(group: str) -> None:
    """What `pyproject.toml` promises is there to be loaded."""
    ours = [entry for entry in entry_points(group=group) if entry.dist and entry.dist.name == "veilmesh"]
    for entry in ours:
        assert callable(entry.load()), entry


def test_everything_that_is_installed_for_us_is_pinned() -> None:
    """`constraints.txt` names one version of each distribution that any of our extras needs."""
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert [] == [line for line in lines if "==" not in line]
    assert len(set(pinned)) == len(pinned)
    assert set() == _needed() - set(pinned)


def _needed() -> set[str]:
    found: set[tuple[str, str]] = set()
    waiting = [("veilmesh", extra) for extra in ("", "all", "dev")]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            needs = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue  # of another platform, or of an extra that is not installed here
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(need.name), one) for one in ("", *need.extras)]
    return {name for name, _ in found if name not in ("veilmesh", "setuptools", "pip") and _installed(name)}


def _installed(name: str) -> bool:
    try:
        requires(name)
    except PackageNotFoundError:
        return False
    return True


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "tool",
    [["ruff", "check", "."], ["ruff", "format", "--check", *OURS, "tests"], ["mypy", "--no-error-summary"]],
    ids=lambda tool: tool[0] + tool[1],
)
def test_the_inspectors_have_nothing_to_say(tool: list[str]) -> None:
    """Style, form and types."""
    said = subprocess.run(
        [sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True, check=False, timeout=290
    )
    assert "" == (said.stdout + said.stderr if said.returncode else "")
