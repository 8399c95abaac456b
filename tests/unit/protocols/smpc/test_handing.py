"""Owners that hand in shares to three parties, and what a party does not take from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from mesh.errors import PeerMisbehaved, first_error
from mesh.ids import Rank
from mesh.messages import Message
from protocols.smpc.batches import Batch
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import Taker, words_of
from protocols.smpc.handing import Hander, taken_pieces, taken_seeds
from protocols.smpc.program.steps import Port, Tensor
from protocols.smpc.words import VOCABULARY, Seeds, Share
from tests.harness.groups import groups, peers

PARTIES = (Rank(0), Rank(1), Rank(2))
OWNER = Rank(3)
ROW = np.arange(7, dtype=np.uint64)
PORT = Port("x", Tensor(0, "integer", (7,)))


async def party(circle: Circle, number: int, *, acknowledged: bool) -> Any:
    """Both shares of the row, as one party ends up with them."""
    seeds = await taken_seeds(circle, OWNER, number)
    batch = Batch([PORT], Taker(number, seeds, 5))
    async for piece, count in taken_pieces(circle, OWNER, 5, ROW.size, acknowledged=acknowledged):
        batch.add(count, words_of(piece.words))
    return batch.values()["x"]


async def handed(*, acknowledged: bool) -> list[Any]:
    """What the three hold of a row that a fourth has handed in."""
    async with groups(4, VOCABULARY) as (members, _, _), asyncio.TaskGroup() as tasks:
        circles = [Circle(member) for member in members]
        taking = [tasks.create_task(party(circles[rank], rank, acknowledged=acknowledged)) for rank in PARTIES]
        hander = Hander(circles[OWNER], PARTIES, _fresh())
        await hander.begin()
        assert [ROW.size] == [sent async for sent in hander.deal(5, ROW, acknowledged=acknowledged)]
        return [await task for task in taking]


def _fresh() -> Callable[[int], bytes]:
    random = np.random.default_rng(1)
    return random.bytes


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_what_is_handed_in_adds_up(acknowledged: bool) -> None:
    """Over the three; and each holds what its neighbour holds too."""
    secrets = await handed(acknowledged=acknowledged)
    np.testing.assert_array_equal(ROW, sum(secret.first for secret in secrets))
    for number in range(3):
        np.testing.assert_array_equal(secrets[number].second, secrets[(number + 1) % 3].first)


Lie = Callable[[Circle], Awaitable[None]]


def _says(*messages: Message) -> Lie:
    async def lie(circle: Circle) -> None:
        for message in messages:
            await circle.send(Rank(0), message)

    return lie


PLAN = ""  # groups without a node have agreed to none
GOOD = Seeds(seeds={0: bytes(32), 1: bytes(32)}, agreed=PLAN)


@pytest.mark.parametrize(
    "lie",
    [
        _says(Seeds(seeds={0: bytes(32)}, agreed=PLAN)),
        _says(Seeds(seeds={0: bytes(32), 1: bytes(31)}, agreed=PLAN)),
        _says(Seeds(seeds={0: bytes(32), 2: bytes(32)}, agreed=PLAN)),
        _says(Seeds(seeds={0: bytes(32), 1: bytes(32)}, agreed="another plan")),
        _says(GOOD, Share(batch=4, words=memoryview(b""))),
        _says(GOOD, Share(batch=5, words=memoryview(b"1234567"))),
    ],
)
async def test_a_party_takes_nothing_but_what_is_due(lie: Lie) -> None:
    """Whoever sends other seeds, for another plan, another batch, or no row of numbers, has misbehaved."""
    with pytest.raises(PeerMisbehaved) as found:
        await _lied_to(lie)
    assert peers(4)[OWNER] == found.value.peer


async def _lied_to(lie: Lie) -> None:
    try:
        async with groups(4, VOCABULARY) as (members, _, _), asyncio.TaskGroup() as tasks:
            tasks.create_task(party(Circle(members[0]), 0, acknowledged=False))
            await lie(Circle(members[OWNER]))
    except ExceptionGroup as errors:
        raise first_error(errors) from None
