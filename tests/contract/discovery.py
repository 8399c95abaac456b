"""The laws of `Discovery`. A new way of finding is accepted when it keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from mesh.contracts import Address, Discovery, Sighting
from mesh.ids import PeerId

PATIENCE = 20.0
"""Seconds that a test waits for what should take milliseconds: a busy machine is no broken law."""


@dataclass(frozen=True)
class Street:
    """Somewhere to find others.

    Attributes:
        ways: makes the way of finding of each of these devices.
        forgets: whether those who leave are no longer seen.
    """

    ways: Callable[[Sequence[Sighting]], list[Discovery]]
    forgets: bool


Law = Callable[[Street], Awaitable[None]]


def neighbours(count: int) -> list[Sighting]:
    """Devices to be found, in no order."""
    return [Sighting(PeerId.of_key(bytes([number])), (Address("127.0.0.1", 7400 + number),)) for number in range(count)]


async def everyone_sees_all_others(street: Street) -> None:
    """Each device sees every other one, where it said it was, in order of id; never itself, and nobody twice."""
    them = neighbours(4)
    ways = street.ways(them)
    async with AsyncExitStack() as stack:
        for way, me in zip(ways, them, strict=True):
            await stack.enter_async_context(way.announce(me))
        for way, me in zip(ways, them, strict=True):
            expected = sorted((other for other in them if other != me), key=lambda other: other.peer)
            assert expected == await eventually(way, them, len(expected))


async def who_leaves_is_forgotten(street: Street) -> None:
    """A device that says goodbye is no longer seen; one that comes back is."""
    one, other = neighbours(2)
    watching, leaving = street.ways([one, other])
    async with watching.announce(one):
        for _ in range(2):
            async with leaving.announce(other):
                assert [other] == await eventually(watching, [one, other], 1)
            remembered = [] if street.forgets else [other]
            assert remembered == await eventually(watching, [one, other], len(remembered))


async def a_body_that_fails_is_not_disguised(street: Street) -> None:
    """What goes wrong while announced comes out as it is."""
    (me,) = neighbours(1)
    (way,) = street.ways([me])
    with pytest.raises(KeyError, match="mine"):
        async with way.announce(me):
            raise KeyError("mine")


DISCOVERY_LAWS: tuple[Law, ...] = (
    everyone_sees_all_others,
    who_leaves_is_forgotten,
    a_body_that_fails_is_not_disguised,
)


async def eventually(way: Discovery, among: list[Sighting], count: int) -> list[Sighting]:
    """Whom `way` sees of those, once that is `count` of them."""
    peers = {sighting.peer for sighting in among}
    async with asyncio.timeout(PATIENCE):
        while True:
            seen = [sighting for sighting in way.sightings() if sighting.peer in peers]
            if len(seen) == count:
                return seen
            await asyncio.sleep(0.005)
