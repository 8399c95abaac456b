"""What a person may set, what each setting costs, and how settings are written down. Reads no file, no environment."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import msgspec

from mesh.errors import ConfigError

__all__ = ["LOG_FORMATS", "LOG_LEVELS", "NodeConfig", "Size", "from_text", "parse_toml", "to_toml"]

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "text", "json", "journal"]
LOG_LEVELS: tuple[str, ...] = get_args(LogLevel)
LOG_FORMATS: tuple[str, ...] = get_args(LogFormat)

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_PEER = re.compile(r"[a-z2-7]{51}[aq]")
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_SOCKET_PATH = 107
"""Bytes of the longest path that Linux gives a Unix socket."""


class Size(int):
    """A number of bytes, which may be written "512MB" or "2GiB"."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ConfigError."""
        found = _SIZE.fullmatch(str(value).strip())
        unit = found[2].upper() if found else "?"
        if found is None or unit not in _UNITS or isinstance(value, bool):
            raise ConfigError(f"{str(value)[:40]!r} is no size: write bytes, or for instance 512MB or 2GiB.")
        return cls(round(float(found[1]) * _UNITS[unit]))


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set on a node. Made by `mesh.settings.settings`, by a preset, or by `from_toml`."""

    state: Path
    """Folder of what the node keeps: `identity/`, `store/`, `models/`. Models take as much room as they are large."""

    control: Path
    """Unix socket where commands and programs of this device talk to the node. Whoever may open it, may use the node.
    At most 107 bytes long."""

    port: int = 7411
    """TCP port for other nodes; 0 takes any free one. Several nodes on one device need one each."""

    listen: tuple[str, ...] = ()
    """Addresses to listen at. Empty: those of `interfaces`, or every IPv4 address where that is empty too."""

    join_port: int = 7412
    """TCP port at which new devices are let in, where this device holds the authority's key; 0 takes any free one. The
    one port that strangers may talk to."""

    passphrase_file: str = ""
    """File whose first line unlocks the authority's key, where this device holds it and it is locked."""

    interfaces: tuple[str, ...] = ()
    """Network interfaces to announce on and to listen on, such as "eth0". Empty: all but bridges of containers and
    virtual machines. Each one more shows this device's id and port to one more network."""

    peers: tuple[str, ...] = ()
    """Peers that multicast does not reach, each "id@host:port". Each is asked whenever helpers are looked for, and
    costs a job that looks up to 2 s while it is down."""

    discovery: bool = True
    """Announce this node by mDNS, and hear of others. False: only `peers` are found, and nobody finds us."""

    owner: str = ""
    """Whose device this is. Private protocols never trust two devices of one owner as if they were two people."""

    memory: Size = Size(0)
    """Bytes lent to the mesh at most, "512MB" for instance; 0: whatever is free. Never more than is free at the time.
    Raising it lets others' models push this device's own programs out of memory."""

    threads: int = 1
    """Threads that one model may compute with. Raising it answers sooner, and takes cores from everything else here."""

    seats: int = 32
    """Sessions at once. Each may hold a part of a model, so memory is offered `seats` times over in the worst case."""

    heartbeat: float = 2.0
    """Seconds between pings. A peer that vanished is noticed within 1.5 * heartbeat; each idle channel costs
    2 / heartbeat packets a second. Equal throughout a mesh."""

    offers: tuple[str, ...] = ()
    """Private models of this device that others may have computed, each "NAME=PEER": a peer's id, or "anyone" of the
    mesh; "*" for every model. They learn the model's operators and shapes, and may copy it by asking often."""

    receives: tuple[str, ...] = ()
    """Peers whose private jobs may name this device as a receiver of answers: ids, or "anyone" of the mesh. What comes
    is kept until it is over, at most 1 GiB from each."""

    parties: tuple[str, ...] = ()
    """Peers that may hold shares of private models and inputs of this device: ids. Empty: any three of different
    owners, by what they say of themselves. Naming them is what protects from one person with three devices."""

    tables: tuple[str, ...] = ()
    """Data of this device that models may learn from, each "NAME=FILE": a CSV or NPZ file, read when it is needed. It
    never leaves the device but as shares, and none of it does for anyone whom `trains` does not name."""

    trains: tuple[str, ...] = ()
    """Who may have models trained on shares of those, and be told the model, each "NAME=PEER": a peer's id, or "anyone"
    of the mesh; "*" for every table. A model tells of its data what a model tells."""

    losses: tuple[str, ...] = ()
    """Names of tables of which a loss may be told while a model is trained; "*" for every one. Each loss tells a little
    of the rows of one batch."""

    boxes: str = ""
    """TCP ports at which sessions' child processes listen for their fellows, "7420-7439" for instance, for a firewall
    to let through. Each session takes one while it forms. Empty: any free one."""

    protocols: tuple[str, ...] = ()
    """Protocols that this node takes part in. Empty: every one that is installed and loads."""

    log_level: LogLevel = "info"
    """"debug" writes a line for each request of a peer."""

    log_format: LogFormat = "auto"
    """"auto" is text, with colours on a terminal, and in the journal's form where stderr is the journal."""

    def __post_init__(self) -> None:
        for trouble in self._troubles():
            raise ConfigError(trouble)

    @classmethod
    def lan(cls, state: Path, control: Path) -> NodeConfig:
        """For devices that share a local network."""
        return cls(state=state, control=control)

    @classmethod
    def loopback(cls, state: Path) -> NodeConfig:
        """For several nodes on one device that nobody else shall see: any port, quick heartbeats, a socket each."""
        return cls(state=state, control=state / "control.sock", port=0, join_port=0, interfaces=("lo",), heartbeat=1.0)

    @classmethod
    def from_toml(cls, text: str, *, state: Path, control: Path) -> NodeConfig:
        """A configuration file's content.

        Args:
            state, control: taken where the text does not name them.

        Raises:
            ConfigError: no TOML, an unknown key, or a value that cannot be; the message names the key.
        """
        return cls.of({"state": state, "control": control} | parse_toml(text))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> NodeConfig:
        """Settings by name, as TOML would give them. Raises ConfigError."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        try:
            return msgspec.convert(plain, cls, dec_hook=_typed)
        except msgspec.ValidationError as error:
            raise ConfigError(_sentence(error)) from error

    @property
    def authority(self) -> Path:
        """Where the authority is, on the device that founded the mesh."""
        return self.state / "authority"

    @property
    def box_ports(self) -> tuple[int, int]:
        """First and last of `boxes`; 0 and 0 for any."""
        found = _PORTS.fullmatch(self.boxes)
        return (int(found[1]), int(found[2] or found[1])) if found else (0, 0)

    @property
    def identity(self) -> Path:
        """Where this node's key and certificates are."""
        return self.state / "identity"

    def _strangers(self) -> list[str]:
        """What names neither a peer nor anyone, and what names no file."""
        found = [
            f"offers: {offer[:80]!r} is none; write NAME=PEER, PEER being an id of 52 characters, or anyone."
            for offer in self.offers
            if not offer.partition("=")[0] or not _is_somebody(offer.partition("=")[2])
        ]
        found += [
            f"trains: {word[:80]!r} is none; write NAME=PEER, PEER being an id of 52 characters, or anyone."
            for word in self.trains
            if not word.partition("=")[0] or not _is_somebody(word.partition("=")[2])
        ]
        found += [
            f"tables: {word[:80]!r} is none; write NAME=FILE." for word in self.tables if not all(word.partition("="))
        ]
        for name, peers in (("receives", self.receives), ("parties", self.parties)):
            found += [f"{name}: {who[:80]!r} is no id of a peer, nor anyone." for who in peers if not _is_somebody(who)]
        return found

    def _troubles(self) -> list[str]:
        found = []
        if not 0 <= self.port < 2**16:
            found.append(f"port: {self.port} is none; use 1 to 65535, or 0 for any free one.")
        if not 0 <= self.join_port < 2**16:
            found.append(f"join_port: {self.join_port} is none; use 1 to 65535, or 0 for any free one.")
        if not 0.1 <= self.heartbeat <= 3600:
            found.append(f"heartbeat: {self.heartbeat:g} s makes no sense; use 0.1 to 3600.")
        if not 1 <= self.threads <= 1024:
            found.append(f"threads: {self.threads} makes no sense; use 1 to the number of cores.")
        first, last = self.box_ports
        if self.boxes and not 0 < first <= last < 2**16:
            found.append(f"boxes: {self.boxes[:40]!r} is no range of ports; write for instance 7420-7439.")
        found += self._strangers()
        if not 1 <= self.seats <= 10_000:
            found.append(f"seats: {self.seats} makes no sense; use 1 to 10000.")
        if len(str(self.control).encode()) > _SOCKET_PATH:
            found.append(f"control: {self.control} is longer than the {_SOCKET_PATH} bytes of a socket's path.")
        return found


def _is_somebody(who: str) -> bool:
    return who == "anyone" or _PEER.fullmatch(who) is not None


def parse_toml(text: str) -> dict[str, Any]:
    """TOML as a table. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"no TOML: {error}.") from error


def from_text(name: str, text: str) -> object:
    """One setting from a word of the environment; lists are separated by blanks.

    Raises:
        ConfigError: the word cannot be that setting.
    """
    kinds = {field.name: field.type for field in msgspec.structs.fields(NodeConfig)}
    if kinds[name] == tuple[str, ...]:
        return tuple(text.split())
    if kinds[name] in (Path, Size):
        return text
    try:
        return msgspec.convert(text, kinds[name], strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {error}.") from error


def to_toml(config: NodeConfig, notes: Mapping[str, str] | None = None) -> str:
    """The configuration as a file that gives it again.

    Args:
        notes: a comment for each of these settings.
    """
    lines = []
    for field in msgspec.structs.fields(type(config)):
        note = f"  # {notes[field.name]}" if notes and field.name in notes else ""
        lines.append(f"{field.name} = {_toml(getattr(config, field.name))}{note}\n")
    return "".join(lines)


def _toml(value: object) -> str:
    # Of the values that occur here, JSON writes every one as TOML does.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)


def _typed(kind: type, value: Any) -> Any:
    if kind is Size:
        try:
            return Size.parse(value)
        except ConfigError as error:
            raise ValueError(str(error).removesuffix(".")) from error  # msgspec adds the key
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} has no form in a configuration")


def _sentence(error: msgspec.ValidationError) -> str:
    what, _, where = str(error).partition(" - at ")
    if what.startswith("Object contains unknown field"):
        known = ", ".join(field.name for field in msgspec.structs.fields(NodeConfig))
        return f"{what.removeprefix('Object contains ')}: the settings are {known}."
    key = where.strip("`").removeprefix("$.")
    for name, words in (("log_level", LOG_LEVELS), ("log_format", LOG_FORMATS)):
        if key == name:
            return f"{key}: expected one of {', '.join(words)}."
    return f"{key}: {what[:1].lower()}{what[1:]}." if key else f"{what}."
