"""The device that asks: splits its model and its inputs among three parties, and puts their answers together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mesh.errors import BadInput, MeshError, PeerLost, PeerMisbehaved, SessionError
from mesh.ids import PeerId, Rank
from mesh.protocol import Device, Feed, Request
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import (
    MODEL,
    WORD,
    Dealer,
    digest_of,
    in_clear,
    pieces,
    recombined,
    ring_row,
    seeds_for,
    total,
    unpack_weights,
    words_of,
)
from protocols.smpc.program.steps import Array, Port
from protocols.smpc.replicated.link import PARTIES, Words
from protocols.smpc.replicated.randomness import KEY_BYTES
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import Clear, Ready, Result, Seeds, Share, Taken

__all__ = ["Computed", "Joined", "Owner"]

WINDOW = 2
"""Requests under way at once: one that is computed, and one that is there already when it is done."""

_LARGE = 2**16  # numbers that take longer to mask than another thread takes to be told


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


@dataclass(slots=True)
class _Asked:
    """A request under way: since when, and what has come back, by number of the party."""

    since: float
    results: dict[int, Result] = field(default_factory=dict)


class Owner:
    """Rank 0's work, whether it is itself one of the three or not.

    Args:
        parties: the ranks of the three that compute, by number.
    """

    def __init__(self, circle: Circle, spec: PrivateSpec, parties: Sequence[Rank], device: Device) -> None:
        self._circle = circle
        self._spec = spec
        self._parties = tuple(parties)
        self._fixed = FixedPoint(spec.fraction)
        self._feed: Feed = device.feed
        self._report: Callable[[object], None] = device.report
        self._seeds = device.entropy(KEY_BYTES), device.entropy(KEY_BYTES)
        self._asked: dict[int, _Asked] = {}
        self._moved = 0.0
        self._changed = asyncio.Event()

    async def serve(self, weights: bytes) -> None:
        """Answer requests until the feed is over, then let the parties go.

        Args:
            weights: as `dealing.pack_weights` wrote them.

        Raises:
            PeerLost: a party is gone, or did not keep up with the others.
            PeerMisbehaved: a party's shares do not agree with another's, or it sent what was not asked.
            SessionError: all three together took longer than the spec's patience.
            BadInput: the weights are those of another model.
        """
        try:
            async with asyncio.timeout(self._spec.setup):
                await self._deal_model(weights)
                await self._wait_ready()
        except TimeoutError:
            raise SessionError(f"The parties were not ready within {self._spec.setup:g} s.") from None
        async with asyncio.TaskGroup() as tasks:
            others = [tasks.create_task(self._watch())]
            others += [tasks.create_task(self._hear(number)) for number in range(PARTIES)]
            await self._ask_all()
            for task in others:
                task.cancel()
        await self._circle.part(self._parties)

    async def _deal_model(self, weights: bytes) -> None:
        for number, rank in enumerate(self._parties):
            await self._circle.send(rank, Seeds(seeds=seeds_for(number, self._seeds)))
        ports = self._spec.program.weights
        async for _ in self._dealt(MODEL, ports, unpack_weights(ports, weights)):
            for rank in self._parties:
                await self._circle.receive(rank, Taken)

    async def _wait_ready(self) -> None:
        for rank in self._parties:
            ready = await self._circle.receive(rank, Ready)
            self._report(Joined(self._circle.peer(rank), ready.seconds))

    async def _dealt(self, batch: int, ports: Sequence[Port], arrays: Mapping[str, Array]) -> AsyncIterator[None]:
        """Give the parties a batch, piece by piece."""
        secret = self._spec.hides(model=batch == MODEL)
        row = ring_row(ports, arrays, self._fixed) if secret else in_clear(ports, arrays)
        dealer = Dealer(self._seeds, batch)
        for place in pieces(row.size):
            words = row[place]
            if secret:
                words = await asyncio.to_thread(dealer.masked, words) if words.size > _LARGE else dealer.masked(words)
            async with asyncio.TaskGroup() as tasks:
                for number, rank in enumerate(self._parties):
                    tasks.create_task(self._circle.send(rank, _piece(batch, words, number, secret=secret)))
            yield

    async def _ask_all(self) -> None:
        while True:
            await self._wait_under(WINDOW)
            request = await self._feed.take()
            if request is None:
                return await self._wait_under(1)
            await self._ask(request)

    async def _ask(self, request: Request) -> None:
        self._asked[request.seq] = _Asked(_now())
        try:
            async for _ in self._dealt(request.seq, self._spec.program.inputs, arrays_of(request.payload)):
                pass
        except BadInput as error:
            self._close(request.seq)
            self._feed.refuse(request.seq, error)

    async def _hear(self, number: int) -> None:
        """Take what one party sends back."""
        rank = self._parties[number]
        while True:
            result = await self._circle.receive(rank, Result)
            asked = self._asked.get(result.seq)
            size = WORD * total(self._spec.program.outputs)
            if asked is None or number in asked.results or result.words.nbytes != size:
                raise PeerMisbehaved(self._circle.peer(rank), f"It answered what was not asked: request {result.seq}.")
            asked.results[number] = result
            self._moved = _now()
            self._report(
                Computed(self._circle.peer(rank), result.seq, result.seconds, sent=result.sent, rounds=result.rounds)
            )
            if len(asked.results) == PARTIES:
                self._answer(result.seq, asked.results)

    def _answer(self, seq: int, results: Mapping[int, Result]) -> None:
        rows = [words_of(results[number].words).astype("u8") for number in range(PARTIES)]
        for number, result in results.items():
            following = (number + 1) % PARTIES
            if result.check != digest_of(rows[following]):
                raise self._quarrel(number, following)
        outputs = recombined(self._spec.program.outputs, rows, self._fixed)
        self._close(seq)
        self._feed.answer(seq, tensors_of(outputs))

    def _quarrel(self, one: int, other: int) -> MeshError:
        """Two parties hold the same share, and not the same words. Which of them is wrong, nobody can tell."""
        first, second = self._circle.peer(self._parties[one]), self._circle.peer(self._parties[other])
        if self._parties[one] == self._circle.rank:
            first, second = second, first
        return PeerMisbehaved(first, f"Its share of an answer and that of {second.short} differ; one of them is wrong.")

    async def _watch(self) -> None:
        """Raises PeerLost for a party that holds the others up, SessionError where all are late."""
        patience = self._spec.patience
        while True:
            late = [asked for asked in self._asked.values() if _now() - max(asked.since, self._moved) > patience]
            for asked in late:
                missing = [number for number in range(PARTIES) if number not in asked.results]
                if 0 < len(missing) < PARTIES:
                    peer = self._circle.peer(self._parties[missing[0]])
                    raise PeerLost(peer, f"It held up an answer for more than {patience:g} s.")
                raise SessionError(f"The parties gave no answer for {patience:g} s: allow more with patience=SECONDS.")
            await asyncio.sleep(patience / 4)

    def _close(self, seq: int) -> None:
        del self._asked[seq]
        self._changed.set()

    async def _wait_under(self, limit: int) -> None:
        while len(self._asked) >= limit:
            self._changed.clear()
            await self._changed.wait()


def _piece(batch: int, words: Words, number: int, *, secret: bool) -> Share | Clear:
    if not secret:
        return Clear(batch=batch, words=memoryview(words.astype("<u8").tobytes()))
    held = 2 in (number, (number + 1) % PARTIES)
    return Share(batch=batch, words=memoryview(words.astype("<u8").tobytes() if held else b""))


def _now() -> float:
    return asyncio.get_running_loop().time()
