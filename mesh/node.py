"""A node: one device's place in the mesh.

It hears of peers, gathers them for its owner's jobs, and says yes or no to theirs. It knows that protocols exist, and
nothing about any one of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mesh.browsing import Browser
from mesh.contracts import Address, Discovery, Sighting, Traffic, Transport
from mesh.control import Offer
from mesh.desk import Desk, Reply
from mesh.errors import BadInput, DeadlinePassed, MeshError, Misuse, SessionError
from mesh.ids import PeerId, SessionId
from mesh.protocol import Boxes, Candidate, Device, Feed, Job, Plan, Protocol
from mesh.recruit import Answered, Recruiter
from mesh.service import Service
from mesh.showcase import Shelf, Showcase
from mesh.store.contract import Store
from mesh.store.fetch import StoredBlobs
from mesh.table import Table

__all__ = ["Lends", "Node", "SessionView"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Lends:
    """What a device lends to the mesh.

    Attributes:
        owner: whose it is; two devices of one owner count as colluding.
        memory: bytes that a job may take, asked anew each time.
        seats: most sessions at once, its own included; above it, invitations are declined.
        store: blobs, fetched for sessions here and served to members of the mesh; None keeps and serves none.
        showcase: what others may see of our models; None shows nothing.
        identity: folder with this device's key, for child processes that sessions start; None lets them start none.
        listen: literal address at which those may listen.
        boxes: the first and the last port at which they may; 0 and 0 for any that is free.
    """

    owner: str = ""
    memory: Callable[[], int] = field(default=lambda: 0)
    seats: int = 32
    store: Store | None = None
    showcase: Showcase | None = None
    identity: Path | None = None
    listen: str = "127.0.0.1"
    boxes: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session that this node has a seat in."""

    session: SessionId
    protocol: str
    state: str
    rank: int
    roster: tuple[PeerId, ...]


class Node:
    """Use as a context: `async with Node(...) as node: await node.submit(job)`.

    Args:
        device: what each session may reach for; the node adds the store and the boxes to it.
        replies: to peers' questions that have nothing to do with sessions, by kind.

    Attributes:
        addresses: where it listens, once entered.
        browser: for what other devices lend, and keep for us.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        discovery: Discovery,
        protocols: Iterable[Protocol[Any, Any, Any]],
        device: Device,
        lends: Lends | None = None,
        replies: Mapping[str, Reply] | None = None,
    ) -> None:
        self.addresses: tuple[Address, ...] = ()
        self._transport = transport
        self._discovery = discovery
        self._protocols = {protocol.name: protocol for protocol in protocols}
        self._lends = lends = lends or Lends()
        self._recruiter = Recruiter(transport, discovery)
        self.browser = Browser(transport, discovery)
        find = self._recruiter.find
        if lends.store is not None:
            device = replace(device, blobs=StoredBlobs(lends.store, transport, find))
        if lends.identity is not None:
            boxes = Boxes(lends.identity, lends.listen, lambda peer: _hosts(find(peer)), lends.boxes)
            device = replace(device, boxes=boxes)
        self._device = device
        self._table = Table(transport, find, lends.seats)
        self._desk = Desk(
            self._protocols,
            table=self._table,
            offer=self._offer,
            device=device,
            shelf=Shelf(lends.store, lends.showcase),
            replies=replies or {},
        )
        self._speeds: dict[str, asyncio.Task[float]] = {}
        self._stack = AsyncExitStack()
        self._open = False

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._tasks = tasks = await stack.enter_async_context(asyncio.TaskGroup())
            self._speeds = {name: tasks.create_task(protocol.tune()) for name, protocol in self._protocols.items()}
            stack.callback(self._stop_tuning)
            await stack.enter_async_context(self._table)
            serving = self._transport.serve(self._desk.answer, self._table.accept)
            self.addresses = await stack.enter_async_context(serving)
            await stack.enter_async_context(self._discovery.announce(Sighting(self.peer, self.addresses)))
            self._stack = stack.pop_all()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        # Not told of `error`: a task group would wrap it, and whoever waits outside for a MeshError would miss it.
        await self._stack.aclose()

    @property
    def peer(self) -> PeerId:
        """This device's own id."""
        return self._transport.peer

    async def submit(self, job: Job) -> Any:
        """Plan a job, gather its group, run it, and return its result.

        Raises:
            BadInput: no such protocol here.
            NoPlan: nobody suitable, or too many said no.
            DeadlinePassed: it took longer than `job.deadline`.
            PeerError, SessionError: it began, and failed.
        """
        try:
            async with asyncio.timeout(job.deadline):
                return await self._hold(job, self._device, frozenset(), lambda _plan: None)
        except TimeoutError:
            raise DeadlinePassed(f"{job.protocol}: not done within {job.deadline:g} s.") from None

    def serve(self, job: Job, *, backlog: int = 64, report: Callable[[object], None] = lambda _event: None) -> Service:
        """A service that answers many requests with one job. Enter it as a context.

        Args:
            backlog: requests that may wait at once.
            report: hears of `service.Up`, `service.Lost` and of what the protocol at rank 0 reports.

        Raises:
            BadInput: no such protocol here.
        """
        self._protocol(job)

        async def hold(feed: Feed, avoid: frozenset[PeerId], up: Callable[[Plan[Any, Any]], None]) -> None:
            await self._hold(job, replace(self._device, feed=feed, report=report), avoid, up)

        return Service(hold, deadline=job.deadline, backlog=backlog, report=report)

    async def survey(self, protocol: str) -> list[Answered]:
        """Ask every peer in sight what it would lend to `protocol`."""
        return await self._recruiter.survey(protocol)

    def sightings(self) -> list[Sighting]:
        """Every peer in sight, in order of id."""
        return list(self._discovery.sightings())

    def sessions(self) -> list[SessionView]:
        """Every session that this node has a seat in."""
        return [
            SessionView(
                seat.id, seat.plan.protocol, seat.state.name, seat.plan.roster.index(self.peer), seat.plan.roster
            )
            for seat in self._table
        ]

    def channels(self) -> int:
        """How many channels are open here."""
        return self._transport.channels()

    def traffic(self) -> dict[PeerId, Traffic]:
        """Bytes exchanged with each peer so far."""
        return self._transport.traffic()

    def speeds(self) -> dict[str, float]:
        """Multiply-adds a second at each protocol, as far as they are measured yet."""
        done = {name: task for name, task in self._speeds.items() if task.done() and not task.cancelled()}
        return {name: task.result() for name, task in sorted(done.items()) if task.exception() is None}

    async def candidate(self, protocol: str) -> Candidate:
        """What this device itself brings to a job.

        Raises:
            BadInput: it does not run the protocol.
            SessionError: the node is closed.
        """
        if protocol not in self._protocols:
            known = ", ".join(sorted(self._protocols)) or "none"
            raise BadInput(f"This node runs no protocol {protocol[:80]!r}. It runs: {known}.")
        tuned = self._speeds.get(protocol)
        if tuned is not None:
            await asyncio.wait([tuned])
        if tuned is None or tuned.cancelled():
            raise SessionError("This node is closed.")
        return Candidate(self.peer, self._lends.owner, self._lends.memory(), tuned.result())

    def _protocol(self, job: Job) -> Protocol[Any, Any, Any]:
        if job.protocol not in self._protocols:
            known = ", ".join(sorted(self._protocols)) or "none"
            raise BadInput(f"This node runs no protocol {job.protocol[:80]!r}. It runs: {known}.")
        protocol = self._protocols[job.protocol]
        if not isinstance(job.spec, protocol.spec):
            raise Misuse(f"{job.protocol} takes a {protocol.spec.__name__}, not a {type(job.spec).__name__}")
        return protocol

    async def _hold(
        self, job: Job, device: Device, avoid: frozenset[PeerId], up: Callable[[Plan[Any, Any]], None]
    ) -> Any:
        protocol, myself = self._protocol(job), await self.candidate(job.protocol)
        session, plan = await self._recruiter.agree(
            protocol, job.spec, myself=myself, avoid=avoid, refused=device.report
        )
        try:
            seat = self._table.sit(session, protocol, plan, replace(device, asked=job.spec))
            with seat.held():
                await self._recruiter.start(plan, session)
                seat.begin()
                up(plan)
                return await seat.wait_result()
        except MeshError as error:
            # Who runs already hears of the end on its channels; who still waits for them hears it from us. Telling
            # them must not keep anybody waiting here: one of them may be the very peer that is dead.
            if self._open:
                self._tasks.create_task(self._recruiter.release(plan, session, str(error)))
            raise

    async def _offer(self, protocol: str) -> Offer:
        if protocol not in self._protocols:
            return Offer(willing=False, owner=self._lends.owner, memory=0, speed=0.0)
        mine = await self.candidate(protocol)
        return Offer(willing=True, owner=mine.owner, memory=mine.memory, speed=mine.speed)

    def _stop_tuning(self) -> None:
        for task in self._speeds.values():
            task.cancel()


def _hosts(sighting: Sighting) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address.host for address in sighting.addresses))
