"""Passes on who is out for good: to everyone in sight, once each, whenever the list has changed here.

Whoever is told answers with what it knows better, so two nodes that meet leave with the newer of their lists; and as
everyone who learns something passes it on at once, a mesh of any size knows after a few calls per node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from mesh.admission.outcasts import Shunned
from mesh.contracts import Sighting, Transport
from mesh.control import Outcast, ask
from mesh.errors import MeshError
from mesh.ids import PeerId
from mesh.messages import Message, unpack
from mesh.wire import Frame

__all__ = ["Crier"]

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between looks at who is in sight, and at whether another process of this device has changed the list."""

AT_ONCE = 16
"""Peers that are told at the same time."""

MOST_LISTS = 8
"""Lists in one message: one of each authority that a mesh may have."""

AGAIN = 15
"""Looks until somebody who could not be told is tried again."""


class Crier:
    """Args:
    shunned: what is known here.
    on_news: called when more has become known.
    """

    def __init__(
        self,
        shunned: Shunned,
        transport: Transport,
        sightings: Callable[[], Sequence[Sighting]],
        on_news: Callable[[], None],
    ) -> None:
        self._shunned = shunned
        self._transport = transport
        self._sightings = sightings
        self._on_news = on_news
        self._told: dict[PeerId, dict[str, int]] = {}
        self._failed: dict[PeerId, int] = {}
        self._wake = asyncio.Event()

    async def reply(self, peer: PeerId, question: Frame) -> Message:
        """Our lists, for a peer that tells us its own. Raises MeshError: one of those is not signed as it must be."""
        self._hear(unpack(Outcast, question.body))
        self._told[peer] = self._shunned.state
        return Outcast(lists=tuple(self._shunned.lists()))

    @asynccontextmanager
    async def crying(self) -> AsyncIterator[None]:
        """Tell everyone for as long as the context is open."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self._cry())
            try:
                yield
            finally:
                task.cancel()

    async def _cry(self) -> None:
        looks = 0
        while True:
            if self._shunned.refresh():
                self._on_news()
            self._wake.clear()
            due = [sighting for sighting in self._sightings() if self._owed(sighting.peer, looks)]
            for first in range(0, len(due), AT_ONCE):
                async with asyncio.TaskGroup() as tasks:
                    for sighting in due[first : first + AT_ONCE]:
                        tasks.create_task(self._tell(sighting, looks))
            looks += 1
            try:
                async with asyncio.timeout(LOOK):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _owed(self, peer: PeerId, looks: int) -> bool:
        if self._told.get(peer) == self._shunned.state or peer in self._shunned:
            return False
        return looks >= self._failed.get(peer, 0)

    async def _tell(self, sighting: Sighting, looks: int) -> None:
        state = self._shunned.state
        try:
            answer = await ask(self._transport, sighting, Outcast(lists=tuple(self._shunned.lists())), Outcast)
            self._told[sighting.peer] = state
            self._hear(answer)
        except MeshError as error:
            self._failed[sighting.peer] = looks + AGAIN
            log.debug("could not tell peer=%s of outcasts: %s", sighting.peer.short, error)

    def _hear(self, told: Outcast) -> None:
        news = [self._shunned.take(data) for data in told.lists[:MOST_LISTS]]
        if any(news):
            log.warning("devices are out for good, in all %d", len(self._shunned))
            self._on_news()
            self._wake.set()
