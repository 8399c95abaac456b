"""What is installed: protocols, workshops and commands, found by entry point. The mesh imports none of them by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from mesh.errors import BadInput, ConfigError
from mesh.protocol import Means, Protocol
from mesh.workshop import Workshop

__all__ = [
    "COMMANDS",
    "PROTOCOLS",
    "WORKSHOPS",
    "Installed",
    "find_workshop",
    "load",
    "load_protocol",
    "load_protocols",
    "load_workshop",
]

K = TypeVar("K")

PROTOCOLS = "mesh.protocols"
"""Group of `factory(means: Means) -> Protocol`."""

WORKSHOPS = "mesh.workshops"
"""Group of `factory() -> Workshop`, each under the name of the protocol whose models it makes."""

COMMANDS = "mesh.commands"
"""Group of click commands that are added to `mesh`."""


@dataclass(frozen=True, slots=True)
class Installed:
    """The protocols of a node.

    Attributes:
        protocols: those that loaded.
        missing: for each that is installed and did not load, why, as a sentence.
    """

    protocols: tuple[Protocol[Any, Any, Any], ...]
    missing: Mapping[str, str]


def load(group: str, name: str) -> Any:
    """What is installed under `name`.

    Raises:
        ConfigError: nothing is, or it needs an extra that is not installed.
    """
    return _resolve(_entry(group, name))


def load_protocol(name: str, means: Means) -> Protocol[Any, Any, Any]:
    """One protocol, ready for this device. Raises ConfigError as `load` does."""
    return _made(_entry(PROTOCOLS, name), Protocol, means)  # type: ignore[type-abstract]


def load_protocols(wanted: Sequence[str], means: Means) -> Installed:
    """The protocols named, or every one that is installed.

    Raises:
        ConfigError: one that was named cannot be had. One that nobody named is only reported.
    """
    if wanted:
        return Installed(tuple(load_protocol(name, means) for name in dict.fromkeys(wanted)), {})
    found, missing = [], {}
    for entry in sorted(entry_points(group=PROTOCOLS), key=lambda entry: entry.name):
        try:
            found.append(_made(entry, Protocol, means))  # type: ignore[type-abstract]
        except ConfigError as error:
            missing[entry.name] = str(error)
    return Installed(tuple(found), missing)


def load_workshop(name: str) -> Workshop:
    """The workshop for a protocol's models. Raises ConfigError as `load` does."""
    return _made(_entry(WORKSHOPS, name), Workshop)  # type: ignore[type-abstract]


def find_workshop(source: Path, protocol: str | None = None) -> Workshop:
    """The workshop for a model file.

    Args:
        protocol: whose models it is to make; None takes the first, by name, that reads files with this ending, of those
            that need not be asked for.

    Raises:
        ConfigError: as `load` does.
        BadInput: none of those installed reads such a file; the message says what they read.
    """
    names = sorted(entry_points(group=WORKSHOPS).names) if protocol is None else [protocol]
    found = {name: load_workshop(name) for name in names}
    for workshop in found.values():
        if source.suffix.lower() in workshop.suffixes and (protocol is not None or not workshop.on_request):
            return workshop
    known = ", ".join(suffix for workshop in found.values() for suffix in workshop.suffixes) or "none"
    raise BadInput(f"{source} is no model file that can be read here. Those that can: {known}.")


def _entry(group: str, name: str) -> EntryPoint:
    for entry in entry_points(group=group, name=name):
        return entry
    known = ", ".join(sorted(entry_points(group=group).names)) or "none"
    raise ConfigError(f"{name[:80]!r} is not installed. In {group} are: {known}.")


def _made(entry: EntryPoint, kind: type[K], *arguments: object) -> K:
    factory = _resolve(entry)
    try:
        made = factory(*arguments)
    except ImportError as error:
        raise _unloadable(entry, error) from error
    if not isinstance(made, kind):
        raise ConfigError(f"{entry.name}: {entry.value} makes no {kind.__name__}: its package needs mending.")
    return made


def _resolve(entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise _unloadable(entry, error) from error


def _unloadable(entry: EntryPoint, error: Exception) -> ConfigError:
    if isinstance(error, ModuleNotFoundError):
        extra = ",".join(entry.extras) or "all"
        return ConfigError(f"{entry.name} needs {error.name}, which is not installed: pip install 'veilmesh[{extra}]'.")
    return ConfigError(f"{entry.name}: {entry.value} cannot be loaded: {error}.")
