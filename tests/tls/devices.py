"""Devices on loopback for the tests of this folder."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh.contracts import Accept, Address, Answer, Channel, Sighting
from mesh.identity import Identity, key_id, server_name
from mesh.ids import PeerId, SessionId
from mesh.transport.http import HttpTransport
from mesh.wire import Frame
from tests.contract.worlds import echo

HERE = Address("127.0.0.1", 0)
SESSION = SessionId("ab" * 16)
ASK = Frame((), "test.ask", b"what?")


@dataclass
class Device:
    """A transport that serves, and whoever opened a channel to it."""

    transport: HttpTransport
    sighting: Sighting
    accepted: asyncio.Queue[Channel] = field(default_factory=asyncio.Queue)

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.sighting.addresses[0]


@asynccontextmanager
async def serving(
    transport: HttpTransport, answer: Answer = echo, accept: Accept | None = None
) -> AsyncIterator[Device]:
    """A device that echoes calls and holds channels until it leaves."""
    device = Device(transport, Sighting(transport.peer, ()))

    async def hold(session: SessionId, channel: Channel) -> None:
        device.accepted.put_nowait(channel)
        await asyncio.Event().wait()

    async with transport.serve(answer, accept or hold) as addresses:
        device.sighting = Sighting(transport.peer, addresses)
        yield device


@asynccontextmanager
async def channel(near: HttpTransport, far: HttpTransport) -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends of one channel."""
    async with serving(near) as a, serving(far) as b:
        end = await a.transport.dial(b.sighting, SESSION)
        yield end, await b.accepted.get()


def unchecked(folder: Path, mesh: str) -> Identity:
    """An identity as it lies there, however wrong."""
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    files = (folder / "key.pem", folder / "certificate.pem", folder / "root.pem")
    return Identity(key_id(key.public_key()), mesh, datetime.datetime.max, *files)  # type: ignore[arg-type]


async def knock(device: Device, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A bare TLS connection to a device."""
    name = server_name(PeerId(device.sighting.peer))
    return await asyncio.open_connection(device.address.host, device.address.port, ssl=context, server_hostname=name)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the other side hangs up."""
    got = b""
    try:
        async with asyncio.timeout(20):
            while data := await reader.read(2**16):
                got += data
    except (ConnectionError, ssl.SSLError):
        return got
    return got
