"""The tier in memory: hours pass in milliseconds, and the same seed gives the same run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from mesh.contracts import Discovery, Transport
from mesh.discovery.noticeboard import Noticeboard
from mesh.ids import PeerId
from mesh.transport.virtual import HEARTBEAT, Link, VirtualNetwork
from scenarios.city.clock import run
from scenarios.city.streets import Streets, Tier

__all__ = ["VIRTUAL", "VirtualStreets", "VirtualTier"]

T = TypeVar("T")


class VirtualStreets(Streets):
    """Attributes:
    network: for weather, and for the transcript of everything that was said.
    """

    def __init__(self, devices: int, seed: int, link: Link) -> None:
        self.network = VirtualNetwork(seed=seed, link=link)
        self._peers = [PeerId.of_key(f"device {device}".encode()) for device in range(devices)]
        self._board = Noticeboard()

    def peer(self, device: int) -> PeerId:
        return self._peers[device]

    def transport(self, device: int) -> Transport:
        return self.network.transport(self._peers[device])

    def discovery(self, device: int) -> Discovery:
        return self._board.discovery()

    def kill(self, device: int) -> None:
        self.network.kill(self._peers[device])

    def stall(self, device: int) -> None:
        self.network.stall(self._peers[device])

    def wake(self, device: int) -> None:
        self.network.wake(self._peers[device])

    def cut(self, some: Iterable[int], others: Iterable[int]) -> None:
        self.network.cut([self._peers[device] for device in some], [self._peers[device] for device in others])

    def heal(self) -> None:
        self.network.heal()


class VirtualTier(Tier):
    """Args:
    link: the weather everywhere, to begin with.
    """

    name = "virtual"
    silence = 1.5 * HEARTBEAT

    def __init__(self, link: Link | None = None) -> None:
        self._link = link or Link(delay=0.02, jitter=0.03)

    @asynccontextmanager
    async def streets(self, devices: int, seed: int) -> AsyncIterator[VirtualStreets]:
        yield VirtualStreets(devices, seed, self._link)

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        return run(story)


VIRTUAL = VirtualTier()
