"""Where settings come from: a flag, else the environment, else a file, else the default. Nobody else reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mesh.config import NodeConfig, from_text, parse_toml
from mesh.errors import ConfigError

__all__ = ["Places", "Settings", "settings"]

_PREFIX = "MESH_"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie when nobody says otherwise.

    Attributes:
        file: the configuration; it need not exist.
        state: what the node keeps.
        control: the socket of the node.
    """

    file: Path
    state: Path
    control: Path

    @classmethod
    def usual(cls, environ: Mapping[str, str], *, root: bool) -> Places:
        """The system's folders for root, and the XDG ones for anybody else."""
        if root:
            return cls(Path("/etc/mesh/mesh.toml"), Path("/var/lib/mesh"), Path("/run/mesh/control.sock"))
        home = Path(environ.get("HOME") or "/")
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        state = Path(environ.get("XDG_STATE_HOME") or home / ".local/state") / "mesh"
        runtime = environ.get("XDG_RUNTIME_DIR")
        return cls(config / "mesh/mesh.toml", state, Path(runtime) / "mesh/control.sock" if runtime else _beside(state))


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force.

    Attributes:
        origins: where each comes from, in words.
    """

    config: NodeConfig
    origins: Mapping[str, str]


def settings(
    flags: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    places: Places | None = None,
) -> Settings:
    """The settings in force.

    Args:
        flags: by name, as a person gave them on the command line or in a call; None values count as not given.
        file: the configuration; None is `MESH_CONFIG`, or the usual one, if it exists.
        environ: None is this process's environment. Every setting can be given there as `MESH_<NAME>`.
        places: None is the usual ones of whoever runs this.

    Raises:
        ConfigError: the file cannot be read, or a setting cannot be; says which, and where it comes from.
    """
    environ = os.environ if environ is None else environ
    places = places or Places.usual(environ, root=os.geteuid() == 0)
    names = {field.name for field in msgspec.structs.fields(NodeConfig)}
    values, origins = _from_file(file, environ, places)
    for name in sorted(names):
        if (word := environ.get(_PREFIX + name.upper())) is not None:
            values[name], origins[name] = _from_word(name, word), f"environment, {_PREFIX}{name.upper()}"
    for name, value in (flags or {}).items():
        if value is not None:
            values[name], origins[name] = value, "flag"
    values.setdefault("state", places.state)
    # Several nodes on one device differ in their state folder, and then want a socket each without being told to.
    values.setdefault("control", _beside(Path(values["state"])) if "state" in origins else places.control)
    for name in ("state", "control"):
        values[name] = Path(str(values[name])).expanduser().absolute()
    return Settings(NodeConfig.of(values), {name: origins.get(name, "default") for name in sorted(names)})


def _from_file(file: Path | None, environ: Mapping[str, str], places: Places) -> tuple[dict[str, Any], dict[str, str]]:
    named = file or (Path(environ[_PREFIX + "CONFIG"]) if environ.get(_PREFIX + "CONFIG") else None)
    path = named or places.file
    try:
        values = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{path}: there is no such file.") from None
        return {}, {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return values, dict.fromkeys(values, f"file, {path}")


def _from_word(name: str, word: str) -> object:
    try:
        return from_text(name, word)
    except ConfigError as error:
        raise ConfigError(f"{_PREFIX}{name.upper()} in the environment: {error}") from error


def _beside(state: Path) -> Path:
    return state / "control.sock"
