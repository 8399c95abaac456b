"""What runs in the box of one party: its links to the two other boxes, its shares, and the program.

Plain code that blocks. Everything it knows of the session comes through its pipe, and nothing of it outlives the box.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
import numpy as np

from mesh.errors import BadInput, Misuse, PeerError
from protocols.runtimes.box_inside import Report, serve
from protocols.smpc.batches import Batch
from protocols.smpc.dealing import MODEL, Taker, digest_of, words_of
from protocols.smpc.inside_meeting import Gate, party_of
from protocols.smpc.orders import Answer, Compute, Done, Hold, Join, Open, Opened, Order, Take
from protocols.smpc.program.run import Runner
from protocols.smpc.program.steps import Array, Port
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import truncate

__all__ = ["Inside", "Work"]

_NUMBERED = re.compile(r"party ([0-2])")


class Inside:
    """One party's state, from listening to the last answer."""

    def __init__(self) -> None:
        self._gate: Gate | None = None
        self._work: Work | None = None

    def answer(self, order: Order, _report: Report) -> msgspec.Struct:
        """Do as asked. Raises MeshError, `PeerLost` for a party that is gone among them; Misuse: out of turn."""
        match order.task:
            case Open(identity, listen, ports):
                self._gate = Gate.open(identity, listen, ports)
                return Opened(self._gate.port)
            case Join() as join:
                self._work = Work(join, self._met(join))
            case Take(batch, count, words):
                self._at_work().take(batch, count, words_of(words))
            case Hold() as hold:
                self._at_work().hold(hold)
            case Compute(batch, keep):
                with self._at_work().naming():
                    return self._at_work().compute(batch, keep=keep)
        return Done()

    def _met(self, join: Join) -> Party:
        if self._gate is None:
            raise Misuse("a box is told to listen before it is told to join")
        return party_of(join.trio, self._gate.links(join.trio), join.fraction, checked=join.checked)

    def _at_work(self) -> Work:
        if self._work is None:
            raise Misuse("a box is told to join before it is given work")
        return self._work


class Work:
    """A program, and the values that it is to be run on."""

    def __init__(self, join: Join, party: Party) -> None:
        self._join = join
        self._party = party
        self._taken: dict[int, Batch] = {}
        self._held: dict[int, dict[str, Secret]] = {}
        self._weights: Mapping[str, Secret | Array] | None = None
        self._runner = Runner(join.program, party.fixed)

    def take(self, batch: int, count: int, words: Words) -> None:
        """One more piece. Raises BadInput: it does not belong there."""
        if batch not in self._taken:
            self._taken[batch] = self._batch(batch)
        self._taken[batch].add(count, words)

    def hold(self, hold: Hold) -> None:
        """One input of a batch whose shares are there already. Raises BadInput: the program takes no such."""
        port = next((port for port in self._join.program.inputs if port.name == hold.name), None)
        first, second = (words_of(part).astype(np.uint64) for part in (hold.first, hold.second))
        if port is None or hold.name not in self._join.held or not first.size == second.size == port.tensor.size:
            raise BadInput(f"The program takes nothing kept as {hold.name[:80]!r} of {first.size} numbers.")
        secret = Secret(first, second).reshape(*port.tensor.shape)
        if port.tensor.kind == "number":
            secret = self._rescaled(secret, hold.fraction)
        self._held.setdefault(hold.batch, {})[hold.name] = secret

    def compute(self, batch: int, *, keep: bool) -> Answer:
        """Run the program on a batch that is whole.

        Raises:
            PeerLost: another party is gone.
            PeerMisbehaved: where that is looked at, it departed from the program; nothing is given away.
        """
        link, began = self._party.link, time.monotonic()
        sent, rounds = link.sent, link.rounds
        if self._weights is None:
            self._weights = self._admitted(self._taken.pop(MODEL, self._batch(MODEL)).values())
        given = self._taken.pop(batch, self._batch(batch)).values()
        values = {**self._weights, **self._admitted({**given, **self._held.pop(batch, {})})}
        outputs = self._runner.run(self._party, values)
        if isinstance(self._party, CheckedParty):
            outputs = self._party.release(outputs)
        ordered = [outputs[port.name] for port in self._join.program.outputs]
        first, second = (
            np.concatenate([np.empty(0, np.uint64), *(share.reshape(-1) for share in shares)])
            for shares in ([secret.first for secret in ordered], [secret.second for secret in ordered])
        )
        return Answer(
            first.astype("<u8").tobytes(),
            digest_of(second),
            second.astype("<u8").tobytes() if keep else b"",
            seconds=time.monotonic() - began,
            sent=link.sent - sent,
            rounds=link.rounds - rounds,
        )

    @contextmanager
    def naming(self) -> Iterator[None]:
        """The engine knows the others by number: whoever hears of one is told its id."""
        ids = [peer for peer, _, _ in self._join.trio.doors]
        try:
            yield
        except PeerError as error:
            number = _NUMBERED.fullmatch(error.peer)
            if number is None:
                raise
            reason = _NUMBERED.sub(lambda found: ids[int(found[1])][:7], error.reason)
            raise type(error)(ids[int(number[1])], reason) from error

    def _admitted(self, values: Mapping[str, Secret | Array]) -> Mapping[str, Secret | Array]:
        """Raises PeerMisbehaved: what owners handed in does not belong together, where that is looked at."""
        if isinstance(self._party, CheckedParty):
            self._party.admit(values.values())
        return values

    def _rescaled(self, secret: Secret, fraction: int) -> Secret:
        more = self._join.fraction - fraction
        if more < 0:
            return truncate(self._party, secret, -more)
        return secret.times(2**more) if more else secret

    def _batch(self, batch: int) -> Batch:
        join, model = self._join, batch == MODEL
        ports = join.program.weights if model else self._dealt
        return Batch(ports, Taker(join.trio.party, join.seeds[model], batch) if join.secret[model] else None)

    @property
    def _dealt(self) -> tuple[Port, ...]:
        return tuple(port for port in self._join.program.inputs if port.name not in self._join.held)


if __name__ == "__main__":
    serve(Order, Inside().answer)
