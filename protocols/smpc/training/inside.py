"""What runs in the box of one party of private training: its links, its shares of the data, and the learner.

Plain code that blocks. Everything it knows of the session comes through its pipe, and nothing of it outlives the box.
"""

from __future__ import annotations

import time

import msgspec
import numpy as np

from mesh.errors import BadInput, Misuse
from protocols.runtimes.box_inside import Report, serve
from protocols.smpc.dealing import Taker, digest_of, words_of
from protocols.smpc.inside_meeting import Gate, party_of
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.training.batches import Batches
from protocols.smpc.training.learner import Learner, Recipe, State
from protocols.smpc.training.optimisers import MOMENTA
from protocols.smpc.training.orders import (
    Begin,
    Come,
    Done,
    Listen,
    Listens,
    Order,
    Snap,
    Snapshot,
    Steps,
    Take,
    Train,
    Trained,
)

__all__ = ["Inside", "School"]

DATA = 0
"""The batch, of an owner's shares, that its data is."""


class Inside:
    """One party's state, from listening to the last step."""

    def __init__(self) -> None:
        self._gate: Gate | None = None
        self._school: School | None = None

    def answer(self, order: Order, _report: Report) -> msgspec.Struct:
        """Do as asked. Raises MeshError, `PeerLost` for a party that is gone among them; Misuse: out of turn."""
        match order.task:
            case Listen(identity, listen, ports):
                self._gate = Gate.open(identity, listen, ports)
                return Listens(self._gate.port)
            case Come() as come:
                self._school = School(come, self._met(come))
                return Done()
            case Take(owner, count, words):
                self._at_work().take(owner, count, words_of(words))
                return Done()
            case Begin() as begin:
                return self._at_work().begin(begin)
            case Train(until, tell):
                return self._at_work().train(until, tell=tell)
            case Snap(whole):
                return self._at_work().snapshot(whole=whole)

    def _met(self, come: Come) -> Party:
        if self._gate is None:
            raise Misuse("a box is told to listen before it is told to come")
        return party_of(come.trio, self._gate.links(come.trio), come.spec.fraction)

    def _at_work(self) -> School:
        if self._school is None:
            raise Misuse("a box is told to come before it is given work")
        return self._school


class School:
    """The data as it comes in, and then the learner on it."""

    def __init__(self, come: Come, party: Party) -> None:
        spec = come.spec
        self._spec = spec
        self._party = party
        self._parts = [
            _Part(rows, columns, spec.outputs if holding.labels else 0, Taker(come.trio.party, seeds, DATA))
            for (rows, columns), holding, seeds in zip(come.sizes, spec.data, come.seeds, strict=True)
        ]
        rows, columns = zip(*come.sizes, strict=True)
        by_rows = spec.split == "rows"
        total = sum(rows) if by_rows else rows[0]
        self._recipe = Recipe(
            spec.network(columns[0] if by_rows else sum(columns)), spec.loss, spec.optimiser, spec.seed
        )
        self._batches = Batches(total, spec.batch, spec.seed)
        self._pupil: _Pupil | None = None

    def take(self, owner: int, count: int, words: Words) -> None:
        """One more piece of an owner's data."""
        if not 0 <= owner < len(self._parts):
            raise BadInput("There is no such owner.")
        self._parts[owner].add(count, words)

    def begin(self, begin: Begin) -> Steps:
        """All data is there: begin, or go on. Raises BadInput: it is not, or the state is of another network."""
        axis = 0 if self._spec.split == "rows" else 1
        parts = [part.values() for part in self._parts]
        x = Secret.concatenate([part[0] for part in parts], axis)
        labels = Secret.concatenate([part[1] for part in parts if axis == 0 or part[1].shape[1]], 0)
        self._parts = []
        state = self._state(begin) if begin.step else None
        self._pupil = _Pupil(Learner(self._party, self._recipe, state), x, labels, self._batches)
        return Steps(self._batches.in_epoch, sum(laid.count for laid in self._recipe.network))

    def train(self, until: int, *, tell: bool) -> Trained:
        """Steps until so many are done."""
        link, began = self._party.link, time.monotonic()
        sent, rounds = link.sent, link.rounds
        pupil = self._at_school()
        told = pupil.train(until, tell=tell)
        return Trained(
            pupil.learner.state.steps,
            seconds=time.monotonic() - began,
            sent=link.sent - sent,
            rounds=link.rounds - rounds,
            words=b"" if told is None else told.first.astype("<u8").tobytes(),
            check=b"" if told is None else digest_of(told.second),
        )

    def snapshot(self, *, whole: bool) -> Snapshot:
        """Our shares of the weights; or of all state."""
        state = self._at_school().learner.state
        rows = state.rows if whole else (state.weights,)
        first, second = (
            np.concatenate(shares).astype("<u8").tobytes()
            for shares in ([row.first for row in rows], [row.second for row in rows])
        )
        return Snapshot(state.steps, first, second)

    def _state(self, begin: Begin) -> State:
        count, rows = sum(laid.count for laid in self._recipe.network), 1 + MOMENTA[self._spec.optimiser.kind]
        first, second = (words_of(part).astype(np.uint64) for part in (begin.first, begin.second))
        if not first.size == second.size == rows * count:
            raise BadInput("The checkpoint is of another network.")
        kept = Secret(first, second).reshape(rows, count)
        return State(begin.step, kept[0], tuple(kept[1 + row] for row in range(rows - 1)))

    def _at_school(self) -> _Pupil:
        if self._pupil is None:
            raise Misuse("a box is told to begin before it is told to train")
        return self._pupil


class _Pupil:
    def __init__(self, learner: Learner, x: Secret, labels: Secret, batches: Batches) -> None:
        shape = learner.recipe.network[0].before
        self.learner = learner
        self._x = x.reshape(x.shape[0], *shape)
        self._labels = labels
        self._batches = batches

    def train(self, until: int, *, tell: bool) -> Secret | None:
        told, steps = None, self.learner.state.steps
        order, epoch = None, -1
        for step in range(steps, until):
            if step // self._batches.in_epoch != epoch:
                epoch = step // self._batches.in_epoch
                order = self._batches.epoch(epoch)
            place = step % self._batches.in_epoch * self._batches.size
            rows = order[place : place + self._batches.size] if order is not None else slice(0)
            told = self.learner.step(self._x[rows], self._labels[rows], tell=tell and step == until - 1)
        return told


class _Part:
    """One owner's numbers as they come in: all of x and then all labels."""

    def __init__(self, rows: int, columns: int, outputs: int, taker: Taker) -> None:
        self._shape = (rows, columns, outputs)
        self._taker = taker
        self._have = 0
        self._shares = tuple(np.empty(rows * (columns + outputs), np.uint64) for _ in range(2))

    def add(self, count: int, words: Words) -> None:
        place = slice(self._have, self._have + count)
        if count < 0 or place.stop > self._shares[0].size:
            raise BadInput("An owner sent more than its data was said to be.")
        for share, part in zip(self._shares, self._taker.pair(words, count), strict=True):
            share[place] = part
        self._have = place.stop

    def values(self) -> tuple[Secret, Secret]:
        rows, columns, outputs = self._shape
        if self._have != self._shares[0].size:
            raise BadInput(f"An owner sent {self._have} numbers of {self._shares[0].size}.")
        whole, middle = Secret(*self._shares), rows * columns
        return whole[:middle].reshape(rows, columns), whole[middle:].reshape(rows, outputs)


if __name__ == "__main__":
    serve(Order, Inside().answer)
