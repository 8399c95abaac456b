"""What runs in the box of one party: its links to the two other boxes, its shares, and the program.

Plain code that blocks. Everything it knows of the session comes through its pipe, and nothing of it outlives the box.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from mesh.errors import BadInput, Misuse
from mesh.transport.blocking import Address, Identity, Links, Listener, PeerId, SessionId
from protocols.runtimes.box_inside import Report, serve
from protocols.smpc.dealing import MODEL, Taker, digest_of, labelled, total, values_of, words_of
from protocols.smpc.orders import Answer, Compute, Done, Join, Open, Opened, Order, Take
from protocols.smpc.program.run import run_program
from protocols.smpc.program.steps import Array, Port
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint, Secret

__all__ = ["Inside"]


class Inside:
    """One party's state, from listening to the last answer."""

    def __init__(self) -> None:
        self._identity: Identity | None = None
        self._listener: Listener | None = None
        self._work: _Work | None = None

    def answer(self, order: Order, _report: Report) -> msgspec.Struct:
        """Do as asked. Raises MeshError, `PeerLost` for a party that is gone among them; Misuse: out of turn."""
        match order.task:
            case Open(identity, listen):
                self._identity, self._listener = Identity.load(Path(identity)), Listener(listen)
                return Opened(self._listener.address.port)
            case Join() as join:
                self._work = _Work(join, self._met(join))
                return Done()
            case Take(batch, count, words):
                self._at_work().take(batch, count, words_of(words))
                return Done()
            case Compute(batch):
                return self._at_work().compute(batch)

    def _met(self, join: Join) -> Links:
        if self._identity is None or self._listener is None:
            raise Misuse("a box is told to listen before it is told to join")
        roster = [(PeerId.parse(peer), Address(host, port)) for peer, host, port in join.doors]
        return Links.open(
            self._identity,
            roster,
            session=SessionId(join.session),
            listener=self._listener,
            within=join.within,
            patience=join.patience,
        )

    def _at_work(self) -> _Work:
        if self._work is None:
            raise Misuse("a box is told to join before it is given work")
        return self._work


class _Work:
    """A program, and the values that it is to be run on."""

    def __init__(self, join: Join, links: Links) -> None:
        self._join = join
        randomness = Correlated(join.party, join.keys, join.session.encode())
        self._party = Party(ChannelLink(links), randomness, FixedPoint(join.fraction))
        self._taken: dict[int, _Batch] = {}
        self._weights: Mapping[str, Secret | Array] | None = None

    def take(self, batch: int, count: int, words: Words) -> None:
        """One more piece."""
        if batch not in self._taken:
            self._taken[batch] = self._batch(batch)
        self._taken[batch].add(count, words)

    def compute(self, batch: int) -> Answer:
        """Run the program on a batch that is whole."""
        if self._weights is None:
            self._weights = self._taken.pop(MODEL, self._batch(MODEL)).values()
        values = {**self._weights, **self._taken.pop(batch, self._batch(batch)).values()}
        link, began = self._party.link, time.monotonic()
        sent, rounds = link.sent, link.rounds
        outputs = run_program(self._join.program, self._party, values)
        ordered = [outputs[port.name] for port in self._join.program.outputs]
        first, second = (
            np.concatenate([np.empty(0, np.uint64), *(share.reshape(-1) for share in shares)])
            for shares in ([secret.first for secret in ordered], [secret.second for secret in ordered])
        )
        return Answer(
            first.astype("<u8").tobytes(),
            digest_of(second),
            seconds=time.monotonic() - began,
            sent=link.sent - sent,
            rounds=link.rounds - rounds,
        )

    def _batch(self, batch: int) -> _Batch:
        join, model = self._join, batch == MODEL
        ports = join.program.weights if model else join.program.inputs
        return _Batch(ports, Taker(join.party, join.seeds, batch) if join.secret[model] else None)


class _Batch:
    """The values of some ports, as they come in. Without a taker they come in clear."""

    def __init__(self, ports: tuple[Port, ...], taker: Taker | None) -> None:
        self._ports = ports
        self._taker = taker
        self._rows = tuple(np.empty(total(ports), np.uint64) for _ in range(2 if taker else 1))
        self._have = 0

    def add(self, count: int, words: Words) -> None:
        """One more piece, right after those before. Raises BadInput: of another length than it should have."""
        place = slice(self._have, self._have + count)
        if count < 0 or place.stop > self._rows[0].size or (self._taker is None and words.size != count):
            raise BadInput(f"The owner sent {words.size} words where the program takes {self._rows[0].size} in all.")
        parts = (words,) if self._taker is None else self._taker.pair(words, count)
        for row, part in zip(self._rows, parts, strict=True):
            row[place] = part
        self._have = place.stop

    def values(self) -> Mapping[str, Secret | Array]:
        """All of them, by name. Raises BadInput: some have not come in."""
        if self._have != self._rows[0].size:
            raise BadInput(f"The owner sent {self._have} numbers of {self._rows[0].size}.")
        if self._taker is None:
            return values_of(self._ports, self._rows[0])
        first, second = (labelled(self._ports, row) for row in self._rows)
        return {name: Secret(first[name], second[name]) for name in first}


if __name__ == "__main__":
    serve(Order, Inside().answer)
