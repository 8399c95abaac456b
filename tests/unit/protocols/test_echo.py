"""Echo: the smallest whole protocol."""

from __future__ import annotations

import asyncio

import pytest

from mesh.control import decode_plan, encode_plan
from mesh.errors import PeerLost
from mesh.group import Group
from mesh.ids import Rank
from mesh.protocol import Candidate, Device, Means
from protocols.echo import Echo, EchoSpec, create
from scenarios.city.clock import run
from tests.harness.groups import groups, peers


@pytest.mark.parametrize("count", [1, 2, 5])
def test_everyone_is_in_the_plan(count: int) -> None:
    """In the order of the candidates, the asking device first; and everyone consents."""
    plan = create(Means()).plan(EchoSpec("hi"), [Candidate(peer) for peer in peers(count)])
    assert tuple(peers(count)) == plan.roster
    assert count == plan.quorum
    assert plan == decode_plan(Echo(), encode_plan(plan))
    assert all(Echo().consent(plan, Rank(rank)) is None for rank in range(count))


def test_rank_0_hears_all_in_rank_order() -> None:
    """And nobody else returns anything."""

    async def story() -> dict[int, object]:
        results: dict[int, object] = {}
        async with groups(3, Echo.vocabulary) as (members, _, _):
            plan = Echo().plan(EchoSpec("hi"), [Candidate(peer) for peer in members[0].roster])

            async def take_part(group: Group) -> None:
                results[group.rank] = await Echo().run(plan, group, Device())

            async with asyncio.TaskGroup() as tasks:
                for group in members:
                    tasks.create_task(take_part(group))
        return results

    assert {0: ("hi from 0", "hi from 1", "hi from 2"), 1: None, 2: None} == run(story())


def test_a_silent_member_ends_it() -> None:
    """Everyone's word is needed; who is gone is named."""

    async def story() -> None:
        async with groups(2, Echo.vocabulary) as (members, network, _):
            plan = Echo().plan(EchoSpec("hi"), [Candidate(peer) for peer in members[0].roster])
            network.kill(members[1].roster[1])
            await Echo().run(plan, members[0], Device())

    with pytest.raises(PeerLost) as lost:
        run(story())
    assert peers(2)[1] == lost.value.peer
