"""A group: the only network that a protocol ever sees.

Every rank runs the same program, as in MPI and MPyC. Messages are addressed by (sender, scope, kind), never by arrival
order, so steps may overlap without a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from mesh.contracts import Channel
from mesh.errors import BadFrame, FrameTooLarge, Misuse, PeerLost, PeerMisbehaved, QuorumLost, first_error
from mesh.ids import PeerId, Rank
from mesh.inbox import Inbox
from mesh.messages import Message, pack, unpack
from mesh.wire import FRAME_LIMIT, Frame

__all__ = ["BODY_LIMIT", "BUDGET", "Group", "open_group"]

M = TypeVar("M", bound=Message)

BODY_LIMIT = FRAME_LIMIT - 2**17
"""Bytes of one message at most: a frame, less what its header can take."""

BUDGET = 4 * FRAME_LIMIT
"""Bytes that one peer may have lying unread in one session. Whoever sends more than that unasked, misbehaves."""


class Group:
    """The peers of one session, seen from one rank.

    Attributes:
        roster: every member's id; its position is its rank. The same on every rank.
        rank: our own position.
        scope: the message space that this object speaks in; see `within`.
        agreed: SHA-256 of the plan that this device agreed to. Whoever made the plan may have told each member another
            one, so where that matters, members tell each other theirs.
    """

    def __init__(
        self,
        roster: Sequence[PeerId],
        rank: Rank,
        *,
        inbox: Inbox,
        channels: Mapping[Rank, Channel],
        scope: tuple[str, ...] = (),
        agreed: str = "",
    ) -> None:
        self.roster = tuple(roster)
        self.rank = rank
        self.scope = scope
        self.agreed = agreed
        self._inbox = inbox
        self._channels = channels

    @property
    def size(self) -> int:
        """How many members there are, ourselves included."""
        return len(self.roster)

    @property
    def ranks(self) -> tuple[Rank, ...]:
        """Everyone's rank."""
        return tuple(map(Rank, range(self.size)))

    @property
    def others(self) -> tuple[Rank, ...]:
        """Everyone's rank but ours."""
        return tuple(rank for rank in self.ranks if rank != self.rank)

    def within(self, *scope: str | int) -> Group:
        """A message space of its own, for one round, step or sub-protocol. Costs nothing; opens no channel."""
        return Group(
            self.roster,
            self.rank,
            inbox=self._inbox,
            channels=self._channels,
            scope=(*self.scope, *map(str, scope)),
            agreed=self.agreed,
        )

    async def send(self, to: Rank, message: Message) -> None:
        """Send one message; wait while the receiver is slow.

        Raises:
            PeerLost: it is gone.
            FrameTooLarge: no receiver would take that much at once.
            Misuse: `message` is none of this protocol's words, or `to` is no other rank.
        """
        self._expect_other(to)
        if message.kind not in self._inbox.kinds:
            raise Misuse(f"{message.kind!r} is not in this protocol's vocabulary")
        body = pack(message)
        if len(body) > BODY_LIMIT:  # sent nevertheless, it would be held against us
            raise FrameTooLarge(f"{message.kind!r} takes {len(body)} bytes; one message may take {BODY_LIMIT}.")
        await self._channels[to].send(Frame(self.scope, message.kind, body))

    async def receive(self, sender: Rank, kind: type[M]) -> M:
        """The next `kind` that `sender` sent in this scope, whenever it came. Cancelled, it loses nothing.

        Raises:
            PeerLost: it is gone and sent no more of these.
            PeerMisbehaved: what it sent does not fit `kind`.
            Misuse: `kind` is none of this protocol's words, or `sender` is no other rank.
        """
        self._expect_other(sender)
        frame = await self._inbox.take((sender, self.scope, kind.kind))
        try:
            return unpack(kind, frame.body)
        except BadFrame as error:
            raise PeerMisbehaved(self.roster[sender], str(error)) from error

    async def broadcast(self, message: Message, to: Iterable[Rank] | None = None) -> None:
        """Send the same message to every other rank, or to those in `to`, at once. Raises as `send`."""
        await _together(self.send(rank, message) for rank in (self.others if to is None else to))

    async def exchange(self, message: M) -> tuple[M, ...]:
        """Everyone sends one; everyone gets all, in rank order. Raises as `send` and `receive`."""
        got: dict[Rank, M] = {self.rank: message}

        async def hear(sender: Rank) -> None:
            got[sender] = await self.receive(sender, type(message))

        await _together([self.broadcast(message), *(hear(sender) for sender in self.others)])
        return tuple(got[rank] for rank in self.ranks)

    async def collect(self, kind: type[M], senders: Iterable[Rank], *, quorum: int) -> dict[Rank, M]:
        """One `kind` from each sender that is still there, by rank.

        Waits until every sender has either sent or gone.

        Raises:
            QuorumLost: fewer than `quorum` were left.
            PeerMisbehaved: what one of them sent does not fit `kind`.
        """
        got: dict[Rank, M] = {}

        async def hear(sender: Rank) -> None:
            try:
                got[sender] = await self.receive(sender, kind)
            except PeerLost:
                return

        await _together(hear(sender) for sender in senders)
        if len(got) < quorum:
            raise QuorumLost(f"{len(got)} of {kind.kind!r} came, {quorum} are needed.")
        return dict(sorted(got.items()))

    def _expect_other(self, rank: Rank) -> None:
        if rank == self.rank or not 0 <= rank < self.size:
            raise Misuse(f"rank {rank} is no other member of a group of {self.size}, seen from rank {self.rank}")


@asynccontextmanager
async def open_group(
    roster: Sequence[PeerId],
    rank: Rank,
    *,
    channels: Mapping[Rank, Channel],
    vocabulary: Iterable[type[Message]],
    agreed: str = "",
    budget: int = BUDGET,
) -> AsyncIterator[Group]:
    """Read the channels of one session for as long as the context is open. Leaves them open; their owner closes them.

    Args:
        vocabulary: the words that may be said here. Whoever says another is heard no more.
        agreed: see `Group`.
        budget: bytes that one peer may have lying unread.
    """
    inbox = Inbox(roster, rank, kinds=frozenset(word.kind for word in vocabulary), budget=budget)
    async with asyncio.TaskGroup() as readers:
        tasks = [readers.create_task(inbox.fill(rank, channel)) for rank, channel in channels.items()]
        try:
            yield Group(roster, rank, inbox=inbox, channels=channels, agreed=agreed)
        finally:
            for task in tasks:
                task.cancel()


async def _together(coroutines: Iterable[object]) -> None:
    """Await all of them at once; the first failure of ours ends the rest and is raised bare."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for coroutine in coroutines:
                tasks.create_task(coroutine)  # type: ignore[arg-type]
    except BaseExceptionGroup as group:
        raise first_error(group) from None
