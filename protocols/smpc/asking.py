"""The device that asks: it hands in its inputs, request by request, and knows of each whether it is computed and told.

Whether it learns the answers too is for the plan to say: if it is a receiver, a `Receiver` of its own gives them to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mesh.errors import BadInput, PeerLost, PeerMisbehaved, SessionError
from mesh.ids import PeerId, Rank
from mesh.protocol import Device, Feed, Request
from mesh.tensors import Tensors
from protocols.arrays import Arrays, arrays_of, tensors_of
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import in_clear, ring_row
from protocols.smpc.handing import Hander
from protocols.smpc.keeping import name_of
from protocols.smpc.program.steps import Array
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.roles import ASKER, Roles
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import Ready, Received, Spent, Use

__all__ = ["Asker", "Computed", "Joined", "Told"]

WINDOW = 2
"""Requests under way at once: one that is computed, and one that is there already when it is done."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Progress: a party has met the two others and holds its shares of the model, after so many seconds."""

    peer: PeerId
    seconds: float


@dataclass(frozen=True, slots=True)
class Computed:
    """Progress: a party has computed its shares of one answer, as it says.

    Attributes:
        sent: bytes that it sent to the two others for it.
        rounds: exchanges with them that it waited for.
    """

    peer: PeerId
    seq: int
    seconds: float
    sent: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Told:
    """Progress: a receiver has an answer, and keeps it under a name."""

    peer: PeerId
    seq: int
    name: str


Prepare = Callable[[Arrays], Awaitable[dict[str, Array]]]


async def _as_they_are(arrays: Arrays) -> dict[str, Array]:
    return dict(arrays)


@dataclass(slots=True)
class _Asked:
    """A request under way: since when, whom it still waits for, and the answer where it is ours to know."""

    since: float
    parties: set[Rank]
    receivers: set[Rank]
    answer: Tensors = field(default_factory=dict)


class Asker:
    """Rank 0's work, whether it is itself one of the three or not.

    Attributes:
        prepare: turns a request's inputs into those of the program: the public part of a model.
        generations: of kept answers that the three hold between them, by name and number; known once all are ready.
        session: what the three call their session.
        missing: where the answers are ours to know: the parties whose shares of one have not come.
    """

    def __init__(self, circle: Circle, results: Circle, spec: PrivateSpec, roles: Roles, device: Device) -> None:
        self.generations: dict[str, dict[int, str]] = {}
        self.session = ""
        self.prepare: Prepare = _as_they_are
        self.missing: Callable[[int], Sequence[Rank]] = lambda _seq: ()
        self._circle = circle
        self._results = results
        self._spec = spec
        self._roles = roles
        self._limits = device.asked.within if isinstance(device.asked, PrivateSpec) else {}
        self._feed: Feed = device.feed
        self._report: Callable[[object], None] = device.report
        self._hander = Hander(circle, roles.parties, device.entropy)
        self._fixed = FixedPoint(spec.fraction)
        self._asked: dict[int, _Asked] = {}
        self._moved = 0.0
        self._changed = asyncio.Event()

    async def serve(self, kept: Callable[[int], None] = lambda _seq: None) -> None:
        """Ask what the feed brings until it is over, then let everybody go.

        Args:
            kept: is told of each request that is computed; to be used where the three keep the answers.

        Raises:
            PeerLost: a party or a receiver is gone, or did not keep up with the others.
            PeerMisbehaved: one of them sent what was not asked.
            SessionError: all three together took longer than the spec's patience.
        """
        try:
            async with asyncio.timeout(self._spec.setup):
                await self._hander.begin()
                await self._wait_ready()
        except TimeoutError:
            raise SessionError(f"The parties were not ready within {self._spec.setup:g} s.") from None
        others = [rank for rank in self._roles.receivers if rank != ASKER]
        async with asyncio.TaskGroup() as tasks:
            watch = [tasks.create_task(self._watch())]
            watch += [tasks.create_task(self._hear_party(rank, kept)) for rank in self._roles.parties]
            watch += [tasks.create_task(self._hear_receiver(rank)) for rank in others]
            await self._ask_all()
            for task in watch:
                task.cancel()
        await self._circle.part(self._roles.parties)
        await self._results.part(others)

    async def deliver(self, seq: int, outputs: dict[str, Array]) -> None:
        """An answer that is ours to know. Raises PeerMisbehaved: all three answered what was not asked."""
        asked = self._asked_as(seq, self._roles.parties[0], ASKER, "receivers")
        asked.answer = tensors_of(outputs)
        self._settle(seq, asked)

    async def _wait_ready(self) -> None:
        listings = []
        for rank in self._roles.parties:
            ready = await self._circle.receive(rank, Ready)
            if ready.session != (self.session or ready.session):
                raise PeerMisbehaved(self._circle.peer(rank), "It says that it met others than the two others say.")
            self.session = ready.session
            listings.append(ready.kept)
            self._report(Joined(self._circle.peer(rank), ready.seconds))
        self.generations = _common(listings)

    async def _ask_all(self) -> None:
        while True:
            await self._wait_under(WINDOW)
            request = await self._feed.take()
            if request is None:
                return await self._wait_under(1)
            await self._ask(request)

    async def _ask(self, request: Request) -> None:
        spec, arrays = self._spec, arrays_of(request.payload)
        try:
            arrays = await self.prepare(arrays)
            self._expect_calibrated(arrays)
            use = {name: self._kept(name, arrays.pop(name, None)) for name in sorted(spec.held)}
            row = ring_row(spec.dealt, arrays, self._fixed) if spec.hides_input else in_clear(spec.dealt, arrays)
        except BadInput as error:
            self._feed.refuse(request.seq, error)
            return
        self._asked[request.seq] = _Asked(_now(), {*self._roles.parties}, {*self._roles.receivers})
        if use:
            for rank in self._roles.parties:
                await self._circle.send(rank, Use(batch=request.seq, numbers=use))
        async for _ in self._hander.deal(request.seq, row, secret=spec.hides_input):
            pass

    def _expect_calibrated(self, arrays: Mapping[str, Array]) -> None:
        """Refuse what may not fit the number format: nothing later would notice."""
        for name, most in self._limits.items():
            array = arrays.get(name)
            largest = float(np.abs(np.asarray(array, np.float64)).max(initial=0.0)) if array is not None else 0.0
            if not largest <= most:
                raise BadInput(
                    f"{name!r} reaches {largest:.4g}, and this model was calibrated for up to {most:.4g}: answers "
                    "could be wrong without notice. Scale it, or calibrate the model with inputs of this kind."
                )

    def _kept(self, port: str, number: Array | None) -> int:
        name = name_of(self._spec.held[port])
        only = self.generations.get(name, {})
        if number is None and len(only) == 1:  # such as the weights of a model that was trained
            return next(iter(only))
        if number is None or number.size != 1 or number.dtype.kind not in "iu":
            raise BadInput(f"{port!r} is to be a kept answer: give its number, a whole one, counted from 0.")
        wanted = int(number.reshape(-1)[0])
        if wanted not in self.generations.get(name, {}):
            known = sorted(self.generations.get(name, {}))
            raise BadInput(
                f"Not all three devices keep answer {wanted} of {name!r} any more: they keep "
                f"{f'{known[0]} to {known[-1]}' if known else 'none'}. Compute it again."
            )
        return wanted

    async def _hear_party(self, rank: Rank, kept: Callable[[int], None]) -> None:
        while True:
            spent = await self._circle.receive(rank, Spent)
            asked = self._asked_as(spent.seq, rank, rank, "parties")
            self._report(
                Computed(self._circle.peer(rank), spent.seq, spent.seconds, sent=spent.sent, rounds=spent.rounds)
            )
            if not asked.parties:
                kept(spent.seq)
            self._settle(spent.seq, asked)

    async def _hear_receiver(self, rank: Rank) -> None:
        while True:
            received = await self._results.receive(rank, Received)
            asked = self._asked_as(received.seq, rank, rank, "receivers")
            self._report(Told(self._circle.peer(rank), received.seq, self._spec.name))
            self._settle(received.seq, asked)

    def _asked_as(self, seq: int, culprit: Rank, waited: Rank, role: str) -> _Asked:
        """The request, which waits no more for one of those that it waited for."""
        asked = self._asked.get(seq)
        waiting: set[Rank] = getattr(asked, role, set())
        if asked is None or waited not in waiting:
            raise PeerMisbehaved(self._circle.peer(culprit), f"It answered what was not asked: request {seq}.")
        waiting.discard(waited)
        self._moved = _now()
        return asked

    def _settle(self, seq: int, asked: _Asked) -> None:
        if not asked.parties and not asked.receivers:
            del self._asked[seq]
            self._changed.set()
            self._feed.answer(seq, asked.answer)

    async def _watch(self) -> None:
        """Raises PeerLost for whoever holds the others up, SessionError where all parties are late."""
        patience = self._spec.patience
        while True:
            for seq, asked in self._asked.items():
                if _now() - max(asked.since, self._moved) > patience:
                    raise self._late(seq, asked)
            await asyncio.sleep(patience / 4)

    def _late(self, seq: int, asked: _Asked) -> PeerLost | SessionError:
        patience = self._spec.patience
        missing = sorted(asked.parties) or sorted(self.missing(seq)) or sorted(asked.receivers - {ASKER})
        if not missing or len(asked.parties) == PARTIES:
            return SessionError(f"The parties gave no answer for {patience:g} s: allow more with patience=SECONDS.")
        return PeerLost(self._circle.peer(missing[0]), f"It held up an answer for more than {patience:g} s.")

    async def _wait_under(self, limit: int) -> None:
        while len(self._asked) >= limit:
            self._changed.clear()
            await self._changed.wait()


def _common(listings: Sequence[Mapping[str, Mapping[int, str]]]) -> dict[str, dict[int, str]]:
    """What all of them name, of the same generation."""
    first, *others = listings
    return {name: dict(_agreed(numbers, [other.get(name, {}) for other in others])) for name, numbers in first.items()}


def _agreed(numbers: Mapping[int, str], others: Sequence[Mapping[int, str]]) -> Iterable[tuple[int, str]]:
    return ((number, made) for number, made in numbers.items() if all(other.get(number) == made for other in others))


def _now() -> float:
    return asyncio.get_running_loop().time()
