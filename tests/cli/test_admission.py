"""A mesh founded, grown and shrunk by its commands, with real nodes."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.street import mesh, neighbour

QUIET = ("--protocol", "echo")
"""Nodes that start fast."""


def told(*arguments: str | Path, state: Path, code: int = 0) -> Any:
    done = mesh(*arguments, "--json", state=state)
    assert code == done.returncode, done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def test_a_mesh_grows_from_one_device(tmp_path: Path) -> None:
    """`init`, `up`, `invite` here and `join`, `up` there: then the two see each other. After `leave` there is one."""
    here, there = tmp_path / "here", tmp_path / "there"
    first = told("init", "--mesh", "oak-street", state=here)
    with neighbour(here, *QUIET, "--join-port", "0"):
        token = told("invite", "--note", "the camera", state=here)["token"]
        joined = told("join", token, "--interface", "lo", state=there)
        with neighbour(there, *QUIET) as second:
            assert (joined["mesh"], joined["peer"]) == ("oak-street", second.ready["peer"])
            assert seen_by(there) == {first["peer"]: "ready"}
            assert "runs on" in told("leave", state=there, code=78)
        assert [one["used"] for one in told("invite", "--list", state=here)] == [1]
        assert told("leave", state=there) == {"left": str(there / "identity"), "told": "true"}

    assert first["peer"] != joined["peer"]
    assert [*(there / "identity").iterdir()] == []


def test_what_init_makes_is_private(tmp_path: Path) -> None:
    """Neither key can be read by anybody else, and a second `init` touches neither."""
    told("init", "--mesh", "oak-street", state=tmp_path)
    keys = [tmp_path / "authority" / "authority.key.pem", tmp_path / "identity" / "key.pem"]
    before = [key.read_bytes() for key in keys]

    assert [stat.S_IMODE(key.stat().st_mode) for key in keys] == [0o600, 0o600]
    assert "is not overwritten" in told("init", "--mesh", "elm-street", state=tmp_path, code=77)
    assert [key.read_bytes() for key in keys] == before


def test_a_token_may_come_by_stdin(tmp_path: Path) -> None:
    """`mesh join -` reads it there; where nobody answers, that is said."""
    told("init", "--mesh", "oak-street", state=tmp_path / "here")
    token = told("invite", state=tmp_path / "here")["token"]

    done = mesh("join", "-", "--peer", "127.0.0.1:1", state=tmp_path / "there", stdin=token)

    assert (done.returncode, done.stdout) == (75, "")
    assert "no join door answers at 127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("join", "veil1-abc"), 1, "that is no token"),
        (("invite",), 1, "no authority is kept here"),
        (("invite", "--expires", "soon"), 1, "no span of time"),
        (("leave",), 1, "was not let in by a door"),
        (("init", "--mesh", "Oak Street!"), 77, "cannot name a mesh"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, words: tuple[str, ...], code: int, sentence: str) -> None:
    """One line on stderr, with its cause."""
    if "--expires" in words:
        told("init", "--mesh", "oak-street", state=tmp_path)
    done = mesh(*words, state=tmp_path)

    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr


def test_a_revoked_device_is_shunned_by_all(tmp_path: Path) -> None:
    """`mesh ca revoke` where the authority is kept: within seconds no other node will have to do with that device."""
    here, good, bad = (tmp_path / name for name in ("here", "good", "bad"))
    told("init", "--mesh", "oak-street", state=here)
    with neighbour(here, *QUIET, "--join-port", "0"):
        token = told("invite", "--uses", "2", state=here)["token"]
        for device in (good, bad):
            told("join", token, "--interface", "lo", state=device)
        with neighbour(good, *QUIET), neighbour(bad, *QUIET) as outcast:
            peer = outcast.ready["peer"]
            assert await_state(good, peer, "ready")
            assert told("ca", "revoke", peer, state=here)["spread"] == "true"
            assert await_state(good, peer, "declined")
            assert set(seen_by(bad).values()) == {"declined"}
    assert set(told("ca", "list", state=here)["removed"]) == {peer}


def await_state(device: Path, peer: str, state: str) -> bool:
    """Whether the device comes to see the peer so."""
    # Each question takes as long as its answer, so this is not endless.
    return any(seen_by(device).get(peer) == state for _ in range(10))


def seen_by(device: Path) -> dict[str, str]:
    """Whom it sees of its own mesh; on a busy machine there are others' nodes about."""
    return {one["peer"]: one["state"] for one in told("peers", state=device) if one["state"] != "stranger"}


def test_the_doctor_says_what_is_wrong_and_writes_it_down(tmp_path: Path) -> None:
    """On a device in no mesh it fails, with a cure; on a member nothing fails. Its bundle names nobody."""
    assert "FAIL" in {finding["level"] for finding in told("doctor", state=tmp_path, code=1)}
    peer = told("init", "--mesh", "oak-street", state=tmp_path)["peer"]
    found = told("doctor", "--bundle", tmp_path / "bundle", state=tmp_path)
    written = (tmp_path / "bundle").read_text()

    assert "FAIL" not in {finding["level"] for finding in found}
    assert peer[:7] in str(found)
    assert [secret for secret in (peer[:7], "oak-street", "127.0.0.1", str(tmp_path)) if secret in written] == []
    assert len(json.loads(written)["findings"]) == len(found)
