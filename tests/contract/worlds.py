"""What the contract suites run in: a mesh in memory under a jumping clock, or over TLS on loopback in real time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.authority import Authority
from mesh.contracts import Address, Answer, Channel, Sighting, Transport
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.framing import length_prefix
from mesh.transport.http import HttpTransport, Patience
from mesh.transport.stream import StreamChannel
from mesh.transport.virtual import VirtualNetwork
from mesh.wire import Frame
from tests.harness.clock import run as run_jumping

SESSION = SessionId("5e55" * 8)


async def echo(peer: PeerId, request: Frame) -> Frame:
    """Answers with the request."""
    return request


@dataclass
class Member:
    """One device of a world: its transport, where it listens, and the channels that others opened to it."""

    transport: Transport
    sighting: Sighting
    accepted: asyncio.Queue[tuple[SessionId, Channel]] = field(default_factory=asyncio.Queue)
    dismissed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, `accept` returns."""


class World(ABC):
    """A place to put devices in."""

    name: str

    @abstractmethod
    def run(self, story: Coroutine[Any, Any, None]) -> None:
        """Run a story to its end in this world's time."""

    @abstractmethod
    def transports(self, count: int) -> list[Transport]:
        """New devices."""

    @abstractmethod
    def kill(self, member: Member, channel: Channel) -> None:
        """The process at this end of a channel is gone, without a word."""

    @abstractmethod
    async def garble(self, channel: Channel, peer: Member) -> None:
        """Send what is no frame."""

    @abstractmethod
    def nowhere(self) -> Address:
        """An address where nobody listens."""

    def impatient(self) -> World:
        """The same, where calls are soon given up."""
        return self

    @asynccontextmanager
    async def devices(self, count: int, answer: Answer = echo) -> AsyncIterator[list[Member]]:
        """So many devices, all serving."""
        async with AsyncExitStack() as stack:
            yield [await self.join(stack, transport, answer) for transport in self.transports(count)]

    @asynccontextmanager
    async def pair(self) -> AsyncIterator[tuple[Channel, Channel]]:
        """Both ends of one channel: the end of the one who dialled, and the other."""
        async with self.devices(2) as (a, b):
            near = await a.transport.dial(b.sighting, SESSION)
            _, far = await b.accepted.get()
            yield near, far

    async def join(self, stack: AsyncExitStack, transport: Transport, answer: Answer = echo) -> Member:
        """One device, which leaves with `stack`."""
        member = Member(transport, Sighting(transport.peer, ()))

        async def accept(session: SessionId, channel: Channel) -> None:
            member.accepted.put_nowait((session, channel))
            await member.dismissed.wait()

        addresses = await stack.enter_async_context(transport.serve(answer, accept))
        stack.callback(member.dismissed.set)
        member.sighting = Sighting(transport.peer, addresses)
        return member


class Virtual(World):
    """In memory; an hour of waiting takes no time."""

    name = "virtual"

    def __init__(self) -> None:
        self._network = VirtualNetwork()

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        run_jumping(story)

    def transports(self, count: int) -> list[Transport]:
        self._network = VirtualNetwork(transcript=False)
        return [self._network.transport(PeerId.of_key(bytes([number]))) for number in range(count)]

    def kill(self, member: Member, channel: Channel) -> None:
        self._network.kill(member.transport.peer)

    async def garble(self, channel: Channel, peer: Member) -> None:
        for source in (peer.transport.peer, channel.peer):
            self._network.weather(source, channel.peer, tamper=lambda data: b"nothing of ours")
        await channel.send(Frame((), "test.garbled"))

    def nowhere(self) -> Address:
        return Address(PeerId.of_key(b"nobody"), 1)


class Http(World):
    """Real sockets on loopback, real TLS, real time."""

    name = "http"

    def __init__(self, identities: list[Identity], patience: Patience | None = None) -> None:
        self._identities = identities
        self._patience = patience or Patience(connect=20.0, call=20.0)

    def impatient(self) -> World:
        return Http(self._identities, Patience(call=0.5))

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        asyncio.run(story)

    def transports(self, count: int) -> list[Transport]:
        here = Address("127.0.0.1", 0)
        return [HttpTransport(identity, here, patience=self._patience) for identity in self._identities[:count]]

    def kill(self, member: Member, channel: Channel) -> None:
        assert isinstance(channel, StreamChannel)
        channel.abort()

    async def garble(self, channel: Channel, peer: Member) -> None:
        assert isinstance(channel, StreamChannel)
        data = b"nothing of ours"
        channel._write(length_prefix(len(data)) + data)

    def nowhere(self) -> Address:
        return Address("127.0.0.1", 1)


def issue(folder: Path, count: int) -> list[Identity]:
    """Identities of one mesh."""
    authority = Authority.create(folder / "authority", mesh="test-street")
    return [authority.issue(folder / str(number)) for number in range(count)]
