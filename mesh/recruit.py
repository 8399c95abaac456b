"""From a job to an agreed plan: who could help, who should, and who says yes."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mesh.contracts import Discovery, Sighting, Transport
from mesh.control import Accepted, Ask, Began, Invite, Offer, Release, Released, Start, ask, encode_plan, plan_digest
from mesh.errors import MeshError, NoPlan, PeerDeclined, PeerError, PeerLost, PeerMisbehaved, PeerUnreachable, one_line
from mesh.ids import PeerId, Rank, SessionId, new_session
from mesh.messages import Message
from mesh.protocol import Candidate, Plan, Protocol

__all__ = ["ASKING", "Answered", "Recruiter"]

M = TypeVar("M", bound=Message)

ASKING = 2.0
"""Seconds that a peer has to answer a question. Whoever is slower counts as absent, for this once."""


_CRAWL = 1e-3  # multiply-adds per second that nothing is slower than


@dataclass(frozen=True, slots=True)
class Answered:
    """What one peer in sight had to say.

    Attributes:
        offer: its offer, or why there is none.
        seconds: from question to answer.
    """

    sighting: Sighting
    offer: Offer | MeshError
    seconds: float


class Recruiter:
    """Asks around on behalf of one node. Keeps nothing between jobs."""

    def __init__(self, transport: Transport, discovery: Discovery) -> None:
        self._transport = transport
        self._discovery = discovery

    async def agree(
        self,
        protocol: Protocol[Any, Any, Any],
        spec: Any,
        *,
        myself: Candidate,
        avoid: Container[PeerId] = (),
        refused: Callable[[PeerError], None],
    ) -> tuple[SessionId, Plan[Any, Any]]:
        """A plan that everyone in it has accepted, and the session they expect.

        A "no" is one more fact for the planner: that candidate is left out, and it plans again, until there is a plan
        or `NoPlan`. Whoever had said yes to the plan that failed is released.

        Args:
            avoid: peers that are not to be asked.
            refused: hears of each no.

        Raises:
            NoPlan: from the protocol's planner, with the words of those who said no; or this device itself does not
                consent to what it came up with.
        """
        candidates = [myself]
        if not protocol.alone(spec):
            candidates += await self.candidates(protocol.name, avoid)
        refusals: dict[PeerId, PeerError] = {}
        while True:
            try:
                plan, session = protocol.plan(spec, candidates), new_session(myself.peer, secrets.token_bytes(8))
            except NoPlan as error:
                raise NoPlan(" ".join([str(error), *(f"Left out: {no}" for no in refusals.values())])) from error
            if (reason := protocol.consent(plan, Rank(0))) is not None:
                raise NoPlan(f"This device does not take part in its own plan: {reason}")
            noes = await self._invite(plan, session)
            if not noes:
                return session, plan
            for no in noes.values():
                refused(no)
            refusals.update(noes)
            await self.release(plan, session, "Another peer said no.", but=noes)
            candidates = [candidate for candidate in candidates if candidate.peer not in noes]

    async def candidates(self, protocol: str, avoid: Container[PeerId] = ()) -> list[Candidate]:
        """Everyone in sight who would run `protocol`, in order of id."""
        answers = await self.survey(protocol, avoid)
        return [
            Candidate(answer.sighting.peer, one_line(offer.owner), offer.memory, offer.speed)
            for answer in answers
            if isinstance(offer := answer.offer, Offer) and offer.willing
        ]

    async def survey(self, protocol: str, avoid: Container[PeerId] = ()) -> list[Answered]:
        """Ask everyone in sight at once; everyone's answer, in order of id, after `ASKING` seconds at most."""
        found: list[Answered] = []

        async def hear(sighting: Sighting) -> None:
            began = asyncio.get_running_loop().time()
            offer = await self._put(sighting, Ask(protocol=protocol), Offer)
            if isinstance(offer, Offer) and not _plausible(offer):
                offer = PeerMisbehaved(sighting.peer, "It offers what no device has.")
            found.append(Answered(sighting, offer, asyncio.get_running_loop().time() - began))

        async with asyncio.TaskGroup() as tasks:
            for sighting in self._discovery.sightings():
                if sighting.peer not in avoid:
                    tasks.create_task(hear(sighting))
        return sorted(found, key=lambda answer: answer.sighting.peer)

    async def start(self, plan: Plan[Any, Any], session: SessionId) -> None:
        """Tell everyone else in the plan to begin.

        Raises:
            PeerError: one of them cannot; those who can are still waiting, and want to be released.
        """
        replies = await self._all(plan.roster[1:], Start(session=session), Began)
        for peer, reply in replies.items():
            if isinstance(reply, PeerDeclined):  # a no after a yes is held against it, or it could say so for ever
                raise PeerLost(peer, f"It said yes, and then would not begin: {reply.reason}")
            if isinstance(reply, PeerError):
                raise reply

    async def release(
        self, plan: Plan[Any, Any], session: SessionId, reason: str, *, but: Container[PeerId] = ()
    ) -> None:
        """Let everyone else in the plan give up their seats. Whoever cannot be told will find out by itself."""
        others = [peer for peer in plan.roster[1:] if peer not in but]
        await self._all(others, Release(session=session, reason=reason), Released)

    def find(self, peer: PeerId) -> Sighting:
        """Where `peer` was last seen. Raises PeerUnreachable if it was not."""
        for sighting in self._discovery.sightings():
            if sighting.peer == peer:
                return sighting
        raise PeerUnreachable(peer, "It is not in sight.")

    async def _invite(self, plan: Plan[Any, Any], session: SessionId) -> dict[PeerId, PeerError]:
        data = encode_plan(plan)
        noes: dict[PeerId, PeerError] = {}
        for peer, reply in (await self._all(plan.roster[1:], Invite(session=session, plan=data), Accepted)).items():
            if isinstance(reply, PeerError):
                noes[peer] = reply
            elif reply.digest != plan_digest(data):
                noes[peer] = PeerMisbehaved(peer, "It agreed to another plan than ours.")
        return noes

    async def _all(
        self, peers: Sequence[PeerId], question: Message, expected: type[M]
    ) -> Mapping[PeerId, M | PeerError]:
        replies: dict[PeerId, M | PeerError] = {}

        async def hear(peer: PeerId) -> None:
            try:
                reply = await self._put(self.find(peer), question, expected)
            except PeerUnreachable as error:
                reply = error
            replies[peer] = reply if not isinstance(reply, MeshError) else _blamed(peer, reply)

        async with asyncio.TaskGroup() as tasks:
            for peer in peers:
                tasks.create_task(hear(peer))
        return replies

    async def _put(self, to: Sighting, question: Message, expected: type[M]) -> M | MeshError:
        try:
            async with asyncio.timeout(ASKING):
                return await ask(self._transport, to, question, expected)
        except TimeoutError:
            return PeerUnreachable(to.peer, f"It did not answer within {ASKING:.0f} s.")
        except MeshError as error:
            return error


def _plausible(offer: Offer) -> bool:
    # A planner divides by these numbers and adds them up: it must not meet one that no device can mean.
    return 0 <= offer.memory < 2**60 and (not offer.willing or (math.isfinite(offer.speed) and offer.speed >= _CRAWL))


def _blamed(peer: PeerId, error: MeshError) -> PeerError:
    return error if isinstance(error, PeerError) else PeerUnreachable(peer, str(error))
