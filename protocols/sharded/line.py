"""One part of the line: take what crosses the cut before it, compute, hand on what crosses the cut after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from mesh.blobs import BlobRef
from mesh.errors import BadInput, PeerMisbehaved
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.protocol import Blobs
from protocols.arrays import arrays_of, tensors_of
from protocols.sharded.segments import ModelInfo
from protocols.sharded.words import Activations, Answer, Finish, Passed, Ready, Refusal

__all__ = ["Engine", "Load", "Part", "work_line"]


class Engine(Protocol):
    """Consecutive segments of a model, loaded."""

    @property
    def inputs(self) -> Collection[str]:
        """Names of what it takes."""

    async def infer(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run them once. Raises BadInput if the feeds do not fit."""

    def close(self) -> None:
        """Let go of the model."""


Load = Callable[[Sequence[bytes], Collection[str]], Awaitable[Engine]]
"""Load consecutive segments, keeping these of the values that they make. Raises BadInput."""


class Part:
    """The segments first <= i < last at this device. An empty part hands everything on as it came.

    Use as a context; entering fetches what is missing and loads it.
    """

    def __init__(self, model: ModelInfo, first: int, last: int, engine: Engine | None) -> None:
        self._engine = engine
        self._inputs = model.crossing(first)
        self._outputs = model.crossing(last)

    @classmethod
    async def loaded(
        cls,
        model: ModelInfo,
        refs: Sequence[BlobRef],
        span: tuple[int, int],
        *,
        load: Load,
        blobs: Blobs,
        source: PeerId,
    ) -> Part:
        """The part `span`, its segments brought from `source` where they are not here yet.

        Raises:
            PeerError, StoreError: a segment cannot be had.
            BadInput: the segments are no model that runs here.
        """
        first, last = span
        if first == last:
            return cls(model, first, last, None)
        pieces = [await blobs.bring(ref, source) for ref in refs[first:last]]
        return cls(model, first, last, await load(pieces, model.crossing(last)))

    def missing(self, given: Container[str]) -> list[str]:
        """Names of what this part takes and `given` lacks."""
        return [name for name in self._inputs if name not in given]

    async def pass_on(self, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What crosses the cut after this part, from what crossed the one before it. Raises BadInput."""
        if missing := self.missing(given):
            raise BadInput(f"the input {missing[0]!r} is missing; the model takes {', '.join(self._inputs)}")
        if self._engine is None:
            return {name: given[name] for name in self._outputs}
        made = await self._engine.infer({name: given[name] for name in self._engine.inputs})
        return {name: made[name] if name in made else given[name] for name in self._outputs}

    def close(self) -> None:
        """Let go of the model."""
        if self._engine is not None:
            self._engine.close()


async def work_line(group: Group, part: Part, *, after: Rank, ready: float) -> None:
    """A rank other than 0: pass requests on until rank 0 says that no more will come.

    Args:
        after: who takes what this part makes; rank 0 for the last part.
        ready: seconds that loading took.
    """
    await group.send(Rank(0), Ready(seconds=ready))
    async with asyncio.TaskGroup() as tasks:
        line = tasks.create_task(_pass_all(group, part, after))
        await group.receive(Rank(0), Finish)
        line.cancel()


async def _pass_all(group: Group, part: Part, after: Rank) -> None:
    # Sending a large activation takes time of its own: computing the next one does not wait for it.
    leaving: asyncio.Queue[Activations | Answer] = asyncio.Queue(maxsize=1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_send_all(group, leaving, after))
        await _compute_all(group, part, leaving, after)


async def _compute_all(group: Group, part: Part, leaving: asyncio.Queue[Activations | Answer], after: Rank) -> None:
    before, entry = Rank(group.rank - 1), Rank(0)
    loop, newest = asyncio.get_running_loop(), -1
    while True:
        taken = await group.receive(before, Activations)
        if taken.seq <= newest:
            raise PeerMisbehaved(group.roster[before], f"It sent request {taken.seq} after request {newest}.")
        if missing := part.missing(taken.tensors):  # rank 0 saw to it that the request has all its inputs
            raise PeerMisbehaved(group.roster[before], f"It did not send {missing[0]!r}, which crosses our cut.")
        newest, began = taken.seq, loop.time()
        try:
            made = tensors_of(await part.pass_on(arrays_of(taken.tensors)))
        except BadInput as error:
            await group.send(entry, Refusal(seq=taken.seq, reason=str(error)))
            continue
        seconds = loop.time() - began
        if after == entry:
            await leaving.put(Answer(seq=taken.seq, seconds=seconds, tensors=made))
        else:
            await leaving.put(Activations(seq=taken.seq, tensors=made))
            await group.send(entry, Passed(seq=taken.seq, seconds=seconds))


async def _send_all(group: Group, leaving: asyncio.Queue[Activations | Answer], after: Rank) -> None:
    while True:
        await group.send(after, await leaving.get())
