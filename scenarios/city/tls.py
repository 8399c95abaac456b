"""The tier of real sockets: every device has a key, a certificate and a port of its own, in one process.

Each pair of devices is joined by a relay of its own, one for each direction of dialling, on the loopback interface:

    A --TLS--> [relay A to B] --TLS--> B

A relay sees ciphertext only. It can hold the bytes back, in which case both ends see silence, or reset the
connection, in which case both ends see a process that is gone.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from mesh.authority import Authority
from mesh.contracts import Address, Discovery, Sighting, Transport
from mesh.identity import Identity
from mesh.ids import PeerId
from mesh.transport.http import HttpTransport
from scenarios.city.relay import STREET, Relay
from scenarios.city.streets import Streets, Tier

__all__ = ["TLS", "TlsStreets", "TlsTier"]

T = TypeVar("T")


class TlsStreets(Streets):
    """Made by `TlsTier.streets`."""

    def __init__(self, identities: Sequence[Identity], relays: dict[tuple[int, int], Relay], heartbeat: float) -> None:
        self._identities = identities
        self._relays = relays
        self._heartbeat = heartbeat
        self._dead: set[int] = set()
        self._still: set[int] = set()
        self._severed: set[tuple[int, int]] = set()

    def peer(self, device: int) -> PeerId:
        return self._identities[device].peer

    def transport(self, device: int) -> Transport:
        return HttpTransport(self._identities[device], Address("127.0.0.1", 0), heartbeat=self._heartbeat)

    def identity(self, device: int) -> Path | None:
        return self._identities[device].key.parent

    def discovery(self, device: int) -> Discovery:
        return _Signposts(self, device)

    def kill(self, device: int) -> None:
        self._dead.add(device)
        for pair, relay in self._relays.items():
            if device in pair:
                relay.reset()

    def stall(self, device: int) -> None:
        self._still.add(device)
        self._settle()

    def wake(self, device: int) -> None:
        self._still.discard(device)
        self._settle()

    def cut(self, some: Iterable[int], others: Iterable[int]) -> None:
        sides = list(some), list(others)
        for a in sides[0]:
            for b in sides[1]:
                self._severed |= {(a, b), (b, a)}
        self._settle()

    def heal(self) -> None:
        self._severed.clear()
        self._settle()

    def maintains(self, task: asyncio.Task[Any]) -> bool:
        # The relays, and the server's ends of idle connections that are kept for the next control request.
        return task.get_name() == STREET or getattr(task.get_coro(), "__qualname__", "") == "RequestHandler.start"

    def _settle(self) -> None:
        for pair, relay in self._relays.items():
            relay.hold(pair in self._severed or bool(self._still & set(pair)))

    def moved_in(self, device: int, addresses: tuple[Address, ...]) -> None:
        """The device listens there now."""
        for (_, target), relay in self._relays.items():
            if target == device:
                relay.target = addresses[0]

    def moved_out(self, device: int) -> None:
        """The device listens no more."""
        for (_, target), relay in self._relays.items():
            if target == device:
                relay.target = None

    def seen_by(self, device: int) -> list[Sighting]:
        """Everyone else who listens, at the relays that lead to them."""
        return sorted(
            (
                Sighting(self.peer(target), (relay.address,))
                for (source, target), relay in self._relays.items()
                if source == device and relay.target is not None
            ),
            key=lambda sighting: sighting.peer,
        )


class _Signposts(Discovery):
    def __init__(self, streets: TlsStreets, device: int) -> None:
        self._streets = streets
        self._device = device

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        self._streets.moved_in(self._device, me.addresses)
        try:
            yield
        finally:
            self._streets.moved_out(self._device)

    def sightings(self) -> Sequence[Sighting]:
        return self._streets.seen_by(self._device)


class TlsTier(Tier):
    """Args:
    heartbeat: seconds between pings; a device that stands still is noticed after 1.5 times as long.
    """

    name = "tls"

    def __init__(self, heartbeat: float = 1.0) -> None:
        self.silence = 1.5 * heartbeat
        self._heartbeat = heartbeat

    @asynccontextmanager
    async def streets(self, devices: int, seed: int) -> AsyncIterator[TlsStreets]:
        pairs = [(a, b) for a in range(devices) for b in range(devices) if a != b]
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="city-")))
            authority = Authority.create(folder / "authority", mesh="city")
            identities = [authority.issue(folder / str(device)) for device in range(devices)]
            relays = {pair: await stack.enter_async_context(Relay()) for pair in pairs}
            yield TlsStreets(identities, relays, self._heartbeat)

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(story)


TLS = TlsTier()
