"""SWIM over mutual TLS: every node probes, is probed, and passes news on; nobody keeps the list.

After Das, Gupta and Motivala 2002 (SWIM), with Lifeguard's self-doubt and suspicion (Dadgar, Phillips and Currey 2018),
and two things besides. Every other probe goes to the next in the ring of ids, so each device is looked at within two
periods, however large the mesh. And whoever hears of a suspicion may look for itself at once, so that a few independent
witnesses, or the suspect's own protest, are there in a second.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec

from mesh.contracts import Sighting, Transport
from mesh.control import ask
from mesh.errors import BadFrame, IdentityError, MeshError
from mesh.ids import PeerId
from mesh.membership.pace import Pace
from mesh.membership.statements import Facts, Statement, Voice
from mesh.membership.view import MOST, Member, Rumour, State, View
from mesh.membership.words import Alive, Look, Ping, Seen, Sync
from mesh.messages import Message, unpack
from mesh.wire import Frame

__all__ = ["Membership"]

M = TypeVar("M", bound=Message)

log = logging.getLogger(__name__)

NEWS = 24
"""Pieces of news in one message at most."""

CURIOUS = 4
"""How many devices, on average, look for themselves when they hear of a suspicion."""

SELDOM = 60.0
"""Seconds after which somebody who cannot be reached is tried again at the latest."""


class Membership:
    """One node's part.

    Args:
        voice: of this device.
        seeds: who may be about, by whatever other way: mDNS, a list, those of last time.
        chance: decides whom to probe and tell. Nothing secret depends on it.
        changed: called after each change of the view.
    """

    def __init__(
        self,
        transport: Transport,
        voice: Voice,
        seeds: Callable[[], Sequence[Sighting]],
        *,
        chance: random.Random,
        pace: Pace | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.view = View()
        self.health = 0
        self._me = transport.peer
        self._transport = transport
        self._voice = voice
        self._seeds = seeds
        self._chance = chance
        self._pace = pace or Pace()
        self._changed = changed
        self._incarnation = voice.first
        self._news: dict[str, tuple[Rumour, int]] = {}
        self._round: list[PeerId] = []
        self._ring = False
        self._synced = 0.0
        self._probing: set[PeerId] = set()
        self._again: dict[PeerId, tuple[float, float]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take part for as long as the context is open. On leaving, a few are told."""
        self._speak()
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            loops = [tasks.create_task(each()) for each in (self._probe_all, self._gossip, self._seek)]
            try:
                yield
            finally:
                for loop in loops:
                    loop.cancel()
                await self.leave()

    async def reply(self, peer: PeerId, question: Frame) -> Message:
        """Answer a peer. Raises MeshError: that is no question of ours, or what it tells proves nothing."""
        match question.kind:
            case Ping.kind:
                ping = unpack(Ping, question.body)
                self._hear_all(ping.news)
                self._compare(peer, ping.digest)
                return Alive(news=self._pick(peer), digest=self.view.digest)
            case Look.kind:
                wanted = self.view.get(unpack(Look, question.body).peer)
                return Seen(alive=wanted is not None and await self._answers(wanted))
            case Sync.kind:
                self._hear_all(unpack(Sync, question.body).members[:MOST])
                return self._everything()
        raise BadFrame(f"{question.kind[:80]!r} is no question about who is alive")

    def speak(self) -> None:
        """Tell everybody what this device says of itself now."""
        self._incarnation += 1
        self._speak()

    async def leave(self) -> None:
        """Tell a few that this device stops on purpose; they tell the others."""
        last = Facts(str(self._me), self._incarnation + 1, leaving=True)
        goodbye = self._voice.statements.make(last)
        rumour = Rumour(str(self._me), int(State.LEFT), last.incarnation, goodbye.data)
        others = self._others()
        told = self._chance.sample(others, min(self._pace.fan, len(others)))
        try:
            async with asyncio.timeout(self._pace.verdict), asyncio.TaskGroup() as tasks:
                for member in told:
                    ping = Ping(news=(rumour,), digest=self.view.digest)
                    tasks.create_task(self._asked(member, ping, Alive, self._pace.verdict))
        except TimeoutError:
            pass

    # What is heard

    def _hear_all(self, news: Sequence[Rumour]) -> None:
        for rumour in news:
            self._hear(rumour)

    def _hear(self, rumour: Rumour) -> None:
        if rumour.statement and self._is_later(rumour):
            statement = self._voice.statements.check(rumour.statement)
            if statement.peer != rumour.peer:
                raise IdentityError("a rumour brings a statement of another device")
            self._take(statement)
        if rumour.state in (State.SUSPECT, State.DEAD):
            self._hear_ill(rumour)

    def _is_later(self, rumour: Rumour) -> bool:
        if rumour.peer == self._me:
            return False
        known = self.view.get(rumour.peer)
        return known is None or rumour.incarnation > known.incarnation

    def _take(self, statement: Statement) -> None:
        if self.view.hear(statement, self._now()):
            member = self.view.get(statement.peer)
            if member is not None:
                self._spread(member.rumour())

    def _hear_ill(self, rumour: Rumour) -> None:
        if rumour.peer == self._me:
            if rumour.incarnation >= self._incarnation:
                self._incarnation = rumour.incarnation + 1
                self.health = min(self._pace.health, self.health + 1)
                self._speak()
            return
        if self._accuse(rumour.peer, rumour.incarnation, State(rumour.state), rumour.witness):
            member = self.view.get(rumour.peer)
            chance = CURIOUS / max(1, len(self.view.present()))
            if member is not None and member.state is State.SUSPECT and self._chance.random() < chance:
                self._start_probe(member)

    def _accuse(self, peer: str, incarnation: int, state: State, witness: str) -> bool:
        if not self.view.accuse(peer, incarnation, state, self._now(), witness):
            return False
        self._spread(Rumour(peer, int(state), incarnation, witness=witness))
        return True

    def _compare(self, peer: PeerId, digest: bytes) -> None:
        """Two views that differ with no news under way are put right by a whole exchange."""
        now = self._now()
        if digest != self.view.digest and not self._news and now - self._synced > self._pace.period:
            self._synced = now
            self._tasks.create_task(self._sync_with(peer))

    # What is said

    def _speak(self) -> None:
        self._take(self._voice.speak(self._incarnation))

    def _spread(self, rumour: Rumour) -> None:
        self._news[rumour.peer] = (rumour, self._pace.spread(len(self.view)))
        self._changed()

    def _pick(self, to: PeerId) -> tuple[Rumour, ...]:
        """The news that were passed on least; and to a suspect, that it is one: it has to hear of it."""
        chosen = sorted(self._news.values(), key=lambda entry: -entry[1])[:NEWS]
        for rumour, left in chosen:
            if left <= 1:
                del self._news[rumour.peer]
            else:
                self._news[rumour.peer] = (rumour, left - 1)
        told = [rumour for rumour, _ in chosen]
        member = self.view.get(to)
        if member is not None and member.state is not State.ALIVE and all(rumour.peer != to for rumour in told):
            told.append(member.rumour())
        return tuple(told)

    def _everything(self) -> Sync:
        return Sync(members=tuple(member.rumour() for member in self.view))

    async def _gossip(self) -> None:
        while True:
            await asyncio.sleep(self._pace.gossip)
            if not self._news:
                continue
            others = self._others()
            for member in self._chance.sample(others, min(self._pace.fan, len(others))):
                self._tasks.create_task(self._tell(member))

    async def _tell(self, member: Member) -> None:
        await self._ping(member, self._pace.verdict * (1 + self.health))

    # Probing

    async def _probe_all(self) -> None:
        while True:
            slack = 0.9 + 0.2 * self._chance.random()  # or all would do so in step
            await asyncio.sleep(self._pace.period * slack * (1 + self.health / 4))
            self._condemn()
            if (member := self._next()) is not None:
                self._start_probe(member)

    def _next(self) -> Member | None:
        present = self.view.present()
        self._ring = not self._ring
        if self._ring and len(present) > 1:
            ids = [member.peer for member in present]
            return present[(ids.index(self._me) + 1) % len(ids)] if self._me in ids else None
        while self._round:
            member = self.view.get(self._round.pop())
            if member is not None and member.state <= State.SUSPECT:
                return member
        self._round = [member.peer for member in self._others()]
        self._chance.shuffle(self._round)
        return self.view.get(self._round.pop()) if self._round else None

    def _start_probe(self, member: Member) -> None:
        if member.peer not in self._probing:
            self._probing.add(member.peer)
            self._tasks.create_task(self._probe(member))

    async def _probe(self, member: Member) -> None:
        try:
            if await self._answers(member, ask_others=True):
                self.health = max(0, self.health - 1)
                return
        finally:
            self._probing.discard(member.peer)
        self.health = min(self._pace.health, self.health + 1)
        now = self.view.get(member.peer)
        if now is not None and now.incarnation == member.incarnation and now.state <= State.SUSPECT:
            self._accuse(member.peer, member.incarnation, State.SUSPECT, str(self._me))

    async def _answers(self, member: Member, *, ask_others: bool = False) -> bool:
        """Whether it does in time, itself or to one of a few others."""
        slower = 1 + self.health
        answered = asyncio.Event()

        async def directly() -> None:
            if await self._ping(member, self._pace.verdict * slower):
                answered.set()

        async def indirectly(other: Member) -> None:
            if await self._look(other, member, self._pace.verdict * slower):
                answered.set()

        try:
            async with asyncio.timeout(self._pace.verdict * slower), asyncio.TaskGroup() as tasks:
                tasks.create_task(directly())
                if ask_others:
                    await _within(answered, self._pace.ping * slower)
                    others = [] if answered.is_set() else [m for m in self._others() if m.peer != member.peer]
                    for other in self._chance.sample(others, min(self._pace.looks, len(others))):
                        tasks.create_task(indirectly(other))
        except TimeoutError:
            pass
        return answered.is_set()

    async def _ping(self, member: Member, within: float) -> bool:
        ping = Ping(news=self._pick(member.peer), digest=self.view.digest)
        answer = await self._asked(member, ping, Alive, within)
        if answer is None:
            return False
        try:
            self._hear_all(answer.news)
        except MeshError as error:
            log.warning("peer=%s passes on what proves nothing: %s", member.peer.short, error)
        self._compare(member.peer, answer.digest)
        return True

    async def _look(self, other: Member, wanted: Member, within: float) -> bool:
        answer = await self._asked(other, Look(peer=str(wanted.peer)), Seen, within)
        return answer is not None and answer.alive

    def _condemn(self) -> None:
        size, now = len(self.view.present()), self._now()
        for member in self.view.present():
            if member.state is State.SUSPECT:
                doubt = self._pace.doubt_for(size, len(member.witnesses) - 1)
                if now - member.since >= doubt:
                    log.info("lost peer=%s witnesses=%d", member.peer.short, len(member.witnesses))
                    self._accuse(member.peer, member.incarnation, State.DEAD, "")
        self.view.forget(now - self._pace.remember)

    # Finding each other

    async def _seek(self) -> None:
        while True:
            now = self._now()
            missing = [seen for seen in self._seeds() if self._is_missing(seen.peer)]
            strangers = [seen for seen in missing if self._again.get(seen.peer, (now, 0.0))[0] <= now]
            lost = [member for member in self.view if member.state is State.DEAD]
            if lost:  # after a split the two sides look for each other
                member = self._chance.choice(lost)
                strangers.append(Sighting(member.peer, member.statement.facts.places()))
            for seen in self._chance.sample(strangers, min(self._pace.fan, len(strangers))):
                self._tasks.create_task(self._sync_at(seen))
            self._keep_current()
            present = self._others()
            if present and self._now() - self._synced > self._pace.sync * (0.5 + self._chance.random()):
                self._synced = self._now()
                self._tasks.create_task(self._sync_with(self._chance.choice(present).peer))
            await asyncio.sleep(self._pace.seek * (0.5 + self._chance.random()))

    def _put_off(self, peer: PeerId) -> None:
        """Do not try that one again too soon: many that announce themselves are of other meshes, or gone."""
        _, pause = self._again.pop(peer, (0.0, self._pace.seek))
        if len(self._again) >= MOST:
            self._again.clear()
        self._again[peer] = (self._now() + pause, min(2 * pause, SELDOM))

    def _keep_current(self) -> None:
        """Speak again where what was said is no longer true. Memory comes and goes: only much of it is worth a word."""
        mine = self.view.get(self._me)
        if mine is None:
            return
        said, now = mine.statement.facts, self._voice.facts(self._incarnation)
        alike = msgspec.structs.replace(now, memory=said.memory) == said
        if not alike or not said.memory / 2 <= now.memory <= said.memory * 2:
            self.speak()

    def _is_missing(self, peer: PeerId) -> bool:
        known = self.view.get(peer)
        return peer != self._me and (known is None or known.state >= State.DEAD)

    async def _sync_with(self, peer: PeerId) -> None:
        member = self.view.get(peer)
        if member is not None:
            await self._sync_at(Sighting(peer, member.statement.facts.places()))

    async def _sync_at(self, seen: Sighting) -> None:
        try:
            answer = await ask(self._transport, seen, self._everything(), Sync)
            self._hear_all(answer.members[:MOST])
            self._again.pop(seen.peer, None)
        except MeshError as error:
            self._put_off(seen.peer)
            log.debug("no views exchanged with peer=%s: %s", seen.peer.short, error)

    def _others(self) -> list[Member]:
        return [member for member in self.view.present() if member.peer != self._me]

    async def _asked(self, member: Member, question: Message, expected: type[M], within: float) -> M | None:
        at = Sighting(member.peer, member.statement.facts.places())
        try:
            async with asyncio.timeout(within):
                return await ask(self._transport, at, question, expected)
        except (TimeoutError, MeshError):
            return None

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
