"""Whom to leave out of the next session, and for how long. No clock: `now` is told."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mesh.errors import MeshError, PeerDeclined, PeerError, PeerMisbehaved
from mesh.ids import PeerId

__all__ = ["LOST", "MISBEHAVED", "Blame"]

LOST = 5.0
"""Seconds that a peer is left out after it was lost; twice as long each time it is lost again, at most `MISBEHAVED`."""

MISBEHAVED = 300.0
"""Seconds that a peer is left out after it broke the rules; also how long anything is held against it."""

BELIEVED = 3
"""How often a peer's word that it lost another is taken before it is left out along with whom it names."""


@dataclass(frozen=True, slots=True)
class _Mark:
    until: float
    times: int
    grave: bool


class Blame:
    """Only the peer that an error names is blamed, never whoever came after it in the session.

    Unless that is hearsay, and its teller has a new tale each time: then both are.
    """

    def __init__(self) -> None:
        self._marks: dict[PeerId, _Mark] = {}
        self._told: dict[PeerId, tuple[int, float]] = {}

    def note(self, error: MeshError, now: float) -> PeerId | None:
        """Remember whose fault `error` was; that peer, or None if it was nobody's."""
        if not isinstance(error, PeerError) or isinstance(error, PeerDeclined):
            return None
        peer = PeerId(error.peer)
        self._mark(peer, now, grave=isinstance(error, PeerMisbehaved))
        if error.witness and self._tales(PeerId(error.witness), now) > BELIEVED:
            self._mark(PeerId(error.witness), now, grave=False)
        return peer

    def _mark(self, peer: PeerId, now: float, *, grave: bool) -> None:
        before = self._marks.get(peer)
        if before is None or now - before.until > MISBEHAVED:
            before = _Mark(now, 0, grave=False)
        doublings = min(before.times, 16)  # far above what the longest span takes, far below what a float holds
        span = MISBEHAVED if grave else min(LOST * 2**doublings, MISBEHAVED)
        still_grave = before.grave and before.until > now
        self._marks[peer] = _Mark(max(now + span, before.until), before.times + 1, grave or still_grave)

    def _tales(self, teller: PeerId, now: float) -> int:
        tales, last = self._told.get(teller, (0, now))
        self._told[teller] = (tales + 1 if now - last <= MISBEHAVED else 1, now)
        return self._told[teller][0]

    def avoided(self, now: float) -> frozenset[PeerId]:
        """Who is to be left out at this moment."""
        return frozenset(peer for peer, mark in self._marks.items() if mark.until > now)

    def relent(self, now: float) -> bool:
        """Take back those who were merely lost: better a shaky peer than none. Whether that changes anything."""
        lost = [peer for peer, mark in self._marks.items() if mark.until > now and not mark.grave]
        for peer in lost:
            self._marks[peer] = replace(self._marks[peer], until=now)
        return bool(lost)
