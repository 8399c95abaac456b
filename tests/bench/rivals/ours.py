"""Ours under test: three processes, mutual TLS 1.3 between them, as the boxes of a session have it.

    python -m tests.bench.rivals.ours SETTINGS

Input and weights are secret. Networks go through the compiler and the interpreter of programs; what is no network is
one call of the engine. The keys are fixed, and known to everybody: this measures, and protects nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mesh.authority import Authority
from mesh.transport.blocking import Address, Identity, Links, Listener, SessionId
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.run import Runner
from protocols.smpc.replicated import arithmetic, comparison, functions
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.link import Link
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import Secret
from tests.bench.rivals.delay import relays
from tests.bench.rivals.graphs import model_of
from tests.bench.rivals.our_steps import STEPS, step_of
from tests.bench.rivals.serving import PARTIES, Figures, Side, collected, measure, serve, settings, start_parties
from tests.bench.rivals.works import Array, numbers
from tests.unit.protocols.smpc.program.trial import plain

Prepared = tuple[Callable[[], Secret | None], Array | None]
"""What is to be repeated, and what plaintext gives, None where there is no one answer."""

_CALLS: dict[str, tuple[Callable[..., Secret], Callable[..., Array]]] = {
    "relu": (comparison.relu, lambda x: np.maximum(x, 0)),
    "matmul": (arithmetic.product, lambda x, y: x.astype(np.float64) @ y.astype(np.float64)),
    "maxpool": (
        lambda party, x: comparison.max_pool(party, x, (2, 2)),
        lambda x: x.reshape(1, 64, 32, 2, 32, 2).max((3, 5)),
    ),
    "softmax": (
        lambda party, x: functions.softmax(party, x, 1),
        lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    ),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(PARTIES):
            authority.issue(Path(folder) / str(rank))
        pipes = start_parties(party, [{"identity": str(Path(folder) / str(rank))} for rank in range(PARTIES)])
        roster = [pipe.recv() for pipe in pipes]
        for rank, pipe in enumerate(pipes):
            pipe.send(_seen_from(rank, roster, settings()["delay"]))
        serve(partial(collected, pipes))


def _seen_from(rank: int, roster: list[Any], delay: float) -> list[Any]:
    """A party dials those after it, and both connections of a pair go that way: so the delay is put there."""
    if not delay:
        return roster
    away = relays([address for _, address in roster[rank + 1 :]], delay) if rank + 1 < PARTIES else []
    later = [(peer, address) for (peer, _), address in zip(roster[rank + 1 :], away, strict=True)]
    return roster[: rank + 1] + later


def party(side: Side) -> None:
    """One of three processes."""
    identity, listener = Identity.load(Path(side.told["identity"])), Listener()
    side.pipe.send((str(identity.peer), (listener.address.host, listener.address.port)))
    roster = [(type(identity.peer).parse(peer), Address(*address)) for peer, address in side.pipe.recv()]
    with Links.open(identity, roster, session=SessionId("0" * 32), listener=listener, patience=300.0) as links:
        keys = {peer: bytes(sorted((side.rank, peer))).ljust(32, b"k") for peer in range(PARTIES) if peer != side.rank}
        member = Party(ChannelLink(links), Correlated(side.rank, keys, b"bench"))
        while True:
            side.pipe.send(_measured(member, side.pipe.recv()))


def _measured(member: Party, row: str) -> Figures:
    run, expected = _prepared(member, row)
    link = member.link
    sent = rounds = 0

    def counted() -> Secret | None:
        nonlocal sent, rounds
        before = link.sent, link.rounds
        made = run()
        sent, rounds = link.sent - before[0], link.rounds - before[1]
        return made

    figures, made = measure(counted, partial(_meet, link), partial(_agreed, link))
    figures.sent, figures.rounds = sent, rounds
    if expected is not None and (words := reveal(member, made)) is not None:
        distance = np.abs(member.fixed.decode(words) - expected)
        figures.error, figures.scale = float(distance.max()), float(np.abs(expected).max())
    return figures


def _prepared(member: Party, row: str) -> Prepared:
    given = numbers(row)
    if row in _CALLS:
        call, plaintext = _CALLS[row]
        secrets = [_shared(member, value) for value in given]
        # New each time, as an input is: nothing that follows from it has been computed before.
        return lambda: call(member, *(Secret(one.first, one.second) for one in secrets)), plaintext(*given)
    if row in STEPS:
        return step_of(member, row, *(_shared(member, value) for value in given)), None
    model = model_of(row)
    compiled = compile_model(model.SerializeToString())
    held = {name: _shared(member, value) for name, value in compiled.weights.items()}
    x = _shared(member, given[0])
    runner = Runner(compiled.program, member.fixed)  # once for many inputs, as in a box

    def run() -> Secret:
        return runner.run(member, {**held, "x": Secret(x.first, x.second)})["y"]

    return run, plain(model, {"x": given[0]})["y"]


def _shared(member: Party, value: Array) -> Secret:
    return share(member, 0, member.fixed.encode(value) if member.rank == 0 else None, value.shape)


def _meet(link: Link) -> None:
    word = np.zeros(1, np.uint64)
    link.exchange(link.next, [word], link.previous, [word.copy()])
    link.exchange(link.previous, [word], link.next, [word.copy()])


def _agreed(link: Link, enough: bool) -> bool:
    """What rank 0 thinks."""
    said = np.array([enough], np.uint64)
    if link.rank == 0:
        for peer in (1, 2):
            link.exchange(peer, [said], peer, ())
    else:
        link.exchange(0, (), 0, [said])
    return bool(said[0])


if __name__ == "__main__":
    main()
