"""A member of the mesh that means harm: it has a genuine identity, and says whatever it likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from mesh.contracts import Address, Sighting, Transport
from mesh.control import (
    Accepted,
    Ask,
    Began,
    Declined,
    Invite,
    Offer,
    Release,
    Start,
    Want,
    encode_plan,
    framed,
    plan_digest,
)
from mesh.errors import DeadlinePassed, MeshError, PeerUnreachable
from mesh.ids import PeerId, SessionId, new_session
from mesh.inbox import End
from mesh.messages import Message, unpack
from mesh.protocol import Candidate, Job, Plan
from mesh.wire import Frame
from protocols.echo import Echo, EchoSpec, Word
from scenarios.city import VIRTUAL, City
from scenarios.city.clock import run
from scenarios.city.virtual import VirtualStreets
from tests.harness import toy

MALLORY = PeerId.of_key(b"mallory")


@dataclass
class Scene:
    """A city of honest devices, and Mallory in it."""

    city: City
    mallory: Transport

    def sighting(self, device: int) -> Sighting:
        return Sighting(self.city.peers[device], (Address(self.city.peers[device], 0),))

    async def say(self, device: int, word: Message) -> Frame:
        return await self.mallory.call(self.sighting(device), framed(word))

    async def invite(self, device: int, *, session: str | None = None, plan: Plan[Any, Any] | None = None) -> str:
        """What an invitation is answered with: "yes", or the sentence."""
        data = encode_plan(plan or self.plan(device))
        name = new_session(MALLORY, bytes(8)) if session is None else session
        reply = await self.say(device, Invite(session=name, plan=data))
        return "yes" if reply.kind == Accepted.kind else unpack(Declined, reply.body).reason

    def plan(self, *devices: int) -> Plan[Any, Any]:
        crew = [Candidate(MALLORY), *(Candidate(self.city.peers[device]) for device in devices)]
        return Echo().plan(EchoSpec("ha"), crew)


@asynccontextmanager
async def scene(devices: int = 2) -> AsyncIterator[Scene]:
    """Mallory listens to nobody; a test that wants it to answer serves its transport."""
    async with City(VIRTUAL, devices, toy.equip(0.01)) as city:
        assert isinstance(city.streets, VirtualStreets)
        yield Scene(city, city.streets.network.transport(MALLORY))


def told(story: Callable[[Scene], Awaitable[Any]], devices: int = 2) -> Any:
    async def telling() -> Any:
        async with scene(devices) as made:
            result = await story(made)
            assert [] == await made.city.wait_quiet(30)
            return result

    return run(telling())


NONSENSE = [
    Frame((), "mesh.nonsense", b""),
    Frame((), Began.kind, b"\x80"),
    Frame((), Ask.kind, b"\xc1"),
    Frame((), Invite.kind, b"\x91" * 10_000),
    Frame(("a",) * 16, Want.kind, b""),
    framed(Ask(protocol="x" * 10_000)),
    framed(Want(digest="../../../etc/passwd", index=0)),
    framed(Want(digest="0" * 64, index=-1)),
    framed(Want(digest="0" * 64, index=2**63)),
    framed(Want(digest="\0" * 64, index=0)),
    framed(Start(session="0" * 32)),
    framed(Release(session="", reason="x")),
    framed(Invite(session="0" * 32, plan=b"")),
    framed(Invite(session="0" * 32, plan=b'{"protocol":"echo"}')),
    framed(Invite(session="0" * 32, plan=b'{"protocol":"nothing"}')),
]


@pytest.mark.parametrize("question", NONSENSE, ids=lambda frame: frame.kind)
def test_any_question_gets_an_answer(question: Frame) -> None:
    """An offer that is no offer, or a sentence; and nothing is left behind."""

    async def story(it: Scene) -> Frame:
        return await it.mallory.call(it.sighting(0), question)

    reply = told(story)
    if reply.kind == Offer.kind:
        assert not unpack(Offer, reply.body).willing
    else:
        assert unpack(Declined, reply.body).reason


def test_one_host_cannot_take_every_seat() -> None:
    """Half of them at most; others are still served, and the device does its own jobs."""

    async def story(it: Scene) -> tuple[int, str, object, object]:
        answers = [await it.invite(0, session=new_session(MALLORY, bytes([n] * 8))) for n in range(40)]
        theirs = await it.city.submit(1, Job("echo", EchoSpec("hi")))
        ours = await it.city.submit(0, Job("echo", EchoSpec("hi")))
        return answers.count("yes"), answers[-1], len(theirs), len(ours)

    yes, no, theirs, ours = told(story)
    assert 16 == yes
    assert "16 of my seats" in no
    assert (2, 2) == (theirs, ours)


def test_many_hosts_leave_room_for_our_own_jobs() -> None:
    """A quarter of the seats is never lent."""

    async def story(it: Scene) -> tuple[int, object]:
        yes = 0
        for number in range(40):
            host = PeerId.of_key(b"host %d" % number)
            assert isinstance(it.city.streets, VirtualStreets)
            plan = Echo().plan(EchoSpec("ha"), [Candidate(host), Candidate(it.city.peers[0])])
            question = framed(Invite(session=new_session(host, bytes(8)), plan=encode_plan(plan)))
            reply = await it.city.streets.network.transport(host).call(it.sighting(0), question)
            yes += reply.kind == Accepted.kind
        return yes, await it.city.submit(0, Job("echo", EchoSpec("hi")))

    yes, words = told(story)
    assert 24 == yes
    assert 2 == len(words)


def test_nobody_names_a_session_for_another() -> None:
    """Whoever learns the name of a session early cannot take its seats."""

    async def story(it: Scene) -> list[str]:
        theirs = new_session(it.city.peers[1], bytes(8))
        return [await it.invite(0, session=session) for session in (theirs, "0" * 32, "", "../x", theirs.upper())]

    assert ["That session is not yours to name."] * 5 == told(story)


def test_nobody_starts_or_releases_what_another_planned() -> None:
    """Not even a member of that session."""

    async def story(it: Scene) -> list[str]:
        session = new_session(MALLORY, bytes(8))
        await it.invite(0, session=session, plan=it.plan(0, 1))
        other = it.city.streets
        assert isinstance(other, VirtualStreets)
        intruder = other.network.transport(it.city.peers[1])
        questions: list[Message] = [Start(session=session), Release(session=session, reason="ha")]
        replies = [await intruder.call(it.sighting(0), framed(question)) for question in questions]
        return [unpack(Declined, reply.body).reason for reply in replies]

    assert ["You did not invite me to that session."] * 2 == told(story)


def test_a_plan_is_its_hosts_own() -> None:
    """Its host is at rank 0, the one who is asked is in it, and it has a seat once."""

    async def story(it: Scene) -> list[str]:
        a, b = it.city.peers
        crews = [[a, MALLORY], [MALLORY, b], [a], [MALLORY]]
        plans = [Echo().plan(EchoSpec("ha"), [Candidate(peer) for peer in crew]) for crew in crews]
        said = [await it.invite(0, plan=plan) for plan in plans]
        return [*said, await it.invite(0), await it.invite(0)]

    said = told(story)
    assert ["That plan is not yours to offer me."] * 4 == said[:4]
    assert ["yes", "I have a seat in that session already."] == said[4:]


def test_starting_twice_changes_nothing() -> None:
    """The second time is declined."""

    async def story(it: Scene) -> list[str]:
        session = new_session(MALLORY, bytes(8))
        await it.invite(0, session=session)
        return [(await it.say(0, Start(session=session))).kind for _ in range(2)]

    assert [Began.kind, Declined.kind] == told(story)


def test_channels_that_nobody_waits_for_are_closed() -> None:
    """Of unknown sessions, of strangers to a session, and every second one."""

    async def story(it: Scene) -> list[bool]:
        session = new_session(MALLORY, bytes(8))
        await it.invite(0, session=session, plan=it.plan(0, 1))
        assert isinstance(it.city.streets, VirtualStreets)
        stranger = it.city.streets.network.transport(PeerId.of_key(b"stranger"))
        higher = it.city.streets.network.transport(it.city.peers[1])
        channels = [
            await it.mallory.dial(it.sighting(0), SessionId("0" * 32)),
            await stranger.dial(it.sighting(0), session),
            await higher.dial(it.sighting(0), session),
            await it.mallory.dial(it.sighting(0), session),
            await it.mallory.dial(it.sighting(0), session),
        ]
        await asyncio.sleep(1)
        return [await _is_open(channel) for channel in channels]

    assert [False, False, False, True, False] == told(story)


async def _is_open(channel: Any) -> bool:
    try:
        async with asyncio.timeout(0.5):
            await channel.receive()
    except TimeoutError:
        return True
    except MeshError:
        return False
    finally:
        await channel.aclose()
    return True


LIES: dict[str, list[Frame]] = {
    "nothing": [],
    "junk": [Frame((), Word.kind, b"\xc1")],
    "a stray word": [Frame((), "mesh.start", b"")],
    "blame for us": [framed(End(reason="you!", culprit="0"))],
    "a flood": [Frame((str(number),), Word.kind, bytes(2**20)) for number in range(300)],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_member_that_lies_in_a_session_ends_that_session_only(lie: str) -> None:
    """Whatever Mallory sends or leaves out, the seat is given up and the device goes on."""

    async def story(it: Scene) -> int:
        session = new_session(MALLORY, bytes(8))
        await it.invite(0, session=session)
        await it.say(0, Start(session=session))
        channel = await it.mallory.dial(it.sighting(0), session)
        async with channel:
            try:
                for frame in LIES[lie]:
                    await channel.send(frame)
            except MeshError:
                pass
            await asyncio.sleep(15)
        return len(await it.city.submit(0, Job("echo", EchoSpec("hi"))))

    assert 2 == told(story)


def _answering(replies: dict[str, Message | None]) -> Callable[[PeerId, Frame], Awaitable[Frame]]:
    async def answer(peer: PeerId, question: Frame) -> Frame:
        reply = replies.get(question.kind, Declined(reason="no"))
        if reply is None:
            await asyncio.sleep(1e9)
        if reply == _AGREE:
            return framed(Accepted(digest=plan_digest(unpack(Invite, question.body).plan)))
        return framed(reply or Began())

    return answer


_AGREE = Accepted(digest="")
WILLING = Offer(willing=True, owner="m", memory=2**40, speed=1e12)
TRICKS: dict[str, dict[str, Message | None]] = {
    "silent": {Ask.kind: None},
    "not a number": {Ask.kind: Offer(willing=True, owner="", memory=1, speed=float("nan"))},
    "infinitely fast": {Ask.kind: Offer(willing=True, owner="", memory=1, speed=float("inf"))},
    "no speed": {Ask.kind: Offer(willing=True, owner="", memory=1, speed=0.0)},
    "hardly any speed": {Ask.kind: Offer(willing=True, owner="", memory=1, speed=5e-324)},
    "backwards": {Ask.kind: Offer(willing=True, owner="", memory=1, speed=-1.0)},
    "negative memory": {Ask.kind: Offer(willing=True, owner="", memory=-1, speed=1.0)},
    "endless memory": {Ask.kind: Offer(willing=True, owner="", memory=2**63, speed=1.0)},
    "another answer": {Ask.kind: Began()},
    "willing, then silent": {Ask.kind: WILLING, Invite.kind: None},
    "willing, then not": {Ask.kind: WILLING},
    "yes to another plan": {Ask.kind: WILLING, Invite.kind: Accepted(digest="0" * 64)},
    "yes, but will not start": {Ask.kind: WILLING, Invite.kind: _AGREE},
    "yes, and never comes": {Ask.kind: WILLING, Invite.kind: _AGREE, Start.kind: Began()},
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_helper_that_plays_tricks_keeps_nobody_from_an_answer(trick: str) -> None:
    """A service finds other helpers, and answers."""

    async def story() -> list[int]:
        async with scene(3) as it:
            assert isinstance(it.city.streets, VirtualStreets)
            async with (
                it.mallory.serve(_answering(TRICKS[trick]), _hang_up) as addresses,
                _announced(it, addresses),
                it.city.serve(0, toy.job(60.0, parts=2, where="elsewhere")) as service,
            ):
                answers = [toy.value_of(a) async for a in service.stream(map(toy.request_of, range(5)))]
            assert [] == await it.city.wait_quiet(30)
            return answers

    assert [toy.expected(value) for value in range(5)] == run(story())


@asynccontextmanager
async def _announced(it: Scene, addresses: tuple[Address, ...]) -> AsyncIterator[None]:
    async with it.city.streets.discovery(0).announce(Sighting(MALLORY, addresses)):
        yield


async def _hang_up(session: SessionId, channel: object) -> None:
    return


def test_a_node_that_is_closed_in_the_midst_leaves_nothing() -> None:
    """Sessions end, whoever asked is told, and the others see a peer that left."""

    async def story() -> tuple[str, list[str]]:
        async with City(VIRTUAL, 3, toy.equip(5.0)) as city:
            async with asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(_outcome(city.submit(0, toy.job(60.0, where="elsewhere"))))
                await asyncio.sleep(3)
                assert 1 == len(city.nodes[0].sessions())
                await city.nodes[0].__aexit__(None, None, None)
            return asking.result(), await city.wait_quiet(30)

    assert ("SessionError", []) == run(story())


def test_a_closed_node_says_that_it_is_closed() -> None:
    """In our own words."""

    async def story() -> list[str]:
        async with City(VIRTUAL, 2, toy.equip(0.01)) as city:
            await city.nodes[0].__aexit__(None, None, None)
            return [await _outcome(city.submit(0, Job("echo", EchoSpec("hi")))) for _ in range(2)]

    assert ["SessionError"] * 2 == run(story())


async def _outcome(asking: Awaitable[Any]) -> str:
    try:
        await asking
    except (MeshError, PeerUnreachable, DeadlinePassed) as error:
        return type(error).__name__
    return "done"
