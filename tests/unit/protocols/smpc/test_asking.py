"""Who asks, who lends and who is told, around three parties that compute nothing: what does not fit is found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from mesh.errors import MeshError, PeerLost, PeerMisbehaved, SessionError, first_error
from mesh.group import Group
from mesh.ids import Rank
from mesh.protocol import Device, Feed, Request
from mesh.tensors import Tensors
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc import dealing
from protocols.smpc.asking import Asker
from protocols.smpc.circle import Circle
from protocols.smpc.program.steps import Array, Port, Program, Tensor
from protocols.smpc.receiving import RESULTS, Receiver
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.roles import Roles
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import VOCABULARY, Finish, Ready, Received, Result, Seeds, Share, Spent
from tests.harness.groups import groups, peers

FIXED = FixedPoint()
PORT = Port("x", Tensor(0, "number", (2, 3)))
X: Any = np.linspace(-3, 3, 6).reshape(2, 3).astype(np.float32)
IDENTITY = Program(17, (PORT,), (), (), (), (Port("y", PORT.tensor),))
"""A program without a step: its output is its input, so its parties have nothing to compute."""

PARTIES = (Rank(1), Rank(2), Rank(3))
Twist = Callable[[int, Result], Result | None]


class Questions(Feed):
    """These, and then no more."""

    def __init__(self, *payloads: Tensors) -> None:
        self._left = list(enumerate(payloads))
        self.answers: dict[int, Any] = {}
        self.refusals: dict[int, str] = {}

    async def take(self) -> Request | None:
        return Request(*self._left.pop(0)) if self._left else None

    def answer(self, seq: int, payload: Tensors) -> None:
        self.answers[seq] = arrays_of(payload).get("y")

    def refuse(self, seq: int, error: MeshError) -> None:
        self.refusals[seq] = str(error)


async def _party(group: Group, receivers: tuple[Rank, ...], twist: Twist) -> None:
    """A party that sends back what it is given."""
    number, asker, results = group.rank - 1, Rank(0), group.within(RESULTS)
    seeds = (await group.receive(asker, Seeds)).seeds
    await group.send(asker, Ready(seconds=0.0, session="s", kept={}))
    while True:
        share = await group.receive(asker, Share)
        first, second = dealing.Taker(number, seeds, share.batch).pair(dealing.words_of(share.words), 6)
        made = Result(seq=share.batch, words=memoryview(first.tobytes()), check=dealing.digest_of(second))
        if (twisted := twist(number, made)) is not None:
            for rank in receivers:
                await results.send(rank, twisted)
            await group.send(asker, Spent(seq=twisted.seq, seconds=0.0, sent=0, rounds=0))


async def _receiver(group: Group, heard: dict[int, Array], *, silent: bool) -> None:
    """Rank 4, who confirms what it gets, unless it is silent."""
    circle = Circle(group.within(RESULTS))

    async def deliver(seq: int, outputs: dict[str, Array]) -> None:
        heard[seq] = outputs["y"]
        if not silent:
            await circle.send(Rank(0), Received(seq=seq))

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(Receiver(circle, PARTIES, IDENTITY.outputs, FIXED, deliver).listen())
        await circle.receive(Rank(0), Finish)
        listening.cancel()


async def _asked(
    feed: Questions,
    twist: Twist = lambda _number, result: result,
    *,
    receivers: tuple[Rank, ...] = (Rank(0),),
    heard: dict[int, Array] | None = None,
    silent: bool = False,
    **spec: Any,
) -> None:
    """A whole job, ended properly or by the first error."""
    named = tuple("me" if rank == 0 else str(peers(5)[rank]) for rank in receivers)
    job = PrivateSpec(IDENTITY, receiver=named, name="a", **spec)
    try:
        async with groups(5, VOCABULARY) as (members, _, _), asyncio.TaskGroup() as tasks:
            doing = [tasks.create_task(_party(members[rank], receivers, twist)) for rank in PARTIES]
            if Rank(4) in receivers:
                tasks.create_task(_receiver(members[4], {} if heard is None else heard, silent=silent))
            circle, results = Circle(members[0]), Circle(members[0].within(RESULTS))
            asker = Asker(circle, results, job, Roles(PARTIES, Rank(0), receivers), Device(feed=feed))
            if Rank(0) in receivers:
                own = Receiver(results, PARTIES, IDENTITY.outputs, FIXED, asker.deliver)
                asker.missing = own.missing
                doing.append(tasks.create_task(own.listen()))
            await asker.serve()
            for rank in PARTIES:
                await members[rank].receive(Rank(0), Finish)
            for task in doing:
                task.cancel()
    except ExceptionGroup as errors:
        raise first_error(errors) from None


async def test_who_asks_is_given_its_answers_in_order() -> None:
    """And refuses what is no input, while the others go on."""
    feed = Questions(*(tensors_of({"x": X * times}) for times in (1, 2)), {}, tensors_of({"z": X}))
    await _asked(feed)
    assert ({0, 1}, {2, 3}) == (set(feed.answers), set(feed.refusals))
    np.testing.assert_allclose(X * 2, feed.answers[1], atol=FIXED.unit)


async def test_only_who_is_named_is_told() -> None:
    """The receiver has every answer; who asked knows that they are there, and nothing of them."""
    feed, heard = Questions(*(tensors_of({"x": X * times}) for times in (1, 2))), dict[int, Array]()
    await _asked(feed, receivers=(Rank(4),), heard=heard)
    assert ({0: None, 1: None}, {0, 1}) == (feed.answers, set(heard))
    np.testing.assert_allclose(X * 2, heard[1], atol=FIXED.unit)


async def test_several_may_be_told() -> None:
    """Who asked among them."""
    feed, heard = Questions(tensors_of({"x": X})), dict[int, Array]()
    await _asked(feed, receivers=(Rank(0), Rank(4)), heard=heard)
    np.testing.assert_array_equal(heard[0], feed.answers[0])


@pytest.mark.parametrize("liar", range(3))
@pytest.mark.parametrize("receiver", [0, 4])
async def test_shares_that_do_not_agree_are_found_out(liar: int, receiver: int) -> None:
    """Whichever party alters its share of an answer: nobody is given a wrong one, whoever receives."""

    def twist(number: int, result: Result) -> Result:
        words = dealing.words_of(result.words).astype(np.uint64)
        words[3] += np.uint64(number == liar)
        return msgspec.structs.replace(result, words=memoryview(words.tobytes()))

    feed, heard = Questions(tensors_of({"x": X})), dict[int, Array]()
    with pytest.raises(PeerMisbehaved, match="differ"):
        await _asked(feed, twist, receivers=(Rank(receiver),), heard=heard)
    assert ({}, {}) == (feed.answers, heard)


@pytest.mark.parametrize("seq", [1, -1])
async def test_an_answer_that_nobody_asked_for_is_misbehaviour(seq: int) -> None:
    """It is not kept for later."""
    with pytest.raises(PeerMisbehaved, match="not asked"):
        await _asked(Questions(tensors_of({"x": X})), lambda _number, made: msgspec.structs.replace(made, seq=seq))


async def test_whoever_holds_the_others_up_is_named() -> None:
    """It is lost, and they are not; if all are late, nobody is blamed."""
    feed = Questions(tensors_of({"x": X}))
    with pytest.raises(PeerLost) as lost:
        await _asked(feed, lambda number, made: made if number != 1 else None, patience=0.05)
    assert peers(5)[2] == lost.value.peer
    with pytest.raises(SessionError, match="patience=SECONDS"):
        await _asked(Questions(tensors_of({"x": X})), lambda _number, _made: None, patience=0.05)


async def test_a_receiver_that_confirms_nothing_is_named() -> None:
    """Who asked does not wait for it for ever."""
    with pytest.raises(PeerLost) as lost:
        await _asked(Questions(tensors_of({"x": X})), receivers=(Rank(4),), silent=True, patience=0.05)
    assert peers(5)[4] == lost.value.peer
