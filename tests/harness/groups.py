"""Groups without nodes: every pair of ranks joined by a channel of the virtual network, and one wire in between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from mesh.contracts import Channel
from mesh.errors import MeshError, PeerLost, first_error
from mesh.group import Group, open_group
from mesh.ids import PeerId, Rank
from mesh.messages import Message
from mesh.transport.virtual import Link, VirtualNetwork
from mesh.wire import Frame

__all__ = ["Wire", "groups", "peers"]


def peers(count: int) -> list[PeerId]:
    """So many ids, always the same."""
    return [PeerId.of_key(f"peer {number}".encode()) for number in range(count)]


@asynccontextmanager
async def groups(
    size: int, vocabulary: Iterable[type[Message]], *, link: Link | None = None, budget: int = 2**24
) -> AsyncIterator[tuple[list[Group], VirtualNetwork, list[dict[Rank, Channel]]]]:
    """The same group seen from each of its ranks; the network between them; and each rank's channels."""
    network, roster = VirtualNetwork(link=link), peers(size)
    channels: list[dict[Rank, Channel]] = [{} for _ in roster]
    for a in range(size):
        for b in range(a + 1, size):
            channels[a][Rank(b)], channels[b][Rank(a)] = network.open(roster[a], roster[b])
    words = tuple(vocabulary)
    try:
        async with AsyncExitStack() as stack:
            for rank in range(size):
                stack.push_async_callback(_close, channels[rank])
            opened = [
                open_group(roster, Rank(rank), channels=channels[rank], vocabulary=words, budget=budget)
                for rank in range(size)
            ]
            yield [await stack.enter_async_context(one) for one in opened], network, channels
    except ExceptionGroup as group:
        raise first_error(group) from None


class Wire(Channel):
    """A channel whose other end is the test.

    Attributes:
        sent: what came out of our end.
    """

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.sent: list[Frame] = []
        self._coming: deque[Frame | MeshError] = deque()
        self._news = asyncio.Event()

    def give(self, *coming: Frame | MeshError) -> None:
        """Let these arrive, or let the channel fail so."""
        self._coming.extend(coming)
        self._news.set()

    async def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    async def receive(self) -> Frame:
        while not self._coming:
            self._news.clear()
            await self._news.wait()
        frame = self._coming.popleft()
        if isinstance(frame, MeshError):
            raise frame
        return frame

    async def aclose(self) -> None:
        self.give(PeerLost(self.peer, "The channel is closed."))


async def _close(channels: dict[Rank, Channel]) -> None:
    for channel in channels.values():
        await channel.aclose()
