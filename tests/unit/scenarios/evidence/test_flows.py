"""Packets put together again."""

from __future__ import annotations

import random
import struct

from scenarios.evidence.flows import Datagram, Door, Flow, sorted_out

HERE, THERE = Door("127.0.0.1", 4000), Door("127.0.0.2", 5000)
SYN, ACK, START = 0x02, 0x10, 2**32 - 5  # numbers turn over on the way


def tcp(source: Door, target: Door, flags: int, number: int, data: bytes = b"") -> bytes:
    head = struct.pack("!HHIIBBHHH", source.port, target.port, number % 2**32, 0, 0x50, flags, 0, 0, 0)
    return ip(source, target, 6, head + data)


def ip(source: Door, target: Door, kind: int, body: bytes) -> bytes:
    hosts = b"".join(bytes(map(int, door.host.split("."))) for door in (source, target))
    return struct.pack("!BBHIBBH", 0x45, 0, 20 + len(body), 0, 64, kind, 0) + hosts + body


def spoken(data: bytes, size: int = 7) -> list[bytes]:
    pieces = range(0, len(data), size)
    return [tcp(HERE, THERE, ACK, START + 1 + at, data[at : at + size]) for at in pieces]


def test_a_stream_is_whole_however_it_came() -> None:
    """In another order, with pieces sent twice, across the end of the numbers."""
    said = bytes(range(100))
    pieces = spoken(said) + spoken(said, 13)
    random.Random(1).shuffle(pieces)
    opening = [tcp(HERE, THERE, SYN, START), tcp(THERE, HERE, SYN | ACK, 77)]

    flows, _ = sorted_out([*opening, *pieces, tcp(THERE, HERE, ACK, 78, b"yes")])

    assert [Flow(HERE, THERE, said, b"yes", 0)] == flows


def test_a_hole_is_counted() -> None:
    """Bytes that no packet held are not passed over in silence."""
    pieces = spoken(bytes(70))
    flows, _ = sorted_out([tcp(HERE, THERE, SYN, START), *pieces[:3], *pieces[5:]])
    assert [14] == [flow.missing for flow in flows]


def test_the_same_ports_may_meet_again() -> None:
    """A second connection between them is another one."""
    first, second = (
        [tcp(HERE, THERE, SYN, at), tcp(HERE, THERE, ACK, at + 1, data)] for at, data in ((5, b"a"), (900, b"b"))
    )
    flows, _ = sorted_out([*first, *second])
    assert [b"a", b"b"] == [flow.said for flow in flows]


def test_datagrams_and_noise() -> None:
    """UDP is kept as it came; what is neither is left out."""
    datagram = ip(HERE, THERE, 17, struct.pack("!HHHH", HERE.port, THERE.port, 13, 0) + b"hello")
    flows, datagrams = sorted_out([datagram, ip(HERE, THERE, 1, b"a ping that is long enough"), b"\0" * 40])
    assert ([], [Datagram(HERE, THERE, b"hello")]) == (flows, datagrams)
