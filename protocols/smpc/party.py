"""One of the three that compute: keys and doors with the two others, a box for the work, shares in and out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from mesh.errors import Misuse, PeerMisbehaved
from mesh.ids import Rank
from mesh.protocol import Boxes
from protocols.runtimes.box import Box
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import MODEL, WORD, drawn_by, pieces, total
from protocols.smpc.orders import Answer, Compute, Done, Join, Open, Opened, Order, Take
from protocols.smpc.replicated.randomness import KEY_BYTES
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import Clear, Door, Finish, Key, Ready, Result, Seeds, Share, Taken

__all__ = ["Member"]

_OWNER = Rank(0)
_NONCE = 16


class Member:
    """This rank's work as one of three.

    Args:
        parties: the ranks of all three, by number; ours is one of them.
        boxes: what this device lends to the one that is open.
    """

    def __init__(
        self,
        circle: Circle,
        spec: PrivateSpec,
        parties: Sequence[Rank],
        *,
        box: Box,
        boxes: Boxes,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._circle = circle
        self._spec = spec
        self._parties = tuple(parties)
        self._number = self._parties.index(circle.rank)
        self._box = box
        self._boxes = boxes
        self._entropy = entropy

    @property
    def _fellows(self) -> tuple[Rank, ...]:
        return tuple(rank for rank in self._parties if rank != self._circle.rank)

    async def work(self) -> None:
        """From the first key to the last answer. The box must be open; it is not closed here.

        Raises:
            PeerLost: the owner or another party is gone, whatever we are doing meanwhile.
            PeerMisbehaved: it sent what it should not.
            SessionError: the box died.
        """
        async with asyncio.TaskGroup() as tasks:
            watch = [tasks.create_task(self._circle.receive(rank, Finish)) for rank in self._fellows]
            main = tasks.create_task(self._compute_all())
            await self._circle.receive(_OWNER, Finish)
            for task in (main, *watch):
                task.cancel()
        await self._circle.part(self._fellows)

    async def _compute_all(self) -> None:
        began = asyncio.get_running_loop().time()
        await self._meet()
        await self._take(MODEL)
        await self._circle.send(_OWNER, Ready(seconds=asyncio.get_running_loop().time() - began))
        while True:
            seq = await self._take(None)
            answer = await self._box.ask(Order(Compute(seq)), Answer)
            result = Result(
                seq=seq,
                seconds=answer.seconds,
                sent=answer.sent,
                rounds=answer.rounds,
                words=memoryview(answer.words),
                check=answer.check,
            )
            await self._circle.send(_OWNER, result)

    async def _meet(self) -> None:
        opened = await self._box.ask(Order(Open(str(self._boxes.identity), self._boxes.listen)), Opened)
        keys = await self._keys()
        nonce = self._entropy(_NONCE)
        doors = {self._circle.rank: Door(port=opened.port, nonce=nonce)}
        for rank in self._fellows:
            await self._circle.send(rank, doors[self._circle.rank])
        for rank in self._fellows:
            doors[rank] = door = await self._circle.receive(rank, Door)
            if not 0 < door.port < 2**16 or len(door.nonce) != _NONCE:
                raise PeerMisbehaved(self._circle.peer(rank), "Its box listens where nothing can.")
        seeds = await self._circle.receive(_OWNER, Seeds)
        if seeds.seeds.keys() != drawn_by(self._number) or {len(seed) for seed in seeds.seeds.values()} != {KEY_BYTES}:
            raise PeerMisbehaved(self._circle.peer(_OWNER), "It sent other seeds than this party draws from.")
        await self._box.ask(Order(self._joining(keys, doors, seeds)), Done)

    async def _keys(self) -> dict[int, bytes]:
        """With each of the two others a key; the lower number makes it."""
        keys = {}
        for number, rank in enumerate(self._parties):
            if number > self._number:
                keys[number] = self._entropy(KEY_BYTES)
                await self._circle.send(rank, Key(key=keys[number]))
        for number, rank in enumerate(self._parties):
            if number < self._number:
                keys[number] = (await self._circle.receive(rank, Key)).key
                if len(keys[number]) != KEY_BYTES:
                    raise PeerMisbehaved(self._circle.peer(rank), f"It sent a key of {len(keys[number])} bytes.")
        return keys

    def _joining(self, keys: dict[int, bytes], doors: dict[Rank, Door], seeds: Seeds) -> Join:
        spec = self._spec
        ordered = [(self._circle.peer(rank), doors[rank]) for rank in self._parties]
        # We dial those after us; where those before us live, their own dialling shows.
        hosts = [
            self._boxes.host(peer) if number > self._number else self._boxes.listen
            for number, (peer, _) in enumerate(ordered)
        ]
        name = hashlib.sha256(b"".join(peer.encode() + door.nonce for peer, door in ordered)).hexdigest()[:32]
        return Join(
            party=self._number,
            doors=tuple((str(peer), host, door.port) for host, (peer, door) in zip(hosts, ordered, strict=True)),
            session=name,
            keys=keys,
            seeds=seeds.seeds,
            program=spec.program,
            fraction=spec.fraction,
            secret=(spec.hides_input, spec.hides_model),
            within=spec.setup,
            patience=spec.patience / 2,  # so that a silent party is named before all of us are given up
        )

    async def _take(self, batch: int | None) -> int:
        """Hand one batch from the owner to the box: the next one, or this very one. Which it was."""
        model = batch == MODEL
        ports = self._spec.program.weights if model else self._spec.program.inputs
        kind: type[Share | Clear] = Share if self._spec.hides(model=model) else Clear
        for place in pieces(total(ports)):
            piece = await self._circle.receive(_OWNER, kind)
            batch = piece.batch if batch is None else batch
            if piece.batch != batch or batch < MODEL or piece.words.nbytes % WORD:
                raise PeerMisbehaved(self._circle.peer(_OWNER), "It sent a piece of something else than was due.")
            take = Take(batch, place.stop - place.start, bytes(piece.words))
            await self._box.ask(Order(take), Done)
            if model:
                await self._circle.send(_OWNER, Taken())
        if batch is None:
            raise Misuse("a program without inputs waits for none")
        return batch
