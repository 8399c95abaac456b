"""One node's view of the mesh: who is alive, suspected or gone, and how news about that are merged.

The order of news is that of SWIM (Das, Gupta and Motivala 2002, section 4.2): of two about one device the one with the
higher incarnation wins; with equal incarnations a death beats a suspicion, and a suspicion beats life. Only the device
itself raises its incarnation, in a statement that it signs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import msgspec

from mesh.ids import PeerId
from mesh.membership.statements import Statement

__all__ = ["MOST", "Member", "Rumour", "State", "View"]

MOST = 2048
"""Devices in one view. A certificate is needed for each, so no stranger can fill it."""


class State(IntEnum):
    """What is believed of a device; a higher value wins at equal incarnation."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Rumour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """News about one device, as it goes from node to node.

    Attributes:
        state: a `State`.
        incarnation: of the statement that the news is about.
        statement: that statement, if this tells of life or somebody may lack it; empty otherwise.
        witness: who suspects; "" for other news.
    """

    peer: str
    state: int
    incarnation: int
    statement: bytes = b""
    witness: str = ""


@dataclass(slots=True)
class Member:
    """A device, as it is seen here.

    Attributes:
        since: when `state` began, by the clock of whoever looks.
        witnesses: who suspects it.
    """

    statement: Statement
    state: State
    since: float
    witnesses: set[str]

    @property
    def peer(self) -> PeerId:
        return self.statement.peer

    @property
    def incarnation(self) -> int:
        return self.statement.facts.incarnation

    def rumour(self) -> Rumour:
        """All that is known of it."""
        witness = min(self.witnesses, default="") if self.state is State.SUSPECT else ""
        return Rumour(self.peer, int(self.state), self.incarnation, self.statement.data, witness)


class View:
    """Everyone heard of, the dead for as long as they are remembered. Knows no clock and no network."""

    def __init__(self) -> None:
        self._members: dict[PeerId, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        yield from list(self._members.values())

    def get(self, peer: str) -> Member | None:
        """A device; None if it was never heard of."""
        return self._members.get(PeerId(peer))

    def present(self) -> list[Member]:
        """Those who are alive or only suspected, in order of id."""
        found = [member for member in self._members.values() if member.state <= State.SUSPECT]
        return sorted(found, key=lambda member: member.peer)

    @property
    def digest(self) -> bytes:
        """8 bytes that are equal on two nodes if and only if they believe the same of everybody who is present."""
        sums = hashlib.sha256()
        for member in self.present():
            sums.update(f"{member.peer} {member.incarnation} {int(member.state)}\n".encode())
        return sums.digest()[:8]

    def hear(self, statement: Statement, now: float) -> bool:
        """Take in what a device says of itself. Whether that is news."""
        known = self._members.get(statement.peer)
        state = State.LEFT if statement.facts.leaving else State.ALIVE
        if known is not None and statement.facts.incarnation <= known.incarnation:
            return False
        if known is None and len(self._members) >= MOST and not self._forget_one():
            return False
        self._members[statement.peer] = Member(statement, state, now, set())
        return True

    def accuse(self, peer: str, incarnation: int, state: State, now: float, witness: str = "") -> bool:
        """Take in a suspicion or a death. Whether that is news; one more witness of a suspicion is, too."""
        known = self.get(peer)
        if known is None or incarnation < known.incarnation or state < known.state:
            return False
        if state == known.state and (state is not State.SUSPECT or witness in known.witnesses):
            return False
        if state is State.SUSPECT:
            known.witnesses.add(witness)
        if state != known.state:
            known.state, known.since = state, now
        return True

    def forget(self, before: float) -> None:
        """Drop those who have been gone since before that time."""
        for peer, member in list(self._members.items()):
            if member.state >= State.DEAD and member.since < before:
                del self._members[peer]

    def _forget_one(self) -> bool:
        gone = [member for member in self._members.values() if member.state >= State.DEAD]
        if not gone:
            return False
        del self._members[min(gone, key=lambda member: member.since).peer]
        return True
