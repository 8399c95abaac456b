"""The device that asks for training: it sees that all fits together, says how far to go, and hears how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput, NoPlan, PeerLost, PeerMisbehaved, SessionError
from mesh.protocol import Device, Feed, Request, Vault
from mesh.tensors import Tensors
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.dealing import WORD, digest_of, words_of
from protocols.smpc.keeping import Record
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.sharing import FixedPoint, recombine
from protocols.smpc.roles import ASKER
from protocols.smpc.training.batches import Batches
from protocols.smpc.training.checkpoints import remember_parties
from protocols.smpc.training.models import weight_ports
from protocols.smpc.training.network import Laid
from protocols.smpc.training.receiving import received_model
from protocols.smpc.training.roles import Circles, Roles
from protocols.smpc.training.spec import SHARES, TrainingSpec
from protocols.smpc.training.words import Deliver, Finish, Go, Held, Passed, Resume, Standing, Table

__all__ = ["Advanced", "Asker", "Resumed"]


@dataclass(frozen=True, slots=True)
class Resumed:
    """Progress: everybody is ready, and the training goes on after so many steps of so many.

    Attributes:
        rows: of all data.
        weights: numbers that are trained.
    """

    step: int
    total: int
    rows: int
    weights: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """Progress: so many steps are done.

    Attributes:
        loss: of the last step's batch, before it; None where none is told.
        seconds: that the slowest party took for them, since the last time.
        sent: bytes of all three.
        rounds: that the party which waits most waited for.
    """

    step: int
    total: int
    loss: float | None
    seconds: float
    sent: int
    rounds: int


class Asker:
    """Rank 0's work, whether it has data or computes itself or not."""

    def __init__(
        self, circles: Circles, spec: TrainingSpec, roles: Roles, *, device: Device, vault: Vault | None
    ) -> None:
        self._circles = circles
        self._spec = spec
        self._roles = roles
        self._feed: Feed = device.feed
        self._report = device.report
        self._vault = vault
        self._network: tuple[Laid, ...] = ()
        self._session = ""
        self._step = self._total = self._epoch = self._columns = 0
        self._losses: dict[int, float] = {}

    async def serve(self) -> None:
        """Train as far as each request says, until no more come; then let everybody go.

        Raises:
            BadInput: data do not fit each other or the network, or what is kept under the name is of another job.
            PeerLost: a party or a receiver is gone, or too slow.
            PeerMisbehaved: one sent what cannot be.
            SessionError: the data was not in, or steps not done, within the time of the spec.
        """
        try:
            async with asyncio.timeout(self._spec.setup):
                rows = await self._ready()
        except TimeoutError:
            raise SessionError(f"The data of all owners was not in within {self._spec.setup:g} s.") from None
        self._report(Resumed(self._step, self._total, rows, sum(laid.count for laid in self._network)))
        while (request := await self._feed.take()) is not None:
            await self._answer(request)
        for circle, owner in zip(self._circles.data, self._roles.owners, strict=True):
            await circle.part([owner], Finish())
        receivers = [rank for rank in self._roles.receivers if rank != ASKER]
        await self._circles.results.part(receivers, Finish())
        await self._circles.main.part(self._roles.parties, Finish())

    async def _ready(self) -> int:
        spec, circle = self._spec, self._circles.main
        async with asyncio.TaskGroup() as tasks:
            heard = [tasks.create_task(self._table(number)) for number in range(len(spec.data))]
        tables = [task.result() for task in heard]
        rows, self._columns = _agreed(spec, tables)
        self._network, batches = spec.network(self._columns), Batches(rows, spec.batch, spec.seed)
        self._epoch, self._total = batches.in_epoch, batches.in_epoch * spec.epochs
        standings = [await circle.receive(rank, Standing) for rank in self._roles.parties]
        if len({standing.session for standing in standings}) > 1:
            raise PeerMisbehaved(circle.peer(self._roles.parties[0]), "It says that it met others than the others say.")
        self._session = standings[0].session
        if any(standing.strange for standing in standings):
            raise BadInput(
                f"What is kept as {spec.name!r} is of other data, other devices or other settings than this job: give "
                "this one another name, or put back what was changed."
            )
        self._step, session = _common(spec.name, [standing.checkpoints for standing in standings])
        for rank in self._roles.parties:
            await circle.send(rank, Resume(step=self._step, session=session))
        if self._vault is not None:
            peers = [circle.peer(rank) for rank in self._roles.parties]
            remember_parties(self._vault, circle.peer(ASKER), spec.name, peers, spec.keep)
        return rows

    async def _table(self, number: int) -> Table:
        """What an owner has. Raises BadInput, whoever else we still wait for: that cannot be used."""
        circle, owner, holding = self._circles.data[number], self._roles.owners[number], self._spec.data[number]
        table = await circle.receive(owner, Table)
        if table.trouble == "unaligned":
            raise BadInput(
                f"The rows of {holding.table!r} at {circle.peer(owner).short} are not those of the other owners in the "
                "same order. Owners must agree beforehand on which ids they have in common and put their files in one "
                "order: private set intersection is not done here."
            )
        if table.trouble or min(table.rows, table.columns) < 1:
            raise BadInput(
                f"The data {holding.table!r} at {circle.peer(owner).short} cannot be used so; the log there says why."
            )
        return table

    async def _answer(self, request: Request) -> None:
        try:
            until, deliver = _wanted(arrays_of(request.payload))
        except BadInput as error:
            self._feed.refuse(request.seq, error)
            return
        until = self._total if deliver else min(until, self._total)
        for rank in self._roles.parties:
            await self._circles.main.send(rank, Go(until=until, deliver=deliver))
        while self._step < until:
            await self._hear()
        found = await self._delivered() if deliver else {}
        self._feed.answer(request.seq, {**self._standing(), **found})

    def _standing(self) -> Tensors:
        losses = sorted(self._losses.items())
        return tensors_of({
            "step": np.array(self._step),
            "total": np.array(self._total),
            "epoch": np.array(self._epoch),
            "columns": np.array(self._columns),
            "loss_steps": np.array([step for step, _ in losses], np.int64),
            "losses": np.array([loss for _, loss in losses], np.float64),
        })  # fmt: skip

    async def _hear(self) -> None:
        """Wait until all three have passed the same step."""
        circle, heard = self._circles.main, []
        for rank in self._roles.parties:
            try:
                async with asyncio.timeout(self._spec.patience):
                    heard.append(await circle.receive(rank, Passed))
            except TimeoutError:
                raise PeerLost(circle.peer(rank), f"It did no step in {self._spec.patience:g} s.") from None
        if len({passed.step for passed in heard}) > 1 or heard[0].step <= self._step:
            raise PeerMisbehaved(circle.peer(self._roles.parties[0]), "It counts steps in another way than the others.")
        self._step = heard[0].step
        loss = self._loss(heard)
        if loss is not None:
            self._losses[self._step] = loss
        seconds, sent = max(passed.seconds for passed in heard), sum(passed.sent for passed in heard)
        rounds = max(passed.rounds for passed in heard)
        self._report(Advanced(self._step, self._total, loss, seconds, sent=sent, rounds=rounds))

    def _loss(self, heard: Sequence[Passed]) -> float | None:
        every = self._spec.tell_loss
        due = bool(every) and self._step % every == 0
        peers = [self._circles.main.peer(rank) for rank in self._roles.parties]
        for peer, passed in zip(peers, heard, strict=True):
            if passed.words.nbytes != (WORD if due else 0):
                raise PeerMisbehaved(peer, "It told a loss where none is to be told, or none where one is.")
        if not due:
            return None
        shares = [words_of(passed.words).astype("u8") for passed in heard]
        for number, passed in enumerate(heard):
            if passed.check != digest_of(shares[(number + 1) % PARTIES]):
                raise PeerMisbehaved(peers[number], "Its share of a loss and another party's differ; one is wrong.")
        return float(FixedPoint(self._spec.fraction).decode(recombine(shares))[0])

    async def _delivered(self) -> Tensors:
        """Wait until whoever is to have the model has it; the model, if that is us."""
        main, results = self._circles.main, self._circles.results
        others = [rank for rank in self._roles.receivers if rank != ASKER]
        for rank in others:
            await results.send(rank, Deliver(columns=self._columns))
        found: Mapping[str, NDArray[np.float32]] = {}
        try:
            async with asyncio.timeout(self._spec.setup):
                if ASKER in self._roles.receivers:
                    found = await received_model(results, self._roles, self._spec, self._columns)
                for rank in self._roles.parties:
                    await main.receive(rank, Held)
                for rank in others:
                    await results.receive(rank, Held)
        except TimeoutError:
            raise SessionError(f"The model was not with its receivers within {self._spec.setup:g} s.") from None
        if SHARES in self._spec.receivers:
            self._remember_model()
        return tensors_of(found)

    def _remember_model(self) -> None:
        """Note who keeps the model, so that a private job can go on with it."""
        spec, circle = self._spec, self._circles.main
        if self._vault is None:
            raise NoPlan("This device keeps nothing, and would not find the shares of its model again.")
        parties = tuple(str(circle.peer(rank)) for rank in self._roles.parties)
        record = Record(parties, spec.fraction, weight_ports(self._network), {0: self._session})
        self._vault.put(circle.peer(ASKER), f"kept/{spec.name}", msgspec.msgpack.encode(record), seconds=spec.keep)


def _wanted(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[int, bool]:
    """Until which step to train, and whether to deliver the model: then until the last."""
    if arrays.keys() != {"until"} or arrays["until"].size != 1 or arrays["until"].dtype.kind not in "iu":
        raise BadInput("Ask with `until`: a number of steps, or -1 for all of them and the model.")
    until = int(arrays["until"].reshape(-1)[0])
    return until, until < 0


def _agreed(spec: TrainingSpec, tables: Sequence[Table]) -> tuple[int, int]:
    """Rows and columns of all data together. Raises BadInput: they do not fit each other."""
    rows, columns = ([getattr(table, side) for table in tables] for side in ("rows", "columns"))
    if len({*(columns if spec.split == "rows" else rows)}) > 1:
        raise BadInput(
            f"Split by {spec.split}, all owners must have as many {'columns' if spec.split == 'rows' else 'rows'}; "
            f"they have {', '.join(map(str, columns if spec.split == 'rows' else rows))}."
        )
    return (sum(rows), columns[0]) if spec.split == "rows" else (rows[0], sum(columns))


def _common(name: str, listings: Sequence[Mapping[int, str]]) -> tuple[int, str]:
    """The last step that all three have from one session; 0, if none of them has anything.

    Raises:
        BadInput: some have checkpoints, and no step is common to all three.
    """
    first, second, third = listings
    steps = [step for step, session in first.items() if second.get(step) == session == third.get(step)]
    if steps:
        return max(steps), first[max(steps)]
    if any(listings) and not _first_lost(listings):
        raise BadInput(f"The three have no checkpoint of {name!r} in common any more: give the job another name.")
    return 0, ""


def _first_lost(listings: Sequence[Mapping[int, str]]) -> bool:
    """Whether they were cut off while they wrote their very first one: then nothing but that is lost."""
    return all(len(listing) <= 1 for listing in listings) and any(not listing for listing in listings)
