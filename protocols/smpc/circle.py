"""A group in which a rank may also speak to itself: the device that asks may be one of the three that compute."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

from mesh.errors import PeerError
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.messages import Message
from protocols.smpc.words import Finish

__all__ = ["Circle"]

M = TypeVar("M", bound=Message)


class Circle:
    """Seen from one rank. What it says to itself never leaves this process."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self._own: dict[str, asyncio.Queue[Any]] = {}

    @property
    def rank(self) -> Rank:
        """Our own."""
        return self.group.rank

    @property
    def agreed(self) -> str:
        """SHA-256 of the plan that we agreed to; see `Group`."""
        return self.group.agreed

    def peer(self, rank: Rank) -> PeerId:
        """Who has that rank."""
        return self.group.roster[rank]

    async def send(self, to: Rank, message: Message) -> None:
        """As `Group.send`."""
        if to == self.rank:
            self._own.setdefault(message.kind, asyncio.Queue()).put_nowait(message)
        else:
            await self.group.send(to, message)

    async def receive(self, sender: Rank, kind: type[M]) -> M:
        """As `Group.receive`."""
        if sender != self.rank:
            return await self.group.receive(sender, kind)
        said: M = await self._own.setdefault(kind.kind, asyncio.Queue()).get()
        return said

    async def part(self, ranks: Iterable[Rank], farewell: Message | None = None) -> None:
        """Tell each of them that we need it no more. Whoever has gone already need not hear it.

        Args:
            farewell: in another protocol's words; None is `Finish`.
        """
        for rank in ranks:
            with suppress(PeerError):
                await self.send(rank, farewell or Finish())
