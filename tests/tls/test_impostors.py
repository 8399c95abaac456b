"""Nobody gets in, and nobody is believed, without a certificate of this mesh that names its own key."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.contracts import Sighting
from mesh.errors import IdentityError, MeshError, PeerUnreachable
from mesh.identity import Identity
from mesh.ids import PeerId
from mesh.transport.http import HttpTransport
from mesh.wire import Frame
from tests.tls.devices import ASK, HERE, SESSION, ended, knock, serving, unchecked
from tests.tls.forge import Forger, Leaf

MESH = "test-street"
DAY = datetime.timedelta(days=1)
VICTIM = PeerId.of_key(b"the victim's key")

FORGERIES: dict[str, Callable[[Leaf], Leaf]] = {
    "expired": lambda leaf: leaf.valid(from_now=-2 * DAY, until=-DAY),
    "not yet valid": lambda leaf: leaf.valid(from_now=DAY, until=2 * DAY),
    "self-signed": lambda leaf: leaf.alone(),
    "naming another device": lambda leaf: leaf.named(VICTIM),
    "naming nobody": lambda leaf: leaf.plain(),
    "of another mesh": lambda leaf: leaf.of("other-street"),
}


@pytest.fixture
def forger(tmp_path: Path) -> Forger:
    return Forger(tmp_path, mesh=MESH)


@pytest.fixture
def honest(tmp_path: Path, forger: Forger) -> Identity:
    return Identity.load(forger.issue(tmp_path / "honest"))


@pytest.fixture(params=[*FORGERIES, "by another authority"])
def impostor(request: pytest.FixtureRequest, tmp_path: Path, forger: Forger) -> Identity:
    if request.param in FORGERIES:
        return unchecked(forger.issue(tmp_path / "impostor", FORGERIES[request.param]), MESH)
    folder = Forger(tmp_path, mesh=MESH).issue(tmp_path / "impostor")
    (folder / "root.pem").write_bytes(forger.root_pem)  # it believes the honest, who do not believe it
    return unchecked(folder, MESH)


async def test_an_impostor_is_not_let_in(honest: Identity, impostor: Identity) -> None:
    """Whoever cannot prove to be of the mesh is neither answered nor given a channel; others are, meanwhile."""
    asked: list[PeerId] = []

    async def answer(peer: PeerId, request: Frame) -> Frame:
        asked.append(peer)
        return request

    async with serving(HttpTransport(honest, HERE), answer) as device, serving(HttpTransport(impostor, HERE)) as liar:
        with pytest.raises(MeshError):
            await liar.transport.call(device.sighting, ASK)
        with pytest.raises(MeshError):
            await liar.transport.dial(device.sighting, SESSION)
        await device.transport.call(device.sighting, ASK)
        assert device.accepted.empty()
    assert [honest.peer] == asked


async def test_an_impostor_is_not_believed(honest: Identity, impostor: Identity) -> None:
    """Whoever is called but cannot prove to be of the mesh, or to be the one meant, gets no request to read."""
    asked: list[PeerId] = []

    async def answer(peer: PeerId, request: Frame) -> Frame:
        asked.append(peer)
        return request

    async with serving(HttpTransport(honest, HERE)) as device, serving(HttpTransport(impostor, HERE), answer) as liar:
        for claimed in (impostor.peer, VICTIM):
            sighting = Sighting(claimed, liar.sighting.addresses)
            with pytest.raises(IdentityError, match=r"is not .*compare their ids"):
                await device.transport.call(sighting, ASK)
            with pytest.raises(IdentityError, match=r"is not .*compare their ids"):
                await device.transport.dial(sighting, SESSION)
    assert [] == asked


async def test_a_refused_caller_is_told_what_to_check(honest: Identity, tmp_path: Path, forger: Forger) -> None:
    """An expired device learns that its certificate may be why the other hangs up: TLS 1.3 tells it no more."""
    expired = unchecked(forger.issue(tmp_path / "expired", FORGERIES["expired"]), MESH)
    async with serving(HttpTransport(honest, HERE)) as device, serving(HttpTransport(expired, HERE)) as late:
        with pytest.raises((IdentityError, PeerUnreachable), match=r"our certificate.*expired"):
            await late.transport.call(device.sighting, ASK)


async def test_no_certificate_no_answer(honest: Identity) -> None:
    """A client without a certificate gets not one byte of HTTP, whatever it believes after its handshake."""
    context = ssl.create_default_context(cafile=str(honest.root))
    async with serving(HttpTransport(honest, HERE)) as device:
        reader, writer = await knock(device, context)
        writer.write(b"GET /v1/call HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"" == await ended(reader)
        writer.close()


async def test_tls_1_2_is_refused(honest: Identity) -> None:
    """A client that speaks nothing above TLS 1.2 is refused, even with a good certificate."""
    context = honest.client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(HttpTransport(honest, HERE)) as device:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await knock(device, context)


async def test_a_server_of_tls_1_2_is_refused(honest: Identity) -> None:
    """Nor do we speak to a server that cannot do better."""
    context = honest.server_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with (
        serving(HttpTransport(honest, HERE)) as device,
        await asyncio.start_server(hang_up, HERE.host, 0, ssl=context) as server,
    ):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(MeshError):
            await device.transport.call(Sighting(honest.peer, (type(HERE)(HERE.host, port),)), ASK)
