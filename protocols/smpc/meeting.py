"""How three parties meet, each with a box of its own: keys between pairs, doors, and one name for it all. Reusable.

    async with Box(...) as box:
        port = <the box listens>
        trio = await Meeting(circle, parties, boxes, entropy).meet(port, within=30.0, patience=15.0)
        <the box is told `trio`, and joins: see inside_meeting>

Pure talk within the session's group; the boxes then open their own channels to each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from mesh.errors import PeerMisbehaved
from mesh.ids import Rank
from mesh.protocol import Boxes
from protocols.smpc.circle import Circle
from protocols.smpc.replicated.randomness import KEY_BYTES
from protocols.smpc.words import OURS, Door, Handing

__all__ = ["Meeting", "Trio"]

_NONCE = 16


class Trio(msgspec.Struct, frozen=True):
    """What a box needs to meet the two others. Goes to it through its pipe, and nowhere else.

    Attributes:
        party: our number, 0 to 2.
        doors: of all three, in order: id, hosts to try in turn, port.
        session: the same at all three, and at no other time.
        keys: what we share with each of the others, by number.
        within: seconds for meeting.
        patience: seconds that another party may keep silent while we wait for it.
    """

    party: int
    doors: tuple[tuple[str, tuple[str, ...], int], ...]
    session: str
    keys: dict[int, bytes]
    within: float
    patience: float


class Meeting:
    """One party's side.

    Args:
        parties: the ranks of all three, by number; ours is one of them.
        boxes: what this device lends to its box.
        entropy: n -> n random bytes, fit for keys.
        words: those of the protocol that uses this.
    """

    def __init__(
        self,
        circle: Circle,
        parties: Sequence[Rank],
        boxes: Boxes,
        entropy: Callable[[int], bytes],
        words: Handing = OURS,
    ) -> None:
        self._circle = circle
        self._parties = tuple(parties)
        self._boxes = boxes
        self._entropy = entropy
        self._words = words

    @property
    def number(self) -> int:
        """Which of the three we are."""
        return self._parties.index(self._circle.rank)

    @property
    def fellows(self) -> tuple[Rank, ...]:
        """The two others."""
        return tuple(rank for rank in self._parties if rank != self._circle.rank)

    async def meet(self, port: int, *, within: float, patience: float) -> Trio:
        """Agree with the two others. `port`: where our box listens.

        Raises:
            PeerLost: one of them is gone.
            PeerMisbehaved: it sent no key, or a door where nothing can be.
            PeerUnreachable: it is not in sight.
        """
        keys = await self._keys()
        doors = await self._doors(port)
        ordered = [(self._circle.peer(rank), doors[rank]) for rank in self._parties]
        told = b"".join(peer.encode() + door.nonce for peer, door in ordered)
        name = hashlib.sha256(self._circle.agreed.encode() + told).hexdigest()[:32]  # so boxes of two plans never meet
        # We dial those after us; where those before us live, their own dialling shows.
        hosts = [
            self._boxes.hosts(peer) if number > self.number else (self._boxes.listen,)
            for number, (peer, _) in enumerate(ordered)
        ]
        return Trio(
            party=self.number,
            doors=tuple((str(peer), host, door.port) for host, (peer, door) in zip(hosts, ordered, strict=True)),
            session=name,
            keys=keys,
            within=within,
            patience=patience,
        )

    async def _doors(self, port: int) -> dict[Rank, Door]:
        ours = self._words.door(port=port, nonce=self._entropy(_NONCE))
        for rank in self.fellows:
            await self._circle.send(rank, ours)
        doors: dict[Rank, Door] = {self._circle.rank: ours}
        for rank in self.fellows:
            doors[rank] = door = await self._circle.receive(rank, self._words.door)
            if not 0 < door.port < 2**16 or len(door.nonce) != _NONCE:
                raise PeerMisbehaved(self._circle.peer(rank), "Its box listens where nothing can.")
        return doors

    async def _keys(self) -> dict[int, bytes]:
        """With each of the two others a key; the lower number makes it."""
        keys = {}
        for number, rank in enumerate(self._parties):
            if number > self.number:
                keys[number] = self._entropy(KEY_BYTES)
                await self._circle.send(rank, self._words.key(key=keys[number]))
        for number, rank in enumerate(self._parties):
            if number < self.number:
                keys[number] = (await self._circle.receive(rank, self._words.key)).key
                if len(keys[number]) != KEY_BYTES:
                    raise PeerMisbehaved(self._circle.peer(rank), f"It sent a key of {len(keys[number])} bytes.")
        return keys
