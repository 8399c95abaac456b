"""A receiver's side: it puts together what the three parties send it, and finds out if one of them altered it.

Whoever is no receiver is sent nothing of an answer, the device that asked not excepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mesh.errors import MeshError, PeerMisbehaved
from mesh.ids import Rank
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import WORD, digest_of, recombined, total, words_of
from protocols.smpc.program.steps import Array, Port
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.words import Result

__all__ = ["RESULTS", "Receiver"]

RESULTS = "results"
"""The scope in which receivers are told answers."""

_OPEN = 16  # answers that may be half there: no honest party is so far ahead of another

Deliver = Callable[[int, dict[str, Array]], Awaitable[None]]


class Receiver:
    """One receiver, wherever it is.

    Args:
        circle: in the scope `RESULTS`.
        parties: the ranks of the three that compute, by number.
        outputs: of the program.
        deliver: is given each answer: the request's number, and the outputs by name.
    """

    def __init__(
        self, circle: Circle, parties: Sequence[Rank], outputs: Sequence[Port], fixed: FixedPoint, deliver: Deliver
    ) -> None:
        self._circle = circle
        self._parties = tuple(parties)
        self._outputs = tuple(outputs)
        self._fixed = fixed
        self._deliver = deliver
        self._open: dict[int, dict[int, Result]] = {}

    async def listen(self) -> None:
        """Take answers until cancelled.

        Raises:
            PeerLost: a party is gone.
            PeerMisbehaved: a party's shares do not agree with another's, or it sent what cannot be.
        """
        async with asyncio.TaskGroup() as tasks:
            for number in range(PARTIES):
                tasks.create_task(self._hear(number))

    def missing(self, seq: int) -> tuple[Rank, ...]:
        """The parties whose shares of an answer that is half here have not come."""
        answer = self._open.get(seq)
        return () if answer is None else tuple(self._parties[n] for n in range(PARTIES) if n not in answer)

    async def _hear(self, number: int) -> None:
        rank, size = self._parties[number], WORD * total(self._outputs)
        while True:
            result = await self._circle.receive(rank, Result)
            answer = self._open.setdefault(result.seq, {})
            if number in answer or result.seq < 0 or result.words.nbytes != size or len(self._open) > _OPEN:
                raise PeerMisbehaved(self._circle.peer(rank), f"It answered what was not asked: request {result.seq}.")
            answer[number] = result
            if len(answer) == PARTIES:
                del self._open[result.seq]
                await self._deliver(result.seq, self._together(answer))

    def _together(self, results: Mapping[int, Result]) -> dict[str, Array]:
        rows = [words_of(results[number].words).astype("u8") for number in range(PARTIES)]
        for number, result in results.items():
            following = (number + 1) % PARTIES
            if result.check != digest_of(rows[following]):
                raise self._quarrel(number, following)
        return recombined(self._outputs, rows, self._fixed)

    def _quarrel(self, one: int, other: int) -> MeshError:
        """Two parties hold the same share, and not the same words. Which of them is wrong, nobody can tell."""
        first, second = self._circle.peer(self._parties[one]), self._circle.peer(self._parties[other])
        if self._parties[one] == self._circle.rank:
            first, second = second, first
        return PeerMisbehaved(first, f"Its share of an answer and that of {second.short} differ; one of them is wrong.")
