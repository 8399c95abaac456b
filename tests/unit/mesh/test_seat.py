"""One node's place in one session: whatever happens there, the seat is left and every channel closed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mesh.contracts import Sighting
from mesh.errors import (
    MeshError,
    Misuse,
    PeerDeclined,
    PeerLost,
    PeerMisbehaved,
    PeerUnreachable,
    SessionError,
    StoreError,
)
from mesh.group import Group
from mesh.ids import PeerId, SessionId
from mesh.inbox import End
from mesh.messages import unpack
from mesh.protocol import Candidate, Device, Plan
from mesh.seat import FORMING, Seat, Surroundings
from mesh.session import State
from mesh.table import Table
from protocols.echo import Echo, EchoSpec, Nothing
from scenarios.city.clock import run
from tests.harness.groups import Wire, peers

ROSTER = peers(3)
SESSION = SessionId("0" * 32)


class Doing(Echo):
    """Does what the test says at our rank."""

    def __init__(self, act: Callable[[Group], Awaitable[Any]]) -> None:
        self._act = act

    async def run(self, plan: Plan[EchoSpec, Nothing], group: Group, device: Device) -> Any:
        return await self._act(group)


class Dialler:
    """A transport whose dialled channels are wires of the test."""

    def __init__(self, peer: PeerId, trouble: MeshError | None = None) -> None:
        self.peer = peer
        self.wires: list[Wire] = []
        self._trouble = trouble

    async def dial(self, to: Sighting, session: SessionId) -> Wire:
        await asyncio.sleep(0.1)
        if self._trouble:
            raise self._trouble
        self.wires.append(Wire(to.peer))
        return self.wires[-1]


async def _well(group: Group) -> str:
    return "well"


async def _for_ever(group: Group) -> None:
    await asyncio.sleep(1e9)


def _raising(error: Exception) -> Callable[[Group], Awaitable[None]]:
    async def act(group: Group) -> None:
        raise error

    return act


def plan_of(roster: list[PeerId]) -> Plan[EchoSpec, Nothing]:
    return Echo().plan(EchoSpec("hi"), [Candidate(peer) for peer in roster])


def seat_of(dialler: Dialler, act: Callable[[Group], Awaitable[Any]] = _well) -> Seat:
    around = Surroundings(dialler, lambda peer: Sighting(peer, ()), Device())  # type: ignore[arg-type]
    return Seat(SESSION, Doing(act), plan_of(ROSTER), around)


def ended(dialler: Dialler, act: Callable[[Group], Awaitable[Any]]) -> tuple[Seat, list[End]]:
    """Rank 0's seat after its end, and the last word on each of its channels."""

    async def story() -> Seat:
        seat = seat_of(dialler, act)
        seat.begin()
        await seat.occupy()
        return seat

    return run(story()), [unpack(End, wire.sent[-1].body) for wire in dialler.wires]


def test_a_part_that_is_done_says_goodbye() -> None:
    """With its result, and a last word on every channel that blames nobody."""
    seat, last = ended(Dialler(ROSTER[0]), _well)
    assert ("well", State.DONE) == (seat.result.result(), seat.state)
    assert [End(reason="It has done its part.", culprit="")] * 2 == last


@pytest.mark.parametrize(
    ("error", "culprit"),
    [
        (PeerLost(ROSTER[1], "gone"), ROSTER[1]),
        (PeerMisbehaved(ROSTER[2], "lied"), ROSTER[2]),
        (SessionError("over"), ""),
        (StoreError("full"), ""),
    ],
)
def test_the_others_hear_why_and_because_of_whom(error: MeshError, culprit: str) -> None:
    """So that nobody blames us for a third party's fault."""
    seat, last = ended(Dialler(ROSTER[0]), _raising(error))
    assert error is seat.result.exception()
    assert State.FAILED is seat.state
    assert [End(reason=str(error), culprit=culprit)] * 2 == last


def test_a_bug_ends_its_session_and_keeps_its_words() -> None:
    """The one who asked hears of it in full; the others that there was one."""
    seat, last = ended(Dialler(ROSTER[0]), _raising(ValueError("secret 42")))
    assert isinstance(seat.result.exception(), Misuse)
    assert "secret 42" in str(seat.result.exception())
    assert not any("secret" in end.reason or end.culprit for end in last)


def test_a_bug_within_a_group_of_tasks_is_a_bug() -> None:
    """Even beside an error of ours."""
    group = ExceptionGroup("", [PeerLost(ROSTER[1], "x"), ExceptionGroup("", [KeyError("secret")])])
    seat, last = ended(Dialler(ROSTER[0]), _raising(group))
    assert isinstance(seat.result.exception(), Misuse)
    assert "secret" not in last[0].reason


@pytest.mark.parametrize("trouble", [PeerUnreachable(ROSTER[1], "x"), PeerDeclined(ROSTER[2], "x")])
def test_a_peer_that_cannot_be_reached_ends_it(trouble: MeshError) -> None:
    """At once."""
    seat, last = ended(Dialler(ROSTER[0], trouble), _well)
    assert trouble is seat.result.exception()
    assert [] == last


def test_a_job_that_never_begins_gives_its_seat_back() -> None:
    """After so many seconds; nobody in particular is to blame."""

    async def story() -> tuple[float, BaseException | None]:
        seat = seat_of(Dialler(ROSTER[1]))
        await seat.occupy()
        return asyncio.get_running_loop().time(), seat.result.exception()

    seconds, error = run(story())
    assert pytest.approx(FORMING) == seconds
    assert "never began" in str(error)


def test_whoever_is_missing_is_named() -> None:
    """The lowest rank of those who did not join in time."""

    async def story() -> BaseException | None:
        seat = seat_of(Dialler(ROSTER[1]))
        seat.begin()
        await seat.occupy()
        return seat.result.exception()

    error = run(story())
    assert isinstance(error, PeerLost)
    assert ROSTER[0] == error.peer


def test_a_cancelled_seat_is_left_in_order() -> None:
    """Its protocol is cancelled, its channels get their last word."""

    async def story() -> list[str]:
        dialler = Dialler(ROSTER[0])
        seat = seat_of(dialler, _for_ever)
        async with asyncio.TaskGroup() as tasks:
            sitting = tasks.create_task(seat.occupy())
            seat.begin()
            await asyncio.sleep(1)
            sitting.cancel()
        return [unpack(End, wire.sent[-1].body).reason for wire in dialler.wires]

    assert ["This node is closing."] * 2 == run(story())


def test_channels_come_from_lower_ranks_once() -> None:
    """A stranger's, a higher rank's, a second one: each is left alone, and the session goes on."""

    async def story() -> tuple[list[bool], object]:
        dialler = Dialler(ROSTER[1])
        seat = seat_of(dialler, _well)
        late: list[bool] = []

        async def join(peer: PeerId) -> None:
            await seat.join(Wire(peer))
            late.append(seat.result.done())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(seat.occupy())
            for peer in (PeerId.of_key(b"stranger"), ROSTER[2], ROSTER[1], ROSTER[0], ROSTER[0]):
                tasks.create_task(join(peer))
            await asyncio.sleep(1)
            seat.begin()
        return late, seat.result.result()

    assert ([False] * 4 + [True], "well") == run(story())


def test_a_table_has_so_many_seats() -> None:
    """One host has half of them, our own jobs find a quarter free, and a session sits once."""

    async def story() -> list[str]:
        said: list[str] = []
        async with Table(Dialler(ROSTER[0]), lambda peer: Sighting(peer, ()), 8) as table:  # type: ignore[arg-type]

            def sit(number: int, roster: list[PeerId]) -> None:
                try:
                    table.sit(SessionId(f"{number:032x}"), Doing(_well), plan_of(roster), Device())
                except MeshError as error:
                    said.append(str(error))

            for number in range(5):
                sit(number, [ROSTER[1], ROSTER[0]])
            for number in range(10, 13):
                sit(number, [ROSTER[2], ROSTER[0]])
            for number in range(20, 23):
                sit(number, [ROSTER[0]])
            sit(20, [ROSTER[0]])
            assert 8 == len(table) == len(list(table))
        sit(99, [ROSTER[0]])
        return said

    assert [
        "You have 4 of my seats already.",
        "All of the 6 seats that I lend are taken.",
        "All of my 8 seats are taken.",
        "I have a seat in that session already.",
        "This node is closing.",
    ] == run(story())
