"""Whom to leave out of the next session, and for how long. No clock: `now` is told."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.errors import MeshError, PeerDeclined, PeerError, PeerMisbehaved
from mesh.ids import PeerId

__all__ = ["LOST", "MISBEHAVED", "Blame"]

LOST = 5.0
"""Seconds that a peer is left out after it was lost; twice as long each time it is lost again, at most `MISBEHAVED`."""

MISBEHAVED = 300.0
"""Seconds that a peer is left out after it broke the rules."""


@dataclass(frozen=True, slots=True)
class _Mark:
    until: float
    times: int
    grave: bool


class Blame:
    """Only the peer that an error names is blamed, never whoever came after it in the session."""

    def __init__(self) -> None:
        self._marks: dict[PeerId, _Mark] = {}

    def note(self, error: MeshError, now: float) -> PeerId | None:
        """Remember whose fault `error` was; that peer, or None if it was nobody's."""
        if not isinstance(error, PeerError) or isinstance(error, PeerDeclined):
            return None
        peer, grave = PeerId(error.peer), isinstance(error, PeerMisbehaved)
        times = self._marks[peer].times + 1 if peer in self._marks else 1
        span = MISBEHAVED if grave else min(LOST * 2 ** (times - 1), MISBEHAVED)
        self._marks[peer] = _Mark(now + span, times, grave)
        return peer

    def avoided(self, now: float) -> frozenset[PeerId]:
        """Who is to be left out at this moment."""
        return frozenset(peer for peer, mark in self._marks.items() if mark.until > now)

    def relent(self, now: float) -> bool:
        """Take back those who were merely lost: better a shaky peer than none. Whether that changes anything."""
        lost = [peer for peer, mark in self._marks.items() if mark.until > now and not mark.grave]
        for peer in lost:
            self._marks[peer] = _Mark(now, self._marks[peer].times, grave=False)
        return bool(lost)
