"""From a job to an agreed plan: who could help, who should, and who says yes."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest

from mesh.contracts import Address, Sighting
from mesh.control import Accepted, Ask, Began, Declined, Invite, Offer, Release, Released, Start, framed, plan_digest
from mesh.errors import MeshError, NoPlan, PeerDeclined, PeerError, PeerLost, PeerMisbehaved, PeerUnreachable
from mesh.ids import PeerId, Rank, belongs
from mesh.messages import Message, unpack
from mesh.protocol import Candidate, Plan
from mesh.recruit import ASKING, Recruiter
from mesh.wire import Frame
from protocols.echo import Echo, EchoSpec, Nothing
from scenarios.city.clock import run
from tests.harness.groups import peers

ME, A, B, C = sorted(peers(4))
YES = object()


class Street:
    """A transport and a discovery in one: peers that answer by a table.

    Attributes:
        heard: what each peer was asked, in order.
    """

    def __init__(self, **said: Any) -> None:
        self.heard: dict[PeerId, list[str]] = defaultdict(list)
        self.said = said

    def sightings(self) -> Sequence[Sighting]:
        return [Sighting(peer, (Address("x", 1),)) for peer in (A, B, C)]

    async def call(self, to: Sighting, request: Frame) -> Frame:
        self.heard[to.peer].append(request.kind)
        said = self.said.get(f"{'abc'[(A, B, C).index(to.peer)]}_{request.kind.partition('.')[2]}", YES)
        if said is None:
            await asyncio.sleep(1e9)
        if isinstance(said, MeshError):
            raise said
        return framed(said if isinstance(said, Message) else _agreed(request))


def _agreed(request: Frame) -> Message:
    match request.kind:
        case Ask.kind:
            return Offer(willing=True, owner="o", memory=1, speed=1.0)
        case Invite.kind:
            return Accepted(digest=plan_digest(unpack(Invite, request.body).plan))
        case Start.kind:
            return Began()
    return Released()


def agree(street: Street, protocol: Echo | None = None, avoid: Sequence[PeerId] = ()) -> tuple[Any, list[PeerError]]:
    noes: list[PeerError] = []
    recruiter = Recruiter(street, street)  # type: ignore[arg-type]

    async def story() -> Any:
        return await recruiter.agree(
            protocol or Echo(), EchoSpec("hi"), myself=Candidate(ME), avoid=avoid, refused=noes.append
        )

    return run(story()), noes


def test_everyone_who_is_willing_is_in() -> None:
    """The asking device first, then the others in order of id; and the session is named by its host."""
    (session, plan), noes = agree(Street())
    assert (ME, A, B, C) == plan.roster
    assert belongs(session, ME)
    assert [] == noes


@pytest.mark.parametrize(
    "no",
    [
        {"b_ask": None},
        {"b_ask": Declined(reason="no")},
        {"b_ask": Offer(willing=False, owner="", memory=0, speed=0.0)},
        {"b_ask": PeerUnreachable(B, "x")},
        {"b_ask": Offer(willing=True, owner="", memory=1, speed=float("nan"))},
    ],
    ids=["silent", "declines", "unwilling", "unreachable", "absurd"],
)
def test_who_does_not_offer_is_not_invited(no: dict[str, Any]) -> None:
    """For whatever reason; the others are."""
    street = Street(**no)
    (_, plan), _ = agree(street)
    assert (ME, A, C) == plan.roster
    assert [Ask.kind] == street.heard[B]


@pytest.mark.parametrize(
    ("no", "blame"),
    [
        (Declined(reason="full"), PeerDeclined),
        (None, PeerUnreachable),
        (Accepted(digest="0" * 64), PeerMisbehaved),
        (Began(), PeerMisbehaved),
    ],
    ids=["declines", "silent", "other plan", "nonsense"],
)
def test_a_no_leads_to_a_new_plan(no: Any, blame: type[PeerError]) -> None:
    """Without that peer; those who had said yes are released and invited anew."""
    street = Street(b_invite=no)
    (_, plan), noes = agree(street)
    assert (ME, A, C) == plan.roster
    assert [(B, blame)] == [(PeerId(error.peer), type(error)) for error in noes]
    assert [Ask.kind, Invite.kind, Release.kind, Invite.kind] == street.heard[A]
    assert [Ask.kind, Invite.kind] == street.heard[B]


def test_who_is_avoided_is_not_even_asked() -> None:
    """It is left out for a reason."""
    street = Street()
    (_, plan), _ = agree(street, avoid=[A])
    assert (ME, B, C) == plan.roster
    assert [] == street.heard[A]


def test_everyone_is_asked_at_once() -> None:
    """A mesh of silent peers costs the patience of one."""

    async def story() -> float:
        street = Street(a_ask=None, b_ask=None, c_ask=None)
        found = await Recruiter(street, street).survey("echo")  # type: ignore[arg-type]
        assert [PeerUnreachable] * 3 == [type(answer.offer) for answer in found]
        assert [A, B, C] == [answer.sighting.peer for answer in found]
        return asyncio.get_running_loop().time()

    assert run(story()) == pytest.approx(ASKING)


class Fussy(Echo):
    """Consents at no rank 0."""

    def consent(self, plan: Plan[EchoSpec, Nothing], rank: Rank) -> str | None:
        return "I would rather not." if rank == 0 else None


def test_the_asking_device_must_consent_as_well() -> None:
    """Before anybody is invited."""
    street = Street()
    with pytest.raises(NoPlan, match="rather not"):
        agree(street, Fussy())
    assert [Ask.kind] == street.heard[A]


@pytest.mark.parametrize(
    ("said", "blame"),
    [
        (Declined(reason="changed my mind"), PeerLost),
        (None, PeerUnreachable),
        (Offer(True, "", 1, 1.0), PeerMisbehaved),
    ],
    ids=["declines", "silent", "nonsense"],
)
def test_a_yes_that_is_not_kept_is_blamed(said: Any, blame: type[PeerError]) -> None:
    """Or it could be given for ever."""

    async def story() -> None:
        street = Street(b_start=said)
        recruiter = Recruiter(street, street)  # type: ignore[arg-type]
        session, plan = await recruiter.agree(Echo(), EchoSpec("hi"), myself=Candidate(ME), refused=lambda _no: None)
        await recruiter.start(plan, session)

    with pytest.raises(blame) as raised:
        run(story())
    assert B == raised.value.peer


def test_releasing_waits_for_nobody_for_long() -> None:
    """Whoever cannot be told finds out by itself."""

    async def story() -> float:
        street = Street(a_release=None, b_release=PeerUnreachable(B, "x"))
        recruiter = Recruiter(street, street)  # type: ignore[arg-type]
        session, plan = await recruiter.agree(Echo(), EchoSpec("hi"), myself=Candidate(ME), refused=lambda _no: None)
        await recruiter.release(plan, session, "over", but=[C])
        assert Release.kind not in street.heard[C]
        return asyncio.get_running_loop().time()

    assert run(story()) == pytest.approx(ASKING)


def test_who_is_out_of_sight_is_unreachable() -> None:
    """And named."""
    street = Street()
    with pytest.raises(PeerUnreachable) as raised:
        Recruiter(street, street).find(ME)  # type: ignore[arg-type]
    assert ME == raised.value.peer
