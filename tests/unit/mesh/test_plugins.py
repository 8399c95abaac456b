"""What is installed is found by name, and what is missing is a sentence."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from mesh import plugins
from mesh.errors import BadInput, ConfigError
from mesh.plugins import PROTOCOLS, WORKSHOPS, find_workshop, load_protocol, load_protocols
from mesh.protocol import Means
from protocols.echo import Echo
from protocols.workshop import OnnxWorkshop, PrivateWorkshop

ECHO = EntryPoint("echo", "protocols.echo:create", PROTOCOLS)
TORCH = EntryPoint("private", "no_such_module.private:create [private]", PROTOCOLS)
GONE = EntryPoint("gone", "protocols.echo:nothing", PROTOCOLS)
ODD = EntryPoint("odd", "builtins:repr", PROTOCOLS)
ONNX = EntryPoint("sharded", "protocols.workshop:OnnxWorkshop", WORKSHOPS)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """These and no others, whatever is installed here."""
    found = EntryPoints((ECHO, TORCH, GONE, ONNX))
    monkeypatch.setattr(plugins, "entry_points", found.select)


def test_whatever_loads_is_taken_and_the_rest_is_reported() -> None:
    """A missing extra keeps no node from starting, unless it was asked for by name."""
    installed = load_protocols((), Means())
    assert ["echo"] == [protocol.name for protocol in installed.protocols]
    assert {"gone", "private"} == set(installed.missing)
    assert "pip install 'veilmesh[private]'" in installed.missing["private"]
    with pytest.raises(ConfigError, match=r"veilmesh\[private\]"):
        load_protocols(("echo", "private"), Means())


def test_a_protocol_is_made_once_however_often_it_is_named() -> None:
    """Two of one name would not know whose the messages are."""
    assert 1 == len(load_protocols(("echo", "echo"), Means()).protocols)


def test_what_is_not_installed_is_told_with_what_is() -> None:
    """A misspelt name shows its neighbours."""
    with pytest.raises(ConfigError, match=r"In mesh\.protocols are: echo, gone, private"):
        load_protocol("ecco", Means())
    with pytest.raises(ConfigError, match="cannot be loaded"):
        load_protocol("gone", Means())


def test_a_package_that_promises_a_protocol_and_makes_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its author made the mistake, and not the person who reads the sentence."""
    monkeypatch.setattr(plugins, "entry_points", EntryPoints((ODD,)).select)
    with pytest.raises(ConfigError, match="makes no Protocol"):
        load_protocol("odd", Means())


def test_a_model_file_finds_its_workshop() -> None:
    """By its ending, or by the protocol that is to run it."""
    assert isinstance(load_protocol("echo", Means()), Echo)
    assert isinstance(find_workshop(Path("a.ONNX")), OnnxWorkshop)
    assert isinstance(find_workshop(Path("a.onnx"), "sharded"), OnnxWorkshop)
    with pytest.raises(BadInput, match=r"Those that can: \.onnx"):
        find_workshop(Path("a.pt"))
    with pytest.raises(ConfigError, match=r"In mesh\.workshops are: sharded"):
        find_workshop(Path("a.onnx"), "echo")


def test_a_workshop_that_waits_to_be_asked_comes_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it reads the same files and comes first by name."""
    asked = EntryPoint("private", "protocols.workshop:PrivateWorkshop", WORKSHOPS)
    monkeypatch.setattr(plugins, "entry_points", EntryPoints((asked, ONNX)).select)
    assert OnnxWorkshop is type(find_workshop(Path("a.onnx")))
    assert PrivateWorkshop is type(find_workshop(Path("a.onnx"), "private"))
