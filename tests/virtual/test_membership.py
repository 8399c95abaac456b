"""Who is alive: every node comes to the same view, a crash is noticed in seconds, and nobody is buried alive."""

from __future__ import annotations

import asyncio

import pytest

from mesh.membership.view import State
from mesh.transport.virtual import Link
from tests.harness import clock
from tests.harness.neighbourhood import Neighbourhood, neighbourhood

SEEDS = range(3)


@pytest.mark.parametrize("size", [2, 3, 10, 30])
def test_a_mesh_forms_from_one_acquaintance(size: int) -> None:
    """Nodes that know of one among them come to one view of all, and keep it while nothing happens."""

    async def tale() -> None:
        async with neighbourhood(size) as there:
            await there.wait_agreed(size, within=10.0)
            await asyncio.sleep(60.0)
            assert there.agreed(size)

    clock.run(tale())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("size", "bound"), [(2, 10.0), (3, 5.0), (10, 5.0), (30, 10.0)])
def test_a_crash_is_known_everywhere_in_time(size: int, bound: float, seed: int) -> None:
    """Within 5 s at ten nodes and 10 s at thirty all others believe the same, without the dead."""

    async def tale() -> None:
        async with neighbourhood(size, seed=seed) as there:
            await there.wait_agreed(size, within=10.0)
            there.kill(size // 2)
            await there.wait_agreed(size - 1, within=bound)

    clock.run(tale())


@pytest.mark.parametrize(
    ("seed", "minutes"), [(0, 1), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_a_node_that_stops_now_and_then_is_not_given_up(seed: int, minutes: int) -> None:
    """Ten nodes, one of them stopped for 3 s in every 10: nobody ever believes it, or anybody, dead."""

    async def tale() -> None:
        async with neighbourhood(10, seed=seed) as there:
            await there.wait_agreed(10, within=10.0)
            for _ in range(6 * minutes):
                there.network.stall(there.peers[3])
                await nobody_dies(there, 3.0)
                there.network.wake(there.peers[3])
                await nobody_dies(there, 7.0)

    clock.run(tale())


async def nobody_dies(there: Neighbourhood, seconds: float) -> None:
    """Looks ten times a second."""
    everybody = range(len(there.nodes))
    for _ in range(round(10 * seconds)):
        await asyncio.sleep(0.1)
        assert [(a, b) for a in everybody for b in everybody if there.believes(a, b) == State.DEAD] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("side", [1, 3, 5])
def test_the_views_agree_soon_after_a_split_heals(side: int, seed: int) -> None:
    """Parted for a minute, both sides go on without the other; within 10 s of healing they have one view again."""

    async def tale() -> None:
        async with neighbourhood(10, seed=seed) as there:
            await there.wait_agreed(10, within=10.0)
            there.cut(list(range(side)))
            await asyncio.sleep(60.0)
            assert {len(node.view.present()) for node in there.nodes} == {side, 10 - side}
            there.network.heal()
            await there.wait_agreed(10, within=10.0)

    clock.run(tale())


@pytest.mark.parametrize("seed", SEEDS)
def test_news_is_everywhere_soon(seed: int) -> None:
    """What a node says anew of itself all others know within 3 s, on a network that is slow and uneven."""

    async def tale() -> None:
        async with neighbourhood(30, seed=seed, link=Link(delay=0.02, jitter=0.03)) as there:
            await there.wait_agreed(30, within=15.0)
            there.nodes[7].speak()
            await asyncio.sleep(0)
            await there.wait_agreed(30, within=3.0)
            heard = [node.view.get(there.peers[7]) for node in there.nodes]
            assert {member.incarnation for member in heard if member is not None} == {2}

    clock.run(tale())


def test_who_leaves_is_not_mourned() -> None:
    """A node that stops on purpose is known to have left, not to have died."""

    async def tale() -> None:
        async with neighbourhood(5) as there:
            await there.wait_agreed(5, within=10.0)
            await there.nodes[2].leave()
            there.kill(2)
            await there.wait_agreed(4, within=3.0)
            assert {there.believes(number, 2) for number in (0, 1, 3, 4)} == {State.LEFT}

    clock.run(tale())
