"""A list on a wall, for a mesh within one process: who is announced, is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from mesh.contracts import Discovery, Sighting
from mesh.ids import PeerId

__all__ = ["Noticeboard"]


class Noticeboard:
    """One wall; each node looks at it through a `discovery()` of its own."""

    def __init__(self) -> None:
        self._seen: dict[PeerId, Sighting] = {}

    def discovery(self) -> Discovery:
        """A new reader's view of the wall."""
        return _Reader(self._seen)


class _Reader(Discovery):
    def __init__(self, seen: dict[PeerId, Sighting]) -> None:
        self._seen = seen
        self._me: PeerId | None = None

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        self._me = me.peer
        self._seen[me.peer] = me
        try:
            yield
        finally:
            del self._seen[me.peer]

    def sightings(self) -> Sequence[Sighting]:
        return [sighting for peer, sighting in sorted(self._seen.items()) if peer != self._me]
