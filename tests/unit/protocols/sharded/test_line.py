"""The line, and the device that feeds it: honest ones get answers, and of the others the right one is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput, MeshError, PeerError, PeerLost, PeerMisbehaved, first_error
from mesh.group import Group
from mesh.ids import Rank
from mesh.messages import Message
from mesh.protocol import Feed, Request
from mesh.tensors import Tensors
from protocols.arrays import Arrays, tensor_of
from protocols.sharded.entry import Hop, Pace, feed_line
from protocols.sharded.line import Part, work_line
from protocols.sharded.words import VOCABULARY, Activations, Answer, Finish, Passed, Ready, Refusal
from scenarios.city.clock import run
from tests.harness import toy
from tests.harness.groups import groups, peers

MODEL = toy.spec().model
PACE = Pace(window=3, patience=4.0, setup=10.0)
Act = Callable[[Group], Awaitable[None]]


class Asked(Feed):
    """So many requests, and what became of them."""

    def __init__(self, count: int, *, hold: float = 0.0) -> None:
        self.answers: dict[int, int] = {}
        self.refused: dict[int, str] = {}
        self._waiting = [Request(seq, toy.request_of(seq)) for seq in range(count)]
        self._hold = hold

    async def take(self) -> Request | None:
        if not self._waiting:
            await asyncio.sleep(self._hold)
            return None
        return self._waiting.pop(0)

    def answer(self, seq: int, payload: Tensors) -> None:
        assert seq not in self.answers
        self.answers[seq] = toy.value_of(payload)

    def refuse(self, seq: int, error: MeshError) -> None:
        self.refused[seq] = str(error)


class Engine:
    """Toy segments, at a tenth of a second each; refuses 13."""

    def __init__(self, first: int, last: int) -> None:
        self.inputs = [f"v{first}"]
        self._span = range(first, last)

    async def infer(self, feeds: Arrays) -> dict[str, np.ndarray]:
        value = feeds[self.inputs[0]]
        if int(value[0]) == 13:
            raise BadInput("unlucky")
        for index in self._span:
            await asyncio.sleep(0.1)
            value = 3 * value + index
        return {f"v{self._span.stop}": value}

    def close(self) -> None: ...


def part(first: int, last: int) -> Part:
    return Part(MODEL, first, last, Engine(first, last) if last > first else None)


async def entry(group: Group, feed: Feed, report: Callable[[object], None] = id, own: Part | None = None) -> None:
    await feed_line(group, own or part(0, 0), PACE, outputs=MODEL.crossing(toy.SEGMENTS), feed=feed, report=report)


def worker(first: int, last: int) -> Act:
    async def act(group: Group) -> None:
        await work_line(group, part(first, last), after=Rank((group.rank + 1) % group.size), ready=0.5)

    return act


def saying(
    *words: Message, to: int = 0, ready: bool = True, then: Callable[[Group], Awaitable[Any]] | None = None
) -> Act:
    """A device that says it is ready, takes one request, and says these."""

    async def act(group: Group) -> None:
        if ready:
            await group.send(Rank(0), Ready(seconds=0.1))
            await group.receive(Rank(group.rank - 1), Activations)
        for word in words:
            await group.send(Rank(to), word)
        await (then(group) if then else group.receive(Rank(0), Finish))

    return act


def line(feed: Feed, *workers: Act, report: Callable[[object], None] = id, own: Part | None = None) -> None:
    """Run an entry and its workers; raises what the entry does. Whoever fails elsewhere leaves its channels."""

    async def story() -> None:
        async with groups(len(workers) + 1, VOCABULARY) as (members, _, channels):
            async with asyncio.TaskGroup() as tasks:
                helpers = [
                    tasks.create_task(_left(act, group, list(channels[group.rank].values())))
                    for act, group in zip(workers, members[1:], strict=True)
                ]
                try:
                    await entry(members[0], feed, report, own)
                except ExceptionGroup as failed:
                    raise first_error(failed) from None
                finally:
                    for helper in helpers:
                        helper.cancel()

    try:
        run(story())
    except ExceptionGroup as failed:
        raise first_error(failed) from None


async def _left(act: Act, group: Group, channels: Sequence[Any]) -> None:
    try:
        await act(group)
    except (PeerError, ExceptionGroup):
        for channel in channels:
            await channel.aclose()


@pytest.mark.parametrize("cuts", [(0, 6), (0, 2, 6), (0, 1, 2, 3, 4, 5, 6), (2, 4, 6), (6,)], ids=str)
def test_the_line_answers_as_the_whole_model(cuts: tuple[int, ...]) -> None:
    """In any number of parts, with or without one at the entry, more requests than the window."""
    feed = Asked(10)
    workers = [worker(first, last) for first, last in pairwise(cuts)]
    line(feed, *workers, own=part(0, cuts[0]))
    assert {seq: toy.expected(seq) for seq in range(10)} == feed.answers


def test_requests_overlap() -> None:
    """Each device works on another one: ten take far less than ten times as long as one."""

    def seconds(count: int) -> float:
        async def story() -> float:
            async with groups(4, VOCABULARY) as (members, _, _), asyncio.TaskGroup() as tasks:
                for rank in (1, 2, 3):
                    tasks.create_task(_left(worker(2 * rank - 2, 2 * rank), members[rank], []))
                await entry(members[0], Asked(count))
                return asyncio.get_running_loop().time()

        return run(story())

    assert seconds(1) == pytest.approx(0.6)
    assert seconds(10) == pytest.approx(0.6 + 9 * 0.2)


def test_a_request_at_fault_is_refused_alone() -> None:
    """At the entry or far down the line; those around it are answered."""
    feed = Asked(15)
    line(feed, worker(0, 3), worker(3, 6))
    assert [13] == list(feed.refused)
    assert "unlucky" in feed.refused[13]
    assert 14 == len(feed.answers)


def test_progress_is_reported() -> None:
    """Who passed what on, and for how long it computed."""
    news: list[object] = []
    line(Asked(1), worker(0, 2), worker(2, 6), report=news.append)
    hops = [round(event.seconds, 3) for event in news if isinstance(event, Hop)]
    assert [0.0, 0.2, 0.4] == hops


ANSWER = {"v6": tensor_of(np.array([1]))}
HOSTILE: dict[str, tuple[Act, type[PeerError], str]] = {
    "answers what was not asked": (saying(Answer(seq=7, seconds=0.1, tensors=ANSWER)), PeerMisbehaved, "not under way"),
    "answers twice": (saying(*[Answer(seq=0, seconds=0.1, tensors=ANSWER)] * 2), PeerMisbehaved, "not under way"),
    "answers nothing": (saying(Answer(seq=0, seconds=0.1, tensors={})), PeerMisbehaved, "outputs"),
    "answers too much": (
        saying(Answer(seq=0, seconds=0.1, tensors={**ANSWER, "x": ANSWER["v6"]})),
        PeerMisbehaved,
        "outputs",
    ),
    "refuses what was not asked": (saying(Refusal(seq=9, reason="no")), PeerMisbehaved, "not under way"),
    "never ready": (saying(ready=False), PeerLost, "load its part"),
    "never answers": (saying(), PeerLost, "held a request"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_the_device_at_fault_is_named(how: str) -> None:
    """The last of two, and never the honest one before it."""
    act, error, reason = HOSTILE[how]
    with pytest.raises(error, match=reason) as raised:
        line(Asked(2, hold=60.0), worker(0, 3), act)
    assert raised.value.peer == peers(3)[2]


def test_made_up_progress_is_no_sign_of_life() -> None:
    """A device that reports on requests of its own making is as late as one that says nothing."""

    async def chatter(group: Group) -> None:
        while True:
            await asyncio.sleep(0.5)
            await group.send(Rank(0), Passed(seq=999, seconds=0.1))

    with pytest.raises(PeerLost, match="held a request") as raised:
        line(Asked(1), saying(then=chatter), worker(3, 6))
    assert raised.value.peer == peers(3)[1]


def test_who_waits_for_a_slow_one_is_not_blamed() -> None:
    """The furthest device down the line that stands still is."""
    with pytest.raises(PeerLost) as raised:
        line(Asked(9), worker(0, 2), saying(), worker(4, 6))
    assert raised.value.peer == peers(4)[2]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([Activations(seq=0, tensors={})], "crosses our cut"),
        ([Activations(seq=0, tensors={"other": ANSWER["v6"]})], "crosses our cut"),
        (
            [Activations(seq=1, tensors=toy.request_of(1)), Activations(seq=0, tensors=toy.request_of(0))],
            "after request 1",
        ),
        ([Activations(seq=1, tensors=toy.request_of(1))] * 2, "after request 1"),
    ],
    ids=["nothing", "something else", "backwards", "twice"],
)
def test_a_worker_names_the_one_before_it(words: Sequence[Message], reason: str) -> None:
    """That sent what the plan does not say; no request is held to be at fault for it."""

    async def story() -> None:
        async with groups(2, VOCABULARY) as ((before, me), _, _):
            for word in words:
                await before.send(Rank(1), word)
            await worker(0, 6)(me)

    with pytest.raises(PeerMisbehaved, match=reason) as raised:
        run(story())
    assert raised.value.peer == peers(2)[0]
