"""What left the devices, read from the transcript of everything that was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mesh import control
from mesh.group import Group
from mesh.ids import PeerId
from mesh.inbox import End
from mesh.messages import unpack
from mesh.protocol import Candidate, Device, Job, Plan
from mesh.wire import Frame, encode
from protocols.echo import Echo, EchoSpec, Nothing
from protocols.sharded.protocol import Sharded
from protocols.sharded.words import Activations, Answer
from scenarios.city import VIRTUAL, City, Equipment
from scenarios.city.virtual import VirtualStreets
from tests.harness import toy

CANARY = b"the canary that never leaves its cage"
CONTROL = {word.kind: word for word in (*control.VOCABULARY, End)}
WORDS = {word.kind: word for word in (*Echo.vocabulary, *Sharded.vocabulary)}
Sent = Sequence[tuple[PeerId, PeerId, Frame]]


def equip(device: int) -> Equipment:
    """Each device has data of its own that no protocol here is to send."""
    return replace(toy.equip(0.01)(device), inputs={"private": CANARY + b"%d" % device})


def transcript(job: Job, *, numbers: Sequence[int] = (), extra: Any = None) -> tuple[Sent, list[PeerId]]:
    """Everything that was said while a city of four did a job."""

    async def story() -> tuple[Sent, list[PeerId]]:
        async with City(VIRTUAL, 4, extra or equip) as city:
            assert isinstance(city.streets, VirtualStreets)
            if numbers:
                async with city.serve(0, job) as service:
                    async for _ in service.stream(map(toy.request_of, numbers)):
                        pass
            else:
                await city.submit(0, job)
            await city.wait_quiet(30)
            return city.streets.network.sent, city.peers

    return VIRTUAL.run(story())


ECHO = Job("echo", EchoSpec("hello"))
LINE = toy.job(parts=3, where="elsewhere")
JOBS = pytest.mark.parametrize(("job", "numbers"), [(ECHO, ()), (LINE, (1000003, 2000003))], ids=["echo", "sharded"])


@JOBS
def test_every_frame_is_a_declared_word(job: Job, numbers: Sequence[int]) -> None:
    """Of the protocol or of the control language; and it reads as what it says it is."""
    sent, _ = transcript(job, numbers=numbers)
    for _, _, frame in sent:
        word = CONTROL.get(frame.kind) or WORDS[frame.kind]
        assert word.kind in CONTROL or word.kind.startswith(f"{job.protocol}.")
        unpack(word, bytes(frame.body))


@JOBS
def test_a_devices_own_data_does_not_leave(job: Job, numbers: Sequence[int]) -> None:
    """No sixteen consecutive bytes of `Device.inputs` are in any frame."""
    sent, _ = transcript(job, numbers=numbers)
    pieces = {CANARY[start : start + 16] for start in range(len(CANARY) - 15)}
    for _, _, frame in sent:
        data = encode(frame)
        assert not any(piece in data for piece in pieces), frame.kind


def test_control_words_say_nothing_of_requests() -> None:
    """Whatever is asked of the model, the same is said before and around it."""

    def said(numbers: Sequence[int]) -> list[tuple[PeerId, PeerId, str, int]]:
        sent, _ = transcript(LINE, numbers=numbers)
        return sorted((a, b, frame.kind, len(frame.body)) for a, b, frame in sent if frame.kind in CONTROL)

    assert said((1, 2, 3)) == said((-(2**60), 2**60, 0))


def test_a_request_goes_to_the_first_part_only() -> None:
    """What was asked is in no frame but the one to the device that holds the first part."""
    number = 0x1122334455667788
    sent, peers = transcript(LINE, numbers=(number,))
    holders = [(a, b, frame.kind) for a, b, frame in sent if number.to_bytes(8, "little") in encode(frame)]
    assert [(peers[0], Activations.kind)] == [(a, kind) for a, _, kind in holders]


def test_an_answer_goes_to_whoever_asked_only() -> None:
    """From the device that holds the last part."""
    number = 12345
    sent, peers = transcript(LINE, numbers=(number,))
    answer = toy.expected(number).to_bytes(8, "little")
    holders = [(b, frame.kind) for _, b, frame in sent if answer in encode(frame)]
    assert [(peers[0], Answer.kind)] == holders


def test_a_session_is_closed_to_everyone_else() -> None:
    """A device that has no part hears of no plan, no word and no blob."""
    sent, peers = transcript(toy.job(parts=2, where="elsewhere"), numbers=(1, 2, 3))
    members = {peer for a, b, frame in sent if frame.kind in WORDS for peer in (a, b)}
    assert 3 == len(members)
    outsider = next(peer for peer in peers if peer not in members)
    heard = {frame.kind for a, b, frame in sent if outsider in (a, b)}
    assert heard <= {control.Ask.kind, control.Offer.kind}


class Clumsy(Echo):
    """A protocol with a bug that stumbles over private data at every rank but the first."""

    name = "echo"

    async def run(self, plan: Plan[EchoSpec, Nothing], group: Group, device: Device) -> tuple[str, ...] | None:
        if group.rank:
            raise ValueError(f"cannot read {device.inputs['private']!r}")
        return await super().run(plan, group, device)


def test_a_bugs_own_words_do_not_leave() -> None:
    """The others hear that there was a bug; what it stumbled over stays in the log of its device."""

    def clumsy(device: int) -> Equipment:
        return replace(equip(device), protocols=[Clumsy()])

    async def story() -> Sent:
        async with City(VIRTUAL, 2, clumsy) as city:
            assert isinstance(city.streets, VirtualStreets)
            with pytest.raises(Exception, match="bug of its own"):
                await city.submit(0, ECHO)
            await city.wait_quiet(30)
            return city.streets.network.sent

    sent = VIRTUAL.run(story())
    assert any(frame.kind == End.kind for _, _, frame in sent)
    assert not any(CANARY[:16] in encode(frame) for _, _, frame in sent)


def test_the_plan_names_who_takes_part_and_nothing_private() -> None:
    """It is the spec, the roster and the tasks."""
    crew = [Candidate(PeerId.of_key(b"%d" % number), owner="secret owner") for number in range(3)]
    assert b"secret owner" not in control.encode_plan(Echo().plan(EchoSpec("hi"), crew))
