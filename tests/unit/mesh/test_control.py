"""What nodes say to each other before there is a group."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from mesh import control
from mesh.contracts import Sighting
from mesh.control import MOST_RANKS, Accepted, Ask, Began, Declined, Offer, ask, decode_plan, encode_plan, framed
from mesh.errors import BadFrame, FrameTooLarge, MeshError, PeerDeclined, PeerMisbehaved, WireError
from mesh.ids import PeerId, Rank
from mesh.protocol import Candidate, Plan, Stage
from mesh.wire import Frame
from protocols.echo import Echo, EchoSpec, Nothing
from protocols.sharded.protocol import Sharded
from tests.harness import toy
from tests.harness.groups import peers

ODD: list[Any] = [
    -1,
    0,
    1,
    2**53,
    2**63 - 1,
    -(2**63),
    2**64,
    10**40,
    1e308,
    -1e308,
    5e-324,
    "",
    "x" * 999,
    None,
    [],
    {},
    True,
]


class Caller:
    """A transport that answers every call alike."""

    def __init__(self, answer: Frame | MeshError) -> None:
        self._answer = answer

    async def call(self, to: Sighting, request: Frame) -> Frame:
        if isinstance(self._answer, MeshError):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (framed(Declined(reason="I am busy.\x1b[2J")), PeerDeclined),
        (framed(Began()), PeerMisbehaved),
        (Frame((), Offer.kind, b"\xc1"), PeerMisbehaved),
        (Frame((), Declined.kind, b"\xc1"), PeerMisbehaved),
        (BadFrame("no frame"), PeerMisbehaved),
        (FrameTooLarge("too large"), PeerMisbehaved),
        (WireError("odd"), PeerMisbehaved),
    ],
)
async def test_a_wrong_answer_names_its_peer(answer: Frame | MeshError, error: type[MeshError]) -> None:
    """A no is a no; anything but the expected answer is misbehaviour, bytes that are no frame included."""
    peer = peers(1)[0]
    with pytest.raises(error) as raised:
        await ask(Caller(answer), Sighting(peer, ()), Ask(protocol="echo"), Offer)  # type: ignore[arg-type]
    assert peer == raised.value.peer  # type: ignore[attr-defined]
    assert raised.value.reason.isprintable()  # type: ignore[attr-defined]


async def test_the_expected_answer_is_returned() -> None:
    """Typed."""
    offer = Offer(willing=True, owner="me", memory=5, speed=2.0)
    assert offer == await ask(Caller(framed(offer)), Sighting(peers(1)[0], ()), Ask(protocol="x"), Offer)  # type: ignore[arg-type]


def _echo(roster: list[PeerId]) -> Plan[EchoSpec, Nothing]:
    return Plan("echo", EchoSpec("hi"), tuple(Stage(peer, "speaker", Nothing()) for peer in roster), len(roster))


def test_a_plan_is_read_as_it_was_written() -> None:
    """Typed by its protocol, ids and all."""
    plan = _echo(peers(3))
    assert plan == decode_plan(Echo(), encode_plan(plan))
    assert "echo" == control.protocol_of(encode_plan(plan))


@pytest.mark.parametrize("roster", [[], [*peers(2), *peers(1)], peers(MOST_RANKS + 1)], ids=["empty", "twice", "crowd"])
def test_a_plan_has_one_rank_for_each_peer(roster: list[PeerId]) -> None:
    """At least one, none twice, and no more than every member can keep channels to."""
    with pytest.raises(BadFrame, match="plan"):
        decode_plan(Echo(), encode_plan(_echo(roster)))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"protocol":5}', b"{", b'"' * 9, b"[" * 10**5, b"\xff"])
def test_what_is_no_plan_is_a_bad_frame(data: bytes) -> None:
    """Before it is known which protocol it would be for."""
    with pytest.raises(BadFrame):
        control.protocol_of(data)


async def _unused(*_: Any) -> Any:
    await asyncio.sleep(0)


SHARDED = Sharded(_unused, _unused, memory=10**6)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path, *(leaf for key, item in value.items() for leaf in _leaves(item, (*path, key)))]
    if isinstance(value, list):
        return [path, *(leaf for place, item in enumerate(value) for leaf in _leaves(item, (*path, place)))]
    return [path]


def test_absurd_plans_get_a_sentence_or_are_no_plans() -> None:
    """Whatever number, text or shape stands in a plan that is written correctly: consent never stumbles over it."""
    crew = [Candidate(peer, memory=10**6, speed=1e6) for peer in peers(4)]
    genuine = encode_plan(SHARDED.plan(toy.spec(parts=3), crew))
    places, chance, agreed = _leaves(json.loads(genuine)), random.Random(5), 0
    for _ in range(3_000):
        changed = json.loads(genuine)
        for path in chance.sample(places, chance.randint(1, 3)):
            _put(changed, path, chance.choice(ODD))
        try:
            plan = decode_plan(SHARDED, json.dumps(changed, separators=(",", ":"), ensure_ascii=False).encode())
            reasons = [SHARDED.consent(plan, Rank(rank)) for rank in range(len(plan.stages))]
        except MeshError:
            continue
        agreed += reasons == [None] * len(reasons)
    assert 0 < agreed < 1_500


def _put(value: Any, path: tuple[Any, ...], odd: Any) -> None:
    for step in path[:-1]:
        if not isinstance(value, (dict, list)) or (isinstance(value, dict) and step not in value):
            return
        if isinstance(value, list) and not (isinstance(step, int) and step < len(value)):
            return
        value = value[step]
    if (path and isinstance(value, dict) and path[-1] in value) or (
        path and isinstance(value, list) and isinstance(path[-1], int) and path[-1] < len(value)
    ):
        value[path[-1]] = odd


def test_a_yes_is_to_exactly_one_plan() -> None:
    """One character more is another plan."""
    digests = {control.plan_digest(encode_plan(_echo(peers(count)))) for count in (1, 2, 3)}
    assert 3 == len(digests)
    assert {64} == {len(Accepted(digest=digest).digest) for digest in digests}
