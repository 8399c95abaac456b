"""TLS opened with its own ends' keys."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.authority import Authority
from mesh.identity import Identity, server_name
from scenarios.evidence.flows import Door, Flow
from scenarios.evidence.opened import Keys, Opened, opened

SAID = [b"the first thing said", b"\0" * 40_000, b"and the last"]
ANSWERED = [b"so be it"]


@pytest.fixture
def talk(tmp_path: Path) -> tuple[Flow, dict[str, Keys], dict[str, Keys]]:
    """A conversation of two devices as an onlooker has it, and what each wrote down."""
    authority = Authority.create(tmp_path / "authority", mesh="test")
    near, far = (authority.issue(tmp_path / name) for name in ("near", "far"))
    near, far = (Identity.load(tmp_path / name) for name in ("near", "far"))
    contexts = near.client_context(), far.server_context()
    for name, context in zip(("near", "far"), contexts, strict=True):
        context.keylog_filename = str(tmp_path / f"{name}.keys")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = contexts[0].wrap_bio(down, up, server_hostname=server_name(far.peer))
    wires = [bytearray(), bytearray()]
    inward = ssl.MemoryBIO()
    server = contexts[1].wrap_bio(inward, back := ssl.MemoryBIO(), server_side=True)

    def carry() -> None:
        for source, sink, wire in ((up, inward, wires[0]), (back, down, wires[1])):
            data = source.read()
            wire.extend(data)
            sink.write(data)

    _shake(client, server, carry)
    for piece in SAID:
        client.write(piece)
        carry()
        _heard(server, len(piece))
    server.write(ANSWERED[0])
    carry()
    flow = Flow(Door("127.0.0.1", 1), Door("127.0.0.1", 2), bytes(wires[0]), bytes(wires[1]), 0)
    return flow, {"near": Keys.read(tmp_path / "near.keys")}, {"far": Keys.read(tmp_path / "far.keys")}


def _shake(client: ssl.SSLObject, server: ssl.SSLObject, carry: object) -> None:
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
            carry()  # type: ignore[operator]


def _heard(end: ssl.SSLObject, size: int) -> None:
    while size:
        size -= len(end.read(size))


def test_what_was_said_is_read(talk: tuple[Flow, dict[str, Keys], dict[str, Keys]]) -> None:
    """All of it, of both sides, and nothing of the handshake; and who they were, by whose keys open it."""
    flow, clients, servers = talk
    assert Opened("near", "far", b"".join(SAID), b"".join(ANSWERED)) == opened(flow, clients, servers)


def test_without_its_ends_keys_it_stays_closed(talk: tuple[Flow, dict[str, Keys], dict[str, Keys]]) -> None:
    """Those of only one end do not say who the other was."""
    flow, clients, _ = talk
    assert opened(flow, clients, {"stranger": Keys(())}) is None


def test_a_lost_record_shows(talk: tuple[Flow, dict[str, Keys], dict[str, Keys]]) -> None:
    """A stream from which a record is taken does not open: what opens is whole."""
    flow, clients, servers = talk
    last = flow.said.rindex(b"\x17\x03\x03")
    before = flow.said.rindex(b"\x17\x03\x03", 0, last)
    with pytest.raises(ValueError, match="does not open"):
        opened(replace(flow, said=flow.said[:before] + flow.said[last:]), clients, servers)


def test_what_is_no_tls_is_not_opened() -> None:
    """Whatever else went over the link."""
    flow = Flow(Door("127.0.0.1", 1), Door("127.0.0.1", 2), b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", 0)
    assert opened(flow, {}, {}) is None
