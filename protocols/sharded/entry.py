"""Rank 0 of a sharded session: feeds the line, takes its answers, and knows who holds each request at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mesh.errors import BadInput, PeerLost, PeerMisbehaved
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.protocol import Feed, Request
from protocols.arrays import arrays_of, tensors_of
from protocols.sharded.line import Part
from protocols.sharded.words import Activations, Answer, Finish, Passed, Ready, Refusal

__all__ = ["Hop", "Loaded", "Pace", "feed_line"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """Progress: a device has loaded its part, in so many seconds."""

    peer: PeerId
    seconds: float


@dataclass(frozen=True, slots=True)
class Hop:
    """Progress: a device has passed on one request, after computing for so many seconds."""

    peer: PeerId
    seq: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is in the line, and how long anything may take.

    Attributes:
        window: requests in the line at once. That is the credit that every rank has agreed to hold.
        patience: seconds that one request may stay with one device before that device counts as lost.
        setup: seconds until every device must have loaded its part.
    """

    window: int
    patience: float
    setup: float


@dataclass(slots=True)
class _Held:
    """Which rank has a request, and since when."""

    rank: Rank
    since: float


async def feed_line(
    group: Group, part: Part, pace: Pace, *, outputs: Iterable[str], feed: Feed, report: Callable[[object], None]
) -> None:
    """Answer requests until the feed is over, then let the others go.

    Args:
        part: our own, perhaps empty.
        outputs: names of what the whole model answers.

    Raises:
        PeerLost: a device is gone, or holds a request for longer than the pace allows.
        PeerMisbehaved: one of them answered what was not asked.
    """
    entry = _Entry(group, part, pace.window, outputs=frozenset(outputs), feed=feed, report=report)
    await entry.wait_ready(pace.setup)
    async with asyncio.TaskGroup() as tasks:
        helpers = [tasks.create_task(entry.watch(pace.patience))]
        helpers += [tasks.create_task(entry.hear_refusals(rank)) for rank in group.others]
        helpers += [tasks.create_task(entry.hear_passed(rank)) for rank in group.others[:-1]]
        helpers += [tasks.create_task(entry.hear_answers(rank)) for rank in group.others[-1:]]
        await entry.feed_all()
        for helper in helpers:
            helper.cancel()
    await group.broadcast(Finish())


class _Entry:
    def __init__(
        self,
        group: Group,
        part: Part,
        window: int,
        *,
        outputs: frozenset[str],
        feed: Feed,
        report: Callable[[object], None],
    ) -> None:
        self._group = group
        self._part = part
        self._feed = feed
        self._window = window
        self._outputs = outputs
        self._report = report
        self._held: dict[int, _Held] = {}
        self._moved: dict[Rank, float] = {}
        self._changed = asyncio.Event()

    async def wait_ready(self, setup: float) -> None:
        """Wait until everyone has loaded their parts. Raises PeerLost for the first that does not within `setup`."""
        waiting = set(self._group.others)

        async def hear(rank: Rank) -> None:
            ready = await self._group.receive(rank, Ready)
            waiting.discard(rank)
            self._report(Loaded(self._group.roster[rank], ready.seconds))

        try:
            async with asyncio.timeout(setup), asyncio.TaskGroup() as tasks:
                for rank in self._group.others:
                    tasks.create_task(hear(rank))
        except TimeoutError:
            if not waiting:  # the last one was ready just as time ran out
                return
            slow = self._group.roster[min(waiting)]
            raise PeerLost(slow, f"It did not load its part within {setup:g} s.") from None

    async def feed_all(self) -> None:
        """Send every request down the line; return when the feed is over and nothing is under way."""
        while True:
            await self._wait_under(self._window)
            request = await self._feed.take()
            if request is None:
                return await self._wait_under(1)
            await self._begin(request)

    async def _begin(self, request: Request) -> None:
        loop = asyncio.get_running_loop()
        self._held[request.seq] = _Held(Rank(0), loop.time())
        began = loop.time()
        try:
            made = tensors_of(await self._part.pass_on(arrays_of(request.payload)))
        except BadInput as error:
            self._close(request.seq)
            self._feed.refuse(request.seq, error)
            return
        self._report(Hop(self._group.roster[0], request.seq, loop.time() - began))
        if self._group.size == 1:
            self._close(request.seq)
            self._feed.answer(request.seq, made)
        else:
            self._held[request.seq] = _Held(Rank(1), loop.time())
            await self._group.send(Rank(1), Activations(seq=request.seq, tensors=made))

    async def hear_answers(self, last: Rank) -> None:
        """Take what the last rank makes."""
        while True:
            answer = await self._group.receive(last, Answer)
            self._expect(last, answer.seq)
            if answer.tensors.keys() != self._outputs:
                raise PeerMisbehaved(self._group.roster[last], "Its answer does not hold the model's outputs.")
            self._note(last, answer.seq, answer.seconds)
            self._close(answer.seq)
            self._feed.answer(answer.seq, answer.tensors)

    async def hear_refusals(self, rank: Rank) -> None:
        """Hear of requests that cannot be computed."""
        while True:
            refusal = await self._group.receive(rank, Refusal)
            self._expect(rank, refusal.seq)
            self._close(refusal.seq)
            self._feed.refuse(refusal.seq, BadInput(f"Request {refusal.seq} cannot be answered: {refusal.reason}"))

    async def hear_passed(self, rank: Rank) -> None:
        """Hear how far each request has come."""
        while True:
            passed = await self._group.receive(rank, Passed)
            held = self._held.get(passed.seq)
            if held is None or held.rank > rank:  # its answer, or a later rank's word, overtook this; or it is made up
                self._report(Hop(self._group.roster[rank], passed.seq, passed.seconds))
                continue
            self._note(rank, passed.seq, passed.seconds)
            self._held[passed.seq] = _Held(Rank(rank + 1), self._moved[rank])

    async def watch(self, patience: float) -> None:
        """Find out who stands still. Raises PeerLost for that device, not for whoever merely comes after it."""
        while True:
            now = asyncio.get_running_loop().time()
            # A request that waits behind others is not held up by itself: its device's last sign of work counts.
            late = [
                held.rank
                for held in self._held.values()
                if held.rank and now - max(held.since, self._moved.get(held.rank, 0.0)) > patience
            ]
            if late:
                # The furthest one down the line: those before it may wait because it does.
                peer = self._group.roster[max(late)]
                raise PeerLost(peer, f"It has held a request for more than {patience:g} s.")
            await asyncio.sleep(patience / 4)

    def _note(self, rank: Rank, seq: int, seconds: float) -> None:
        self._moved[rank] = asyncio.get_running_loop().time()
        self._report(Hop(self._group.roster[rank], seq, seconds))

    def _expect(self, rank: Rank, seq: int) -> None:
        if seq not in self._held:
            raise PeerMisbehaved(self._group.roster[rank], f"It answered request {seq}, which is not under way.")

    def _close(self, seq: int) -> None:
        del self._held[seq]
        self._changed.set()

    async def _wait_under(self, limit: int) -> None:
        while len(self._held) >= limit:
            self._changed.clear()
            await self._changed.wait()
