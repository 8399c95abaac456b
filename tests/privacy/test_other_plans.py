"""An asking device that tells each member another plan: who lends must not hand in what is then put to another use.

The lender consents to a program of its own model. Were the three told another one, such as to give back its weights,
they would run it on the lender's shares, and the asking device would be told the model.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mesh.control import encode_plan, plan_digest
from mesh.errors import PeerMisbehaved
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.protocol import Device, Job, Plan
from protocols.echo import Echo, EchoSpec, Nothing
from protocols.smpc.circle import Circle
from protocols.smpc.handing import Hander, taken_seeds
from protocols.smpc.meeting import Meeting, Trio
from protocols.smpc.words import VOCABULARY
from scenarios.city import VIRTUAL, City, Equipment
from scenarios.city.clock import run
from tests.harness.groups import groups

PARTIES = tuple(map(Rank, range(3)))
LENDER = Rank(3)
"""The last of a group of four."""


class Doors:
    """What a device lends to a box that nobody opens."""

    identity, listen, ports = "", "127.0.0.1", (0, 0)

    def hosts(self, _peer: PeerId) -> tuple[str, ...]:
        return ("127.0.0.1",)


def told(opened: Sequence[Group], plans: Sequence[str]) -> list[Circle]:
    """Each member has agreed to a plan of its own."""
    for group, plan in zip(opened, plans, strict=True):
        group.agreed = plan
    return [Circle(group) for group in opened]


def entropy(count: int) -> bytes:
    return bytes(count)


def test_a_party_takes_no_shares_for_another_plan() -> None:
    """It has said so before a single share is taken, and has no seeds to make any of."""

    async def story() -> None:
        async with groups(4, VOCABULARY) as (opened, _, _):
            circles = told(opened, ["a", "b", "b", "a"])
            await Hander(circles[LENDER], PARTIES, entropy).begin()
            assert await taken_seeds(circles[0], LENDER, 0)
            for number in (1, 2):
                with pytest.raises(PeerMisbehaved, match="another plan"):
                    await taken_seeds(circles[number], LENDER, number)

    run(story())


def test_boxes_of_two_plans_have_no_session_in_common() -> None:
    """So they never meet, whatever else they were told."""

    async def story() -> list[str]:
        async with groups(3, VOCABULARY) as (opened, _, _):
            circles = told(opened, ["a", "b", "b"])
            meetings = [Meeting(circle, PARTIES, Doors(), entropy) for circle in circles]  # type: ignore[arg-type]
            return [trio.session for trio in await _all_met(meetings)]

    one, other, third = run(story())
    assert one != other
    assert other == third


async def _all_met(meetings: Sequence[Meeting]) -> list[Trio]:
    async with asyncio.TaskGroup() as tasks:
        met = [tasks.create_task(one.meet(7, within=1.0, patience=1.0)) for one in meetings]
    return [task.result() for task in met]


class Telling(Echo):
    """Every rank hands out what it agreed to."""

    name = "echo"

    def __init__(self, heard: list[tuple[str, str]]) -> None:
        self._heard = heard

    async def run(self, plan: Plan[EchoSpec, Nothing], group: Group, device: Device) -> tuple[str, ...] | None:
        self._heard.append((group.agreed, group.within("anything").agreed))
        assert plan_digest(encode_plan(plan)) == group.agreed
        return await super().run(plan, group, device)


def test_every_member_knows_what_it_agreed_to() -> None:
    """Its group has the digest of its plan, in every scope; with an honest asker it is the same everywhere."""
    heard: list[tuple[str, str]] = []

    async def story() -> None:
        async with City(VIRTUAL, 3, lambda _: Equipment([Telling(heard)])) as city:
            await city.submit(0, Job("echo", EchoSpec("hello")))

    VIRTUAL.run(story())
    assert 3 == len(heard)
    assert 1 == len({agreed for both in heard for agreed in both})
