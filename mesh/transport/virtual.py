"""A network in memory, with weather.

The same contract as the real one, so a scenario or a test can run a whole city in one process and cut any cable it
likes. All delays are taken from the running loop's clock.

    killed    its process is gone: channels break at once, and what is dialled fails at once
    cut       nothing crosses; channels break when the heartbeat has been silent for long enough
    stalled   its process stands still: nothing leaves it and nothing reaches it, as if it were cut off from everyone
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mesh.contracts import Accept, Address, Answer, Channel, Sighting, Traffic, Transport
from mesh.errors import IdentityError, PeerUnreachable, WireError
from mesh.ids import PeerId, SessionId
from mesh.transport.pipe import Pipe
from mesh.wire import Frame, decode, encode

__all__ = ["CALL_TIMEOUT", "HEARTBEAT", "Link", "VirtualNetwork"]

T = TypeVar("T")

HEARTBEAT = 2.0
"""Seconds between the pings of a channel; a peer is lost after 1.5 times as long in silence."""

CALL_TIMEOUT = 5.0
"""Seconds that a control request may take."""


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a cable.

    Attributes:
        delay: seconds from send to receive.
        jitter: further seconds, uniform, never reordering.
        rate: bytes per second; 0 is unlimited.
        up: False is a cut cable: nothing crosses it.
        tamper: changes the encoded bytes on the way.
    """

    delay: float = 0.0
    jitter: float = 0.0
    rate: float = 0.0
    up: bool = True
    tamper: Callable[[bytes], bytes] | None = None


@dataclass(frozen=True, slots=True)
class _Host:
    answer: Answer
    accept: Accept
    tasks: asyncio.TaskGroup
    accepted: set[asyncio.Task[None]] = field(default_factory=set)

    def welcome(self, session: SessionId, channel: Channel) -> None:
        """Hand a channel over, and see to it that it is closed in the end."""
        task = self.tasks.create_task(_accepted(self, session, channel))
        self.accepted.add(task)
        task.add_done_callback(self.accepted.discard)

    def leave(self) -> None:
        """Wait for nobody."""
        for task in self.accepted:
            task.cancel()


class VirtualNetwork:
    """Everything between the nodes of one test or scenario.

    Args:
        seed: fixes all jitter; the same seed gives the same run.
        link: the weather everywhere, until `weather` changes some of it.
        transcript: whether to keep every frame in `sent`.
    """

    def __init__(self, *, seed: int = 0, link: Link | None = None, transcript: bool = True) -> None:
        self.sent: list[tuple[PeerId, PeerId, Frame]] = []
        """Every frame that ever crossed, in order: (from, to, frame)."""
        self._transcript = transcript
        self._random = random.Random(seed)
        self._default = link or Link()
        self._links: dict[tuple[PeerId, PeerId], Link] = {}
        self._stalled: set[PeerId] = set()
        self._hosts: dict[PeerId, _Host] = {}
        self._pipes: set[Pipe] = set()
        self._news = asyncio.Event()
        self._traffic: dict[tuple[PeerId, PeerId], int] = {}

    def transport(self, peer: PeerId) -> Transport:
        """A new device's way into this network."""
        return _VirtualTransport(self, peer)

    def channels_of(self, peer: PeerId) -> int:
        """How many channels one device has open."""
        return sum(pipe.source == peer and not pipe.ended for pipe in self._pipes)

    def link(self, source: PeerId, target: PeerId) -> Link:
        """The weather from one device to another."""
        return self._links.get((source, target), self._default)

    def weather(self, source: PeerId, target: PeerId, **changes: Any) -> None:
        """Change one direction: `network.weather(a, b, delay=0.2)`."""
        self._links[source, target] = replace(self.link(source, target), **changes)
        self._changed()

    def cut(self, some: Iterable[PeerId], others: Iterable[PeerId]) -> None:
        """Cut every cable between two sides, both ways."""
        sides = list(some), list(others)
        for a in sides[0]:
            for b in sides[1]:
                self._links[a, b] = replace(self.link(a, b), up=False)
                self._links[b, a] = replace(self.link(b, a), up=False)
        self._changed()

    def heal(self) -> None:
        """Mend every cut cable. What was on its way arrives now; channels that broke stay broken."""
        self._links = {pair: replace(link, up=True) for pair, link in self._links.items()}
        self._changed()

    def stall(self, peer: PeerId) -> None:
        """The device stands still until `wake`."""
        self._stalled.add(peer)
        self._changed()

    def wake(self, peer: PeerId) -> None:
        """The device moves again."""
        self._stalled.discard(peer)
        self._changed()

    def kill(self, peer: PeerId) -> None:
        """The device is gone, at once and without a word."""
        self._hosts.pop(peer, None)
        for pipe in [pipe for pipe in self._pipes if peer in (pipe.source, pipe.target)]:
            pipe.sever()

    def crosses(self, source: PeerId, target: PeerId) -> bool:
        """Whether a frame would get from one to the other now."""
        return self.link(source, target).up and not {source, target} & self._stalled

    def carry(self, source: PeerId, target: PeerId, frame: Frame) -> tuple[bytes, float, float]:
        """The frame as it will arrive; for how many seconds it keeps the cable busy; and how long it is under way."""
        link, data = self.link(source, target), encode(frame)
        if self._transcript:
            self.sent.append((source, target, frame))
        self._traffic[source, target] = self._traffic.get((source, target), 0) + len(data)
        busy = len(data) / link.rate if link.rate else 0.0
        return (link.tamper(data) if link.tamper else data), busy, link.delay + self._random.random() * link.jitter

    def traffic(self, me: PeerId) -> dict[PeerId, Traffic]:
        """Bytes that `me` sent to and received from each peer."""
        peers = {peer for pair in self._traffic if me in pair for peer in pair} - {me}
        return {
            peer: Traffic(self._traffic.get((me, peer), 0), self._traffic.get((peer, me), 0)) for peer in sorted(peers)
        }

    def move_in(self, peer: PeerId, host: _Host) -> None:
        """Somebody serves there from now on."""
        self._hosts[peer] = host

    def host(self, target: PeerId) -> _Host:
        """Who serves there. Raises PeerUnreachable."""
        if target not in self._hosts:
            raise PeerUnreachable(target, "Nobody listens there.")
        return self._hosts[target]

    async def wait_crossing(self, source: PeerId, target: PeerId) -> None:
        """Wait until a frame gets from one to the other."""
        while not self.crosses(source, target):
            self._news.clear()
            await self._news.wait()

    def open(self, a: PeerId, b: PeerId) -> tuple[Channel, Channel]:
        """A channel between two devices: its end at `a`, and its end at `b`."""
        there, back = Pipe(self, a, b), Pipe(self, b, a)
        there.other, back.other = back, there
        self._pipes |= {there, back}
        return _VirtualChannel(b, there, back), _VirtualChannel(a, back, there)

    def forget(self, pipe: Pipe) -> None:
        """This pipe has carried its last."""
        self._pipes.discard(pipe)

    def _changed(self) -> None:
        self._news.set()
        loop, silent = asyncio.get_running_loop(), 1.5 * HEARTBEAT
        for pipe in self._pipes:
            if self.crosses(pipe.source, pipe.target):
                pipe.silent_since = None
                pipe.wake()
            elif pipe.silent_since is None:
                pipe.silent_since = loop.time()
                loop.call_later(silent, pipe.expire, silent)


class _VirtualChannel(Channel):
    def __init__(self, peer: PeerId, outgoing: Pipe, incoming: Pipe) -> None:
        self.peer = peer
        self._outgoing, self._incoming = outgoing, incoming

    async def send(self, frame: Frame) -> None:
        await self._outgoing.send(frame)

    async def receive(self) -> Frame:
        try:
            return decode(await self._incoming.receive())
        except WireError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        self._outgoing.close()
        self._incoming.abandon()


class _VirtualTransport(Transport):
    def __init__(self, network: VirtualNetwork, peer: PeerId) -> None:
        self.peer = peer
        self._network = network

    @asynccontextmanager
    async def serve(self, answer: Answer, accept: Accept) -> AsyncIterator[tuple[Address, ...]]:
        async with AsyncExitStack() as stack:
            # Left through the stack, which does not tell the group what the body raised: the group would wrap it.
            host = _Host(answer, accept, await stack.enter_async_context(asyncio.TaskGroup()))
            stack.callback(host.leave)
            stack.callback(self._network.kill, self.peer)
            self._network.move_in(self.peer, host)
            opened = stack.pop_all()
        try:
            yield (Address(self.peer, 0),)
        finally:
            await opened.aclose()

    async def call(self, to: Sighting, request: Frame) -> Frame:
        return await self._bounded(to, self._call(_owner(to), request))

    async def dial(self, to: Sighting, session: SessionId) -> Channel:
        return await self._bounded(to, self._dial(_owner(to), session))

    def traffic(self) -> dict[PeerId, Traffic]:
        return self._network.traffic(self.peer)

    def channels(self) -> int:
        return self._network.channels_of(self.peer)

    async def _call(self, target: PeerId, request: Frame) -> Frame:
        network = self._network
        data, busy, wait = network.carry(self.peer, target, request)
        await self._travel(self.peer, target, busy + wait)
        reply = await network.host(target).answer(self.peer, decode(data))
        data, busy, wait = network.carry(target, self.peer, reply)
        await self._travel(target, self.peer, busy + wait)
        network.host(target)  # it died on the way: no whole answer ever comes of that
        return decode(data)

    async def _dial(self, target: PeerId, session: SessionId) -> Channel:
        network = self._network
        await self._travel(self.peer, target, network.link(self.peer, target).delay)
        host = network.host(target)
        mine, theirs = network.open(self.peer, target)
        host.welcome(session, theirs)
        return mine

    async def _travel(self, source: PeerId, target: PeerId, wait: float) -> None:
        await asyncio.sleep(wait)
        await self._network.wait_crossing(source, target)

    async def _bounded(self, to: Sighting, attempt: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                reached = await attempt
        except TimeoutError:
            raise PeerUnreachable(to.peer, f"It did not answer within {CALL_TIMEOUT:g} s.") from None
        if _owner(to) != to.peer:
            if isinstance(reached, Channel):
                await reached.aclose()
            raise IdentityError(f"{to.addresses[0]} is not {to.peer.short}: the sighting is stale or forged.")
        return reached


async def _accepted(host: _Host, session: SessionId, channel: Channel) -> None:
    try:
        await host.accept(session, channel)
    finally:
        await channel.aclose()


def _owner(to: Sighting) -> PeerId:
    """Who really lives where a sighting points. In this network, a host's name is its id."""
    if not to.addresses:
        raise PeerUnreachable(to.peer, "It is not known where it lives.")
    return PeerId(to.addresses[0].host)
