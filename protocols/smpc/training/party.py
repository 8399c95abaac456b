"""One of the three that train: it meets the two others, takes every owner's shares, and has its box do the steps."""

from __future__ import annotations

import asyncio

from mesh.errors import PeerMisbehaved, SessionError
from mesh.ids import Rank
from mesh.protocol import Device
from protocols.runtimes.box import Box
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import PIECE, WORD, digest_of, words_of
from protocols.smpc.handing import taken_pieces, taken_seeds
from protocols.smpc.keeping import KeptShares, Shares
from protocols.smpc.meeting import Meeting
from protocols.smpc.roles import ASKER
from protocols.smpc.training.checkpoints import Checkpoint, Checkpoints
from protocols.smpc.training.inside import DATA
from protocols.smpc.training.models import weight_ports
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
from protocols.smpc.training.roles import Circles, Roles
from protocols.smpc.training.spec import SHARES, TrainingSpec
from protocols.smpc.training.words import HANDING, Finish, Go, Held, Kept, Passed, Piece, Resume, Standing, Table

__all__ = ["Member"]

_STRETCH = 10
"""Steps after which a party says that it is still there."""


class Member:
    """This rank's work as one of three.

    Args:
        box: open; it is not closed here.
        shares: where a model is kept that stays with the three.
    """

    def __init__(
        self,
        circles: Circles,
        spec: TrainingSpec,
        roles: Roles,
        *,
        box: Box,
        device: Device,
        kept: tuple[Checkpoints, Shares],
    ) -> None:
        if device.boxes is None:
            raise SessionError("This device lends no boxes.")
        self._circles = circles
        self._spec = spec
        self._roles = roles
        self._box = box
        self._checkpoints, self._shares = kept
        self._boxes = device.boxes
        self._meeting = Meeting(circles.main, roles.parties, device.boxes, device.entropy, HANDING)
        self._session = ""
        self._digest = b""
        self._columns = 0
        self._total = 0
        self._step = 0

    async def work(self) -> None:
        """From the first key to the last step.

        Raises:
            PeerLost: the asking device, an owner that we still need, or another party is gone.
            PeerMisbehaved: it sent what it should not.
            SessionError: the box died.
        """
        circle, fellows = self._circles.main, self._meeting.fellows
        async with asyncio.TaskGroup() as tasks:
            watch = [tasks.create_task(circle.receive(rank, Finish)) for rank in fellows]
            main = tasks.create_task(self._train_all())
            await circle.receive(ASKER, Finish)
            for task in (main, *watch):
                task.cancel()
        await circle.part(fellows, Finish())

    async def _train_all(self) -> None:
        circle, began = self._circles.main, asyncio.get_running_loop().time()
        await self._take_data()
        have = await asyncio.to_thread(self._checkpoints.listing)
        strange = await asyncio.to_thread(self._checkpoints.strange, self._digest)
        seconds = asyncio.get_running_loop().time() - began
        await circle.send(ASKER, Standing(session=self._session, checkpoints=have, strange=strange, seconds=seconds))
        resume = await circle.receive(ASKER, Resume)
        begin = await asyncio.to_thread(self._begin, resume)
        steps = await self._box.ask(Order(begin), Steps)
        self._total, self._step = steps.epoch * self._spec.epochs, resume.step
        while True:
            go = await circle.receive(ASKER, Go)
            while self._step < min(go.until, self._total):
                await self._stretch(min(go.until, self._total))
            if go.deliver:
                await self._deliver()

    async def _take_data(self) -> None:
        spec, data, number = self._spec, self._circles.data, self._meeting.number
        door = Listen(str(self._boxes.identity), self._boxes.listen, self._boxes.ports)
        opened = await self._box.ask(Order(door), Listens)
        # Half the patience, so that a silent party is named before all of us are given up.
        trio = await self._meeting.meet(opened.port, within=spec.setup, patience=spec.patience / 2)
        self._session = trio.session
        pairs = list(zip(data, self._roles.owners, strict=True))
        tables = [await circle.receive(owner, Table) for circle, owner in pairs]
        seeds = [await taken_seeds(circle, owner, number, HANDING) for circle, owner in pairs]
        sizes = tuple((table.rows, table.columns) for table in tables)
        self._columns = sizes[0][1] if spec.split == "rows" else sum(columns for _, columns in sizes)
        parties = [str(self._circles.main.peer(rank)) for rank in self._roles.parties]
        self._digest = spec.digest([table.fingerprint for table in tables], parties)
        await self._box.ask(Order(Come(trio, spec, sizes, tuple(seeds))), Done)
        async with asyncio.TaskGroup() as tasks:
            for owner, (circle, rank) in enumerate(pairs):
                tasks.create_task(self._take(owner, circle, rank, sizes[owner]))

    async def _take(self, owner: int, circle: Circle, rank: Rank, size: tuple[int, int]) -> None:
        rows, columns = size
        count = rows * (columns + (self._spec.outputs if self._spec.data[owner].labels else 0))
        async for piece, numbers in taken_pieces(circle, rank, DATA, count, acknowledged=True, words=HANDING):
            await self._box.ask(Order(Take(owner, numbers, bytes(piece.words))), Done)

    def _begin(self, resume: Resume) -> Begin:
        self._checkpoints.drop_after(resume.step)
        if resume.step == 0:
            return Begin(0, b"", b"")
        kept = self._checkpoints.read(resume.step, resume.session)
        if (kept.digest, kept.party) != (self._digest, self._meeting.number):
            raise PeerMisbehaved(self._circles.main.peer(ASKER), "It has me go on from another job's checkpoint.")
        return Begin(resume.step, kept.first, kept.second)

    async def _stretch(self, until: int) -> None:
        """Train as far as to the next thing that is to be done or told, and not for too long at once."""
        spec = self._spec
        marks = [until, self._step + _STRETCH, _after(self._step, spec.checkpoint)]
        marks += [_after(self._step, spec.tell_loss)] if spec.tell_loss else []
        stop = min(marks)
        tell = bool(spec.tell_loss) and stop % spec.tell_loss == 0
        trained = await self._box.ask(Order(Train(stop, tell)), Trained)
        self._step = trained.step
        if self._step % spec.checkpoint == 0 or self._step == self._total:
            await self._keep()
        passed = Passed(
            step=trained.step,
            seconds=trained.seconds,
            sent=trained.sent,
            rounds=trained.rounds,
            words=memoryview(trained.words),
            check=trained.check,
        )
        await self._circles.main.send(ASKER, passed)

    async def _keep(self) -> None:
        snapshot = await self._box.ask(Order(Snap(whole=True)), Snapshot)
        checkpoint = Checkpoint(self._digest, self._meeting.number, snapshot.first, snapshot.second)
        await asyncio.to_thread(self._checkpoints.keep, snapshot.step, self._session, checkpoint)
        await self._wait_kept(snapshot.step)

    async def _wait_kept(self, step: int) -> None:
        """Until the two others have kept it as well. Rank 0, which is sent nothing, would run far ahead of them."""
        circle, fellows = self._circles.main, self._meeting.fellows
        for rank in fellows:
            await circle.send(rank, Kept(step=step))
        for rank in fellows:
            if (await circle.receive(rank, Kept)).step != step:
                raise PeerMisbehaved(circle.peer(rank), "It keeps checkpoints of other steps than the plan says.")

    async def _deliver(self) -> None:
        """Each receiver is sent our first share, and what it can check the share after that with."""
        snapshot = await self._box.ask(Order(Snap(whole=False)), Snapshot)
        if SHARES in self._spec.receivers:
            await asyncio.to_thread(self._keep_model, snapshot)
        first, second = words_of(snapshot.first), words_of(snapshot.second)
        for start in range(0, first.size, PIECE):
            place = slice(start, start + PIECE)
            words = memoryview(snapshot.first)[start * WORD : (start + PIECE) * WORD]
            for rank in self._roles.receivers:
                await self._circles.results.send(rank, Piece(words=words, check=digest_of(second[place])))
        await self._circles.main.send(ASKER, Held())

    def _keep_model(self, snapshot: Snapshot) -> None:
        spec = self._spec
        ports = weight_ports(spec.network(self._columns))
        model = KeptShares(self._meeting.number, spec.fraction, ports, snapshot.first, snapshot.second)
        self._shares.keep(spec.name, 0, self._session, model, spec.keep)


def _after(step: int, every: int) -> int:
    """The next multiple."""
    return (step // every + 1) * every
