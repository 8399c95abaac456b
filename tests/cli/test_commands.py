"""What each command says when there is nothing to do it with: one line, and an exit code that a script can use."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from mesh import errors
from mesh.cli import cli, exit_code, run
from mesh.errors import MeshError, PeerError

COMMANDS = [
    "init", "invite", "join", "leave", "up", "status", "peers", "models", "infer", "train", "results", "demo",
    "explain", "doctor", "ca", "config", "version",
]  # fmt: skip


@pytest.fixture(autouse=True)
def nobody_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No settings of this machine, and no node."""
    for name in ("MESH_CONFIG", "MESH_CONTROL", "MESH_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MESH_STATE", str(tmp_path / "state"))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def every_command() -> list[tuple[str, ...]]:
    """Groups and what is in them."""
    context, found = click.Context(cli), []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in command.list_commands(context)]
    return found


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_help_has_an_example(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads it can copy a line, and run it."""
    code, out, _ = said(capsys, *words, "--help")
    assert 0 == code
    assert f"  mesh {' '.join(words)}" in out.partition("Usage:")[2].partition("\n")[2]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """In one screen."""
    _, out, _ = said(capsys, "--help")
    assert COMMANDS == [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()]
    assert len(out.splitlines()) <= 32


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ("frobnicate", 2, "no such command 'frobnicate'"),
        ("up --port many", 2, "try `mesh up --help`"),
        ("infer junction", 2, "missing option '--input'"),
        ("status", 75, "start one with `mesh up`"),
        ("peers", 75, "start one with `mesh up`"),
        ("models list", 75, "start one with `mesh up`"),
        ("models add m m.onnx", 75, "start one with `mesh up`"),
        ("infer m --input x.npy", 75, "start one with `mesh up`"),
        ("up", 77, "`mesh ca issue`"),
        ("up --config /nowhere/mesh.toml", 78, "no such file"),
        ("up --heartbeat 0", 78, "heartbeat"),
        ("up --memory lots", 78, "memory"),
        ("explain nothing", 78, "is not installed"),
        ("ca issue --authority /nowhere", 77, "no key at"),
        ("ca init {} --mesh X", 77, "cannot name a mesh"),
        ("ca init {} --mesh x --policy /nowhere", 1, "cannot be read"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    words: str, code: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cause and cure on stderr, nothing on stdout, no traceback."""
    found, out, err = said(capsys, *words.format(tmp_path / "new").split())
    assert (code, "") == (found, out)
    assert sentence in err.lower()
    assert err.startswith("mesh: ")
    assert 1 == err.count("\n")


def test_every_error_has_its_exit_code() -> None:
    """77 for who we are, 78 for settings, 75 for what another try may mend, 1 for the rest."""
    kinds = [getattr(errors, name) for name in errors.__all__ if name[0].isupper()]
    codes: dict[int, set[str]] = {}
    for kind in kinds:
        made: MeshError = kind("a" * 52, "x") if issubclass(kind, PeerError) else _made(kind)
        codes.setdefault(exit_code(made), set()).add(kind.__name__)
    assert {"IdentityError"} == codes[77]
    assert {"ConfigError"} == codes[78]
    assert {kind.__name__ for kind in kinds if kind.retry} == codes[75]
    assert {1, 75, 77, 78} == set(codes)


def test_a_mesh_is_founded_and_devices_admitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By three commands, each of which says what it made."""
    code, out, _ = said(capsys, "ca", "init", tmp_path / "ca", "--mesh", "oak-street", "--json")
    assert (0, "oak-street") == (code, json.loads(out)["mesh"])
    code, out, _ = said(capsys, "ca", "issue", "--authority", tmp_path / "ca", "--json")
    assert 0 == code
    assert str(tmp_path / "state" / "identity") == json.loads(out)["folder"]
    code, _, err = said(capsys, "ca", "issue", "--authority", tmp_path / "ca")
    assert 77 == code
    assert "exists already" in err


def test_the_settings_in_force_are_a_file_that_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mesh config show > mesh.toml`, and nothing has changed; each line says where it comes from."""
    monkeypatch.setenv("MESH_PORT", "7500")
    _, shown, _ = said(capsys, "config", "show")
    assert "port = 7500  # environment, MESH_PORT\n" in shown
    monkeypatch.delenv("MESH_PORT")
    (tmp_path / "mesh.toml").write_text(shown)
    _, out, _ = said(capsys, "config", "show", "--config", tmp_path / "mesh.toml", "--json")
    assert {"value": 7500, "from": f"file, {tmp_path / 'mesh.toml'}"} == json.loads(out)["port"]


@pytest.mark.parametrize("protocol", ["", "echo", "sharded"])
def test_explain_says_of_every_word_what_it_reveals(protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Printed from the code that sends them, so that it cannot drift."""
    code, out, _ = said(capsys, "explain", *([protocol] if protocol else []), "--json")
    report = json.loads(out)
    assert 0 == code
    assert all(word["reveals"] and word["says"] for word in (*report["words"], *report["control"]))
    assert bool(protocol) == bool(report["words"]) == bool(report["promises"])
    code, text, _ = said(capsys, "explain", *([protocol] if protocol else []))
    assert 0 == code
    assert all(word["kind"] in text and word["reveals"] in text for word in report["words"])


def test_version_says_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    """Enough for a report of a bug."""
    _, out, _ = said(capsys, "version", "--json")
    assert {"veilmesh", "python", "machine", "onnxruntime", "aiohttp"} <= set(json.loads(out))


def _made(kind: type[MeshError]) -> MeshError:
    return kind("x", 1.0) if kind is errors.Busy else kind("x")  # type: ignore[call-arg]
