"""Where traces are looked for: every link as an onlooker has it, what each device was sent in clear, logs and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scenarios.evidence.flows import sorted_out
from scenarios.evidence.opened import Keys, Opened, opened
from scenarios.evidence.traces import Found, Traces, planted

__all__ = ["Overheard", "Verdict", "examined", "files_of", "overheard"]

_GAP = b"\0" * 16


@dataclass(frozen=True, slots=True)
class Overheard:
    """All that went over the links.

    Attributes:
        links: every stream and datagram as it was sent, one after the other.
        received: by device, what it was sent by others, decrypted.
        connections: how many were opened with their ends' keys.
        closed: bytes of connections for which the two ends never agreed on keys for data, so that none was sent.
        pairs: between whom, and how many connections.
    """

    links: bytes
    received: Mapping[str, bytes]
    connections: int
    closed: int
    pairs: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One place, searched.

    Attributes:
        place: for people.
        size: bytes that were looked through.
        found: pieces of secrets.
        missed: forms (secret, form) that were planted in a copy of it, and not found again: best none.
    """

    place: str
    size: int
    found: Sequence[Found]
    missed: Sequence[tuple[str, str]]


def overheard(packets: Iterable[bytes], devices: Sequence[str], keys: Path) -> Overheard:
    """What went between the devices, opened with the keys that they wrote down in that folder.

    Raises:
        ValueError: the capture has a hole.
    """
    flows, datagrams = sorted_out(packets)
    if lacking := sum(flow.missing for flow in flows):
        raise ValueError(f"{lacking} bytes are missing from the capture")
    clients, servers = ({name: Keys.read(keys / f"{name}.{side}") for name in devices} for side in ("client", "server"))
    told = [(flow, opened(flow, clients, servers)) for flow in flows]
    known = [one for _, one in told if one is not None]
    pairs: dict[tuple[str, str], int] = {}
    for one in known:
        pairs[one.client, one.server] = pairs.get((one.client, one.server), 0) + 1
    said = [half for flow in flows for half in (flow.said, flow.answered)]
    return Overheard(
        _GAP.join([*said, *(datagram.data for datagram in datagrams)]),
        {name: _GAP.join(_sent_to(name, known)) for name in devices},
        len(known),
        sum(len(flow.said) + len(flow.answered) for flow, one in told if one is None),
        pairs,
    )


def files_of(folder: Path) -> bytes:
    """The content of every file below a folder, with their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return _GAP.join(part for path in files for part in (str(path).encode(), path.read_bytes()))


def examined(places: Mapping[str, bytes], traces: Traces, random: np.random.Generator) -> list[Verdict]:
    """Search every place, and then a copy of it in which something is sure to be found."""
    verdicts = []
    for place, data in places.items():
        canary, laid = planted(traces, data, random)
        again = {(found.secret, found.form) for found in traces.search(canary)}
        verdicts.append(Verdict(place, len(data), traces.search(data), sorted(laid - again)))
    return verdicts


def _sent_to(name: str, known: Iterable[Opened]) -> list[bytes]:
    return [half for one in known for end, half in ((one.server, one.said), (one.client, one.answered)) if end == name]
