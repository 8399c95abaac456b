"""All the seats of one node: who owns their tasks, and how many there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from mesh.contracts import Channel, Sighting, Transport
from mesh.errors import Busy, SessionError
from mesh.ids import PeerId, SessionId
from mesh.protocol import Device, Plan, Protocol
from mesh.seat import FORMING, Seat, Surroundings

__all__ = ["Table"]


class Table:
    """Use as a context: leaving it ends every session and waits until each has closed its channels.

    Args:
        find: where a peer was last seen; raises PeerUnreachable.
        limit: most seats at once. One host has at most half of them, and a quarter is kept for our own jobs.
    """

    def __init__(self, transport: Transport, find: Callable[[PeerId], Sighting], limit: int) -> None:
        self._transport = transport
        self._find = find
        self._limit = limit
        self._seats: dict[SessionId, Seat] = {}
        self._stack = AsyncExitStack()
        self._open = False

    @property
    def peer(self) -> PeerId:
        """Whose seats these are."""
        return self._transport.peer

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        for seat in list(self._seats.values()):
            seat.end(SessionError("This node is closing."))
        await self._stack.aclose()

    def __len__(self) -> int:
        return len(self._seats)

    def __iter__(self) -> Iterator[Seat]:
        yield from list(self._seats.values())

    def sit(self, session: SessionId, protocol: Protocol[Any, Any, Any], plan: Plan[Any, Any], device: Device) -> Seat:
        """Take a seat and hold it until its session ends.

        Raises:
            Busy: every seat is taken, or all that its host may have.
            SessionError: this session has a seat here already, or the node is closing.
        """
        if not self._open:
            raise SessionError("This node is closing.")
        if session in self._seats:
            raise SessionError("I have a seat in that session already.")
        self._expect_room(plan.roster[0])
        seat = Seat(session, protocol, plan, Surroundings(self._transport, self._find, device))
        self._seats[session] = seat
        self._tasks.create_task(self._occupied(seat))
        return seat

    def seat(self, session: SessionId) -> Seat | None:
        """Our seat in a session, if we have one."""
        return self._seats.get(session)

    async def accept(self, session: SessionId, channel: Channel) -> None:
        """Take a channel that a peer opened; returns when it is over. A session we know nothing of gets none."""
        seat = self._seats.get(session)
        if seat is not None:
            await seat.join(channel)

    def _expect_room(self, host: PeerId) -> None:
        hosts = [seat.plan.roster[0] for seat in self._seats.values()]
        if len(hosts) >= self._limit:
            raise Busy(f"All of my {self._limit} seats are taken.", after=FORMING)
        if host == self._transport.peer:
            return
        guests = len(hosts) - hosts.count(self._transport.peer)
        if guests >= self._limit - self._limit // 4:
            raise Busy(f"All of the {guests} seats that I lend are taken.", after=FORMING)
        if hosts.count(host) >= max(1, self._limit // 2):
            raise Busy(f"You have {hosts.count(host)} of my seats already.", after=FORMING)

    async def _occupied(self, seat: Seat) -> None:
        try:
            await seat.occupy()
        finally:
            del self._seats[seat.id]
