"""Nodes that keep track of each other, on a network in memory with a clock that jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from mesh.contracts import Address, Answer, Channel, Sighting
from mesh.control import Declined, framed
from mesh.errors import MeshError
from mesh.ids import PeerId, SessionId
from mesh.membership.pace import Pace
from mesh.membership.statements import Facts, Statement, Voice
from mesh.membership.swim import Membership
from mesh.membership.view import State
from mesh.transport.virtual import Link, VirtualNetwork
from mesh.wire import Frame

__all__ = ["Neighbourhood", "PlainStatements", "neighbourhood"]


class PlainStatements:
    """Statements that nobody signs, for neighbourhoods without liars."""

    def make(self, facts: Facts) -> Statement:
        return Statement(facts, msgspec.msgpack.encode(facts))

    def check(self, data: bytes) -> Statement:
        return Statement(msgspec.msgpack.decode(data, type=Facts), data)


class Neighbourhood:
    """Attributes:
    nodes: in order of number.
    calls: how many questions each was asked.
    """

    def __init__(self, network: VirtualNetwork, peers: Sequence[PeerId]) -> None:
        self.network = network
        self.peers = list(peers)
        self.nodes: list[Membership] = []
        self.calls = [0] * len(peers)
        self.dead: set[int] = set()

    def kill(self, number: int) -> None:
        """It is gone, and says nothing of it."""
        self.cut([number])  # what still runs of it reaches nobody
        self.network.kill(self.peers[number])
        self.dead.add(number)

    def cut(self, some: Sequence[int]) -> None:
        """Part these from the others."""
        others = [peer for number, peer in enumerate(self.peers) if number not in some]
        self.network.cut([self.peers[number] for number in some], others)

    def views(self) -> set[bytes]:
        """The digests of those that live."""
        return {node.view.digest for number, node in enumerate(self.nodes) if number not in self.dead}

    def believes(self, number: int, other: int) -> State | None:
        """What one node thinks of another."""
        member = self.nodes[number].view.get(self.peers[other])
        return None if member is None else member.state

    def agreed(self, present: int) -> bool:
        """Whether all that live have one view, with so many in it."""
        living = [node for number, node in enumerate(self.nodes) if number not in self.dead]
        return len(self.views()) == 1 and {len(node.view.present()) for node in living} == {present}

    async def wait_agreed(self, present: int, within: float, look: float = 0.05) -> float:
        """Until they agree; how long that took. Raises TimeoutError: longer than `within`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(within):
            while not self.agreed(present):  # noqa: ASYNC110 - of what it waits for nobody tells
                await asyncio.sleep(look)
        return loop.time() - began


@asynccontextmanager
async def neighbourhood(
    size: int, *, seed: int = 0, pace: Pace | None = None, link: Link | None = None, acquainted: int = 1
) -> AsyncIterator[Neighbourhood]:
    """Nodes that run, each of which has been told of the first `acquainted` ones."""
    network = VirtualNetwork(seed=seed, link=link or Link(delay=0.002, jitter=0.002), transcript=False)
    found = Neighbourhood(network, sorted(PeerId.of_key(f"{seed} {number}".encode()) for number in range(size)))
    async with AsyncExitStack() as stack:
        for number, peer in enumerate(found.peers):
            transport = network.transport(peer)
            seeds = [Sighting(other, (Address(other, 0),)) for other in found.peers[:acquainted] if other != peer]
            node = Membership(
                transport,
                Voice(partial(_facts, peer), PlainStatements()),
                partial(list, seeds),
                chance=random.Random(f"{seed} {number}"),
                pace=pace,
            )
            found.nodes.append(node)
            await stack.enter_async_context(transport.serve(_desk(found, number), _nobody))
            await stack.enter_async_context(node.running())
        yield found


def _facts(peer: PeerId, incarnation: int) -> Facts:
    return Facts(str(peer), incarnation, (f"{peer}:0",))


def _desk(found: Neighbourhood, number: int) -> Answer:
    async def answer(peer: PeerId, question: Frame) -> Frame:
        found.calls[number] += 1
        try:
            return framed(await found.nodes[number].reply(peer, question))
        except MeshError as error:
            return framed(Declined(reason=str(error)))

    return answer


async def _nobody(_session: SessionId, _channel: Channel) -> None:
    """No channels here."""
