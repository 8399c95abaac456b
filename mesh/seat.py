"""One node's place in one session: its channels, its part, its end.

`mesh.session` decides; this file does what it decides.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from mesh.contracts import Channel, Sighting, Transport
from mesh.control import encode_plan, framed, plan_digest
from mesh.errors import MeshError, Misuse, PeerError, PeerLost, SessionError, first_error
from mesh.group import open_group
from mesh.ids import PeerId, Rank, SessionId
from mesh.inbox import End
from mesh.protocol import Device, Plan, Protocol
from mesh.session import Begin, ChannelUp, Dial, Event, Failed, Finished, Run, Session, State, Stop

__all__ = ["FAREWELL", "FORMING", "Seat", "Surroundings"]

log = logging.getLogger(__name__)

FORMING = 10.0
"""Seconds from our yes until the group must be whole."""

FAREWELL = 1.0
"""Seconds that saying goodbye on one channel may take."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a seat needs of its node.

    Attributes:
        find: where a peer was last seen; raises PeerUnreachable.
        device: what this device lends to the session.
    """

    transport: Transport
    find: Callable[[PeerId], Sighting]
    device: Device


class Seat:
    """Args:
        protocol, plan: what is done here, and by whom.

    Attributes:
        result: done as soon as our part is; holds the result, or the error that ended it.
    """

    def __init__(
        self, session: SessionId, protocol: Protocol[Any, Any, Any], plan: Plan[Any, Any], around: Surroundings
    ) -> None:
        self.id = session
        self.plan = plan
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._protocol = protocol
        self._around = around
        self._session = Session(Rank(plan.roster.index(around.transport.peer)), len(plan.stages))
        self._channels: dict[Rank, Channel] = {}
        self._todo: asyncio.Queue[Dial | Run | None] = asyncio.Queue()
        self._vacant = asyncio.Event()

    @property
    def state(self) -> State:
        """Where the session stands at this rank."""
        return self._session.state

    async def occupy(self) -> None:
        """Hold the seat until our part is over and every channel is closed. Run this once, in a task of the node's.

        Cancelled, it ends the session first.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = [tasks.create_task(self._watch())]
                while (action := await self._todo.get()) is not None:
                    watch.append(
                        tasks.create_task(self._dial(action.rank) if isinstance(action, Dial) else self._run())
                    )
                for task in watch:
                    task.cancel()
        except ExceptionGroup as bugs:
            # What a protocol raises on purpose ended the seat already: this is a bug, and ends its session alone.
            log.exception("session=%s protocol=%s failed on a bug", self.id[:8], self._protocol.name, exc_info=bugs)
            self.end(Misuse(f"{self._protocol.name}: {bugs.exceptions[0]!r}"))
        finally:
            self.end(SessionError("This node is closing."))
            await self._leave()

    def begin(self) -> None:
        """Everyone has said yes: open our channels, and wait for the others'.

        Raises:
            Misuse: it began before.
        """
        self._step(Begin())

    async def join(self, channel: Channel) -> None:
        """Take a channel that a member opened to us; returns when it is closed. A stranger's is left alone."""
        if channel.peer not in self.plan.roster:
            return
        rank = Rank(self.plan.roster.index(channel.peer))
        # Ours to dial, or dialled before: the second one is a mistake or an attack, and not the session's problem.
        if rank >= self._session.rank or rank in self._channels or self.result.done():
            return
        self._joined(rank, channel)
        await self._vacant.wait()

    def end(self, error: MeshError) -> None:
        """Give up, now. Safe to repeat, and after the end."""
        if not self.result.done():
            self.result.set_exception(error)
            self.result.exception()  # seen: only rank 0 has anyone waiting
        self._step(Failed(str(error)))

    @contextmanager
    def held(self) -> Iterator[None]:
        """However this context is left, the seat ends."""
        try:
            yield
        except MeshError as error:
            self.end(error)
            raise
        finally:
            self.end(SessionError("The job was given up."))

    async def wait_result(self) -> Any:
        """What our part came to. Cancelled, the seat goes on. Raises the error that ended it."""
        return await asyncio.shield(self.result)

    def _joined(self, rank: Rank, channel: Channel) -> None:
        self._channels[rank] = channel
        self._step(ChannelUp(rank))

    def _step(self, event: Event) -> None:
        for action in self._session.handle(event):
            self._todo.put_nowait(None if isinstance(action, Stop) else action)

    async def _dial(self, rank: Rank) -> None:
        transport, peer = self._around.transport, self.plan.roster[rank]
        try:
            channel = await transport.dial(self._around.find(peer), self.id)
        except MeshError as error:
            self.end(error)
        else:
            self._joined(rank, channel)

    async def _watch(self) -> None:
        # Whoever is missing will not tell us so, nor will a host that thought better of it.
        await asyncio.sleep(FORMING)
        match self._session.state:
            case State.INVITED:
                self.end(SessionError("The job never began."))
            case State.GATHERING:
                missing = self.plan.roster[self._session.missing()[0]]
                self.end(PeerLost(missing, f"It did not join within {FORMING:.0f} s."))

    async def _run(self) -> None:
        plan, rank = self.plan, self._session.rank
        try:
            vocabulary, agreed = self._protocol.vocabulary, plan_digest(encode_plan(plan))
            async with open_group(
                plan.roster, rank, channels=self._channels, vocabulary=vocabulary, agreed=agreed
            ) as group:
                result = await self._protocol.run(plan, group, self._around.device)
        except MeshError as error:
            self.end(error)
        except ExceptionGroup as errors:
            self.end(first_error(errors))
        else:
            if not self.result.done():
                self.result.set_result(result)
            self._step(Finished())

    async def _leave(self) -> None:
        error = self.result.exception()
        culprit = str(error.peer) if isinstance(error, PeerError) else ""
        last = End(reason=_told(error), culprit=culprit)
        try:
            async with asyncio.TaskGroup() as tasks:
                for channel in self._channels.values():
                    tasks.create_task(_farewell(channel, last))
        finally:
            self._vacant.set()


def _told(error: BaseException | None) -> str:
    # A bug's own words may hold what it stumbled over, and that is not to leave this device.
    if isinstance(error, Misuse):
        return "It failed on a bug of its own; its log says more."
    return str(error or "It has done its part.")


async def _farewell(channel: Channel, last: End) -> None:
    try:
        with suppress(MeshError, TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await channel.send(framed(last))
    finally:
        await channel.aclose()
