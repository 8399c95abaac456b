"""Where other nodes' requests are answered: offers, invitations, blobs. A refusal is a sentence."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mesh.control import (
    Accepted,
    Ask,
    Began,
    Browse,
    Chunk,
    Declined,
    Describe,
    Forget,
    Invite,
    Offer,
    Release,
    Released,
    Start,
    Want,
    decode_plan,
    framed,
    plan_digest,
    protocol_of,
)
from mesh.errors import MeshError, SessionError, one_line
from mesh.ids import PeerId, Rank, SessionId, belongs
from mesh.messages import Message, unpack
from mesh.protocol import Device, Protocol
from mesh.seat import Seat
from mesh.showcase import Shelf
from mesh.table import Table
from mesh.wire import Frame

__all__ = ["Desk", "Reply"]

Reply = Callable[[PeerId, Frame], Awaitable[Message]]
"""Answers one kind of question of a peer. Raises MeshError: no, and why."""

log = logging.getLogger(__name__)


class Desk:
    """Args:
    offer: what this device would lend to a protocol that it runs.
    device: lent to sessions that others ask us to join.
    shelf: blobs that any member of the mesh may fetch by their SHA-256, and what is shown and kept for others.
    replies: to questions that have nothing to do with sessions or the shelf, by kind.
    """

    def __init__(
        self,
        protocols: Mapping[str, Protocol[Any, Any, Any]],
        *,
        table: Table,
        offer: Callable[[str], Awaitable[Offer]],
        device: Device,
        shelf: Shelf,
        replies: Mapping[str, Reply],
    ) -> None:
        self._me = table.peer
        self._protocols = protocols
        self._table = table
        self._offer = offer
        self._device = device
        self._shelf = shelf
        self._replies = replies

    async def answer(self, peer: PeerId, question: Frame) -> Frame:
        """The answer to one control request. Never raises a MeshError."""
        try:
            return framed(await self._reply(peer, question))
        except MeshError as error:
            log.info("declined peer=%s kind=%s reason=%s", peer.short, question.kind[:80], error)
            return framed(Declined(reason=str(error)))

    async def _reply(self, peer: PeerId, question: Frame) -> Message:
        match question.kind:
            case Ask.kind:
                return await self._offer(unpack(Ask, question.body).protocol)
            case Invite.kind:
                return self._consider(peer, unpack(Invite, question.body))
            case Start.kind:
                self._seat_of(peer, unpack(Start, question.body).session).begin()
                return Began()
            case Release.kind:
                release = unpack(Release, question.body)
                self._seat_of(peer, release.session).end(SessionError(f"Released: {one_line(release.reason)}"))
                return Released()
        if (reply := self._replies.get(question.kind)) is not None:
            return await reply(peer, question)
        return self._looked_up(peer, question)

    def _looked_up(self, peer: PeerId, question: Frame) -> Message:
        """What is answered from files."""
        match question.kind:
            case Want.kind:
                want = unpack(Want, question.body)
                return Chunk(data=memoryview(self._shelf.chunk(want.digest, want.index)))
            case Browse.kind:
                unpack(Browse, question.body)
                return self._shelf.showcase.listing(peer)
            case Describe.kind:
                return self._shelf.showcase.describe(peer, unpack(Describe, question.body).name)
            case Forget.kind:
                return self._shelf.showcase.forget(peer, unpack(Forget, question.body).name)
        return Declined(reason=f"I do not know what {question.kind[:80]!r} means.")

    def _consider(self, peer: PeerId, invite: Invite) -> Message:
        name = protocol_of(invite.plan)
        if name not in self._protocols:
            return Declined(reason=f"I do not run {name[:80]!r}.")
        if not belongs(invite.session, peer):
            return Declined(reason="That session is not yours to name.")
        protocol = self._protocols[name]
        plan = decode_plan(protocol, invite.plan)
        if plan.protocol != name or plan.roster[0] != peer or self._me not in plan.roster:
            return Declined(reason="That plan is not yours to offer me.")
        reason = protocol.consent(plan, Rank(plan.roster.index(self._me)))
        if reason is not None:
            return Declined(reason=reason)
        self._table.sit(SessionId(invite.session), protocol, plan, self._device)
        return Accepted(digest=plan_digest(invite.plan))

    def _seat_of(self, peer: PeerId, session: str) -> Seat:
        seat = self._table.seat(SessionId(session))
        if seat is None or seat.plan.roster[0] != peer:
            raise SessionError("You did not invite me to that session.")
        return seat
