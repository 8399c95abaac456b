"""How an owner hands what is its own to three parties, whether it computes itself or not. Reusable by any protocol.

    owner:   hander = Hander(circle, parties, entropy)
             await hander.begin()                                    its seeds, to each party what it draws from
             async for _ in hander.deal(batch, row): ...             one batch, piece by piece
    party:   seeds = await taken_seeds(circle, owner, number)        and into the box with them: see `meeting`
             async for piece in taken_pieces(circle, owner, batch, count): ...

Several owners may hand in to the same three parties: each has seeds of its own, so none of them can open what another
has handed in, and the parties know from whom a batch is to come. No owner hears of another's values, nor of their
digests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from mesh.errors import PeerMisbehaved
from mesh.ids import Rank
from protocols.smpc.aside import aside
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import WORD, Dealer, drawn_by, pieces, seeds_for
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.randomness import KEY_BYTES
from protocols.smpc.words import OURS, Clear, Handing, Share

__all__ = ["Hander", "Piece", "taken_pieces", "taken_seeds"]

Piece = Share | Clear


class Hander:
    """One owner's side.

    Args:
        parties: the ranks of the three that compute, by number; ours may be among them.
        entropy: n -> n random bytes, fit for keys.
        words: those of the protocol that uses this.
    """

    def __init__(
        self,
        circle: Circle,
        parties: Sequence[Rank],
        entropy: Callable[[int], bytes],
        words: Handing = OURS,
    ) -> None:
        self._circle = circle
        self._parties = tuple(parties)
        self._seeds = entropy(KEY_BYTES), entropy(KEY_BYTES)
        self._words = words

    async def begin(self) -> None:
        """Give each party the seeds that it draws its shares from. Once, before the first batch."""
        for number, rank in enumerate(self._parties):
            seeds = self._words.seeds(seeds=seeds_for(number, self._seeds), agreed=self._circle.agreed)
            await self._circle.send(rank, seeds)

    async def deal(
        self, batch: int, row: Words, *, secret: bool = True, acknowledged: bool = False
    ) -> AsyncIterator[int]:
        """Give the parties one batch, piece by piece; yields how many numbers have been sent.

        Args:
            batch: its number, which no other batch of this owner has.
            row: as `dealing.ring_row` made it, or `dealing.in_clear` where it is no secret.
            acknowledged: wait after each piece until every party says that it took it. What is large must not pile up
                at a party: see `mesh.group.BUDGET`.

        Raises:
            PeerLost: a party is gone.
        """
        dealer = Dealer(self._seeds, batch)
        for place in pieces(row.size):
            words = row[place]
            if secret:
                words = await aside(words.size, dealer.masked, words)
            async with asyncio.TaskGroup() as tasks:
                for number, rank in enumerate(self._parties):
                    tasks.create_task(self._circle.send(rank, self._piece(batch, words, number, secret=secret)))
            if acknowledged:
                for rank in self._parties:
                    await self._circle.receive(rank, self._words.taken)
            yield place.stop

    def _piece(self, batch: int, words: Words, number: int, *, secret: bool) -> Piece:
        if not secret:
            return self._words.clear(batch=batch, words=memoryview(words.astype("<u8").tobytes()))
        held = 2 in (number, (number + 1) % len(self._parties))
        return self._words.share(batch=batch, words=memoryview(words.astype("<u8").tobytes() if held else b""))


async def taken_seeds(circle: Circle, owner: Rank, number: int, words: Handing = OURS) -> dict[int, bytes]:
    """What party `number` draws its shares of this owner's values from, by the share's number.

    Raises:
        PeerLost: the owner is gone.
        PeerMisbehaved: they are not the seeds that this party is to draw from, or are for another plan than ours.
    """
    given = await circle.receive(owner, words.seeds)
    seeds = given.seeds
    if given.agreed != circle.agreed:  # the owner let itself be told what would be computed, and so did we
        raise PeerMisbehaved(circle.peer(owner), "It agreed to another plan than this device: somebody told two.")
    if seeds.keys() != drawn_by(number) or {len(seed) for seed in seeds.values()} != {KEY_BYTES}:
        raise PeerMisbehaved(circle.peer(owner), "It sent other seeds than this party draws from.")
    return seeds


async def taken_pieces(
    circle: Circle,
    owner: Rank,
    batch: int | None,
    count: int,
    *,
    secret: bool = True,
    acknowledged: bool = False,
    words: Handing = OURS,
) -> AsyncIterator[tuple[Piece, int]]:
    """A batch of `count` numbers as it comes: each piece, and how many numbers it stands for.

    Args:
        batch: its number; None takes the next, whichever it is.
        acknowledged: as `Hander.deal` was told. A piece is acknowledged once the next one is asked for.

    Raises:
        PeerLost: the owner is gone.
        PeerMisbehaved: it sent a piece of another batch, or one that is no row of numbers.
    """
    kind: type[Piece] = words.share if secret else words.clear
    for place in pieces(count):
        piece = await circle.receive(owner, kind)
        batch = piece.batch if batch is None else batch
        if piece.batch != batch or piece.words.nbytes % WORD:
            raise PeerMisbehaved(circle.peer(owner), "It sent a piece of something else than was due.")
        yield piece, place.stop - place.start
        if acknowledged:
            await circle.send(owner, words.taken())
