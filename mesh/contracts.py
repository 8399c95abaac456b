"""The contracts between the mesh and whatever carries its bytes.

Three small interfaces: Channel, Transport, Discovery. Every implementation must pass `tests/contract`, whatever it is
made of; nothing above this file may know which one it got.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mesh.errors import ConfigError
from mesh.ids import PeerId, SessionId
from mesh.wire import Frame

__all__ = ["Accept", "Address", "Answer", "Channel", "Discovery", "Sighting", "Traffic", "Transport"]


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a peer says it listens. `host` is a name or a literal address, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read "host:port" or "[v6]:port". Raises ConfigError."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) >= 2**16:
            raise ConfigError(f"{text!r} is no address: expected host:port, for instance 192.0.2.7:7411.")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


@dataclass(frozen=True, slots=True)
class Sighting:
    """A claim heard on the network that `peer` lives at one of `addresses`, best first. Not yet believed."""

    peer: PeerId
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of frames exchanged with one peer since the transport began to serve, TLS not counted."""

    sent: int = 0
    received: int = 0


class Channel(ABC):
    """An ordered, private stream of frames to one attested peer, for one session."""

    peer: PeerId

    @abstractmethod
    async def send(self, frame: Frame) -> None:
        """Hand `frame` over; wait while the peer is slow. Concurrent sends keep frames whole.

        Cancelled or failed, the frame may or may not have left, and the channel is broken.

        Raises:
            PeerLost: the channel is gone.
        """

    @abstractmethod
    async def receive(self) -> Frame:
        """The next frame, in the order it was sent. Cancelled, it loses nothing.

        Raises:
            PeerLost: the peer closed or vanished, and nothing is left to read.
            WireError: what came is no frame; the channel is closed.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Close; always closes, even if it cannot do so politely. Safe to repeat.

        What was sent before still arrives, if the peer is there to read it.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            yield await self.receive()


Answer = Callable[[PeerId, Frame], Awaitable[Frame]]
"""Answers one control request from an attested peer. Never raises a `MeshError`: a refusal is an answer."""

Accept = Callable[[SessionId, Channel], Coroutine[None, None, None]]
"""Takes a channel that a peer opened to us; owns it until it returns, and then it is closed."""


class Transport(ABC):
    """Carries control requests and channels between attested peers."""

    peer: PeerId

    @abstractmethod
    def serve(self, answer: Answer, accept: Accept) -> AbstractAsyncContextManager[tuple[Address, ...]]:
        """Listen for as long as the context is open; yields where. On leaving, every channel is closed."""

    @abstractmethod
    async def call(self, to: Sighting, request: Frame) -> Frame:
        """One question, one answer. Ends by itself when the peer is silent for too long.

        Raises:
            PeerUnreachable: nobody answered there.
            IdentityError: somebody did, but not `to.peer`.
            WireError: what came back is no frame.
        """

    @abstractmethod
    async def dial(self, to: Sighting, session: SessionId) -> Channel:
        """Open this session's one channel to `to.peer`. Raises as `call` does."""

    @abstractmethod
    def traffic(self) -> dict[PeerId, Traffic]:
        """Bytes exchanged with each peer so far, calls and channels together."""

    @abstractmethod
    def channels(self) -> int:
        """How many channels are open here, whoever dialled."""


class Discovery(ABC):
    """Hears who is about. Says nothing of who is alive: only a channel can tell that."""

    @abstractmethod
    def announce(self, me: Sighting) -> AbstractAsyncContextManager[None]:
        """Be seen at `me.addresses`, and listen for others, for as long as the context is open."""

    @abstractmethod
    def sightings(self) -> Sequence[Sighting]:
        """Everyone heard of lately but ourselves, in order of id, each peer once. Never waits."""
