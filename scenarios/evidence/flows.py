"""Packets become streams: what each end of every TCP connection said, in order, with no byte missing. Pure."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Datagram", "Door", "Flow", "sorted_out"]

_TCP, _UDP = 6, 17
_SYN, _ACK = 0x02, 0x10
_TURN = 2**32


class Door(NamedTuple):
    """One end of a connection."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Flow:
    """One TCP connection, from its first byte on.

    Attributes:
        client: who began it.
        said: by the client.
        answered: by the server.
        missing: bytes that were acknowledged by nobody's packet in hand: 0 if the capture was whole.
    """

    client: Door
    server: Door
    said: bytes
    answered: bytes
    missing: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP packet."""

    source: Door
    target: Door
    data: bytes


@dataclass(frozen=True, slots=True)
class _Segment:
    source: Door
    target: Door
    flags: int
    number: int
    data: bytes


def sorted_out(packets: Iterable[bytes]) -> tuple[list[Flow], list[Datagram]]:
    """IP packets, in order of arrival, as connections and datagrams."""
    segments, datagrams = [], []
    for packet in packets:
        match _opened(packet):
            case _Segment() as segment:
                segments.append(segment)
            case Datagram() as datagram:
                datagrams.append(datagram)
    return _joined(segments), datagrams


def _opened(packet: bytes) -> _Segment | Datagram | None:
    version = packet[0] >> 4
    if version == 4:
        start, kind = (packet[0] & 15) * 4, packet[9]
        whole = int.from_bytes(packet[2:4]) or len(packet)
        hosts = [".".join(map(str, packet[at : at + 4])) for at in (12, 16)]
    elif version == 6:
        start, kind, whole = 40, packet[6], 40 + int.from_bytes(packet[4:6])
        hosts = [packet[at : at + 16].hex(":", 2) for at in (8, 24)]
    else:
        return None
    body = packet[start:whole]
    if kind not in (_TCP, _UDP) or len(body) < 8:
        return None
    ports = struct.unpack_from("!HH", body)
    source, target = Door(hosts[0], ports[0]), Door(hosts[1], ports[1])
    if kind == _UDP:
        return Datagram(source, target, body[8:])
    return _Segment(source, target, body[13], int.from_bytes(body[4:8]), body[(body[12] >> 4) * 4 :])


def _joined(segments: list[_Segment]) -> list[Flow]:
    """Ends may meet twice with the same ports: a SYN begins a new connection."""
    halves: dict[tuple[Door, Door], list[_Segment]] = defaultdict(list)
    flows = []
    for segment in segments:
        if segment.flags & (_SYN | _ACK) == _SYN:
            ends = segment.source, segment.target
            if halves.get(ends):
                flows.append(_flow(ends, halves))
        halves[segment.source, segment.target].append(segment)
    begun = [ends for ends, half in halves.items() if any(one.flags & (_SYN | _ACK) == _SYN for one in half)]
    return flows + [_flow(ends, halves) for ends in begun]


def _flow(ends: tuple[Door, Door], halves: dict[tuple[Door, Door], list[_Segment]]) -> Flow:
    said, lacking = _stream(halves.pop(ends, []))
    answered, more = _stream(halves.pop(ends[::-1], []))
    return Flow(*ends, said, answered, lacking + more)


def _stream(segments: list[_Segment]) -> tuple[bytes, int]:
    """The bytes of one direction, and how many in between are not there."""
    first = next((one.number for one in segments if one.flags & _SYN), None)
    if first is None:
        return b"", sum(len(one.data) for one in segments)
    placed = sorted(((one.number - first - 1) % _TURN, one.data) for one in segments if one.data)
    whole, missing = bytearray(), 0
    for place, data in placed:
        have = len(whole) + missing
        if place > have:
            missing += place - have
        whole += data[max(0, have - place) :]
    return bytes(whole), missing
