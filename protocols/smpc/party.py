"""One of the three that compute: it meets the two others, takes shares in, has its box work, and tells the receivers.

What is told apart: the model comes from its lender, the inputs from the device that asks, and answers go to receivers
alone, or stay here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from mesh.errors import BadInput, Misuse, PeerMisbehaved, SessionError, StoreError
from mesh.protocol import Device
from protocols.smpc.aside import aside
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import MODEL, WORD, total
from protocols.smpc.handing import taken_pieces, taken_seeds
from protocols.smpc.keeping import KeptShares, Shares, held_port, name_of
from protocols.smpc.meeting import Meeting, Trio
from protocols.smpc.orders import Answer, Compute, Done, Hold, Join, Open, Opened, Order, Take
from protocols.smpc.roles import ASKER, Roles
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import Finish, Ready, Result, Spent, Use

__all__ = ["Asked", "Circles", "Member"]

A = TypeVar("A", bound=msgspec.Struct)


class Asked(Protocol):
    """What a member needs of its box: see `protocols.runtimes.box.Box`."""

    async def ask(self, question: Order, kind: type[A]) -> A:
        """What the box answers."""


@dataclass(frozen=True, slots=True)
class Circles:
    """The session's group in its three scopes.

    Attributes:
        main: the asking device and the three, and the three among themselves.
        lending: the model's owner and the three.
        results: the three and the receivers.
    """

    main: Circle
    lending: Circle
    results: Circle


class Member:
    """This rank's work as one of three.

    Args:
        box: open; it is not closed here.
        shares: what is kept here for the device that asks; None keeps nothing.
    """

    def __init__(
        self, circles: Circles, spec: PrivateSpec, roles: Roles, *, box: Asked, device: Device, shares: Shares | None
    ) -> None:
        if device.boxes is None:
            raise SessionError("This device lends no boxes.")
        self._circles = circles
        self._spec = spec
        self._roles = roles
        self._box = box
        self._shares = shares
        self._boxes = device.boxes
        self._meeting = Meeting(circles.main, roles.parties, device.boxes, device.entropy)
        self._session = ""

    async def work(self) -> None:
        """From the first key to the last answer.

        Raises:
            PeerLost: the asking device, the lender or another party is gone, whatever we are doing meanwhile.
            PeerMisbehaved: it sent what it should not.
            SessionError: the box died.
        """
        circle, fellows = self._circles.main, self._meeting.fellows
        async with asyncio.TaskGroup() as tasks:
            watch = [tasks.create_task(circle.receive(rank, Finish)) for rank in fellows]
            main = tasks.create_task(self._compute_all())
            await circle.receive(ASKER, Finish)
            for task in (main, *watch):
                task.cancel()
        await circle.part(fellows)

    async def _compute_all(self) -> None:
        began = asyncio.get_running_loop().time()
        trio = await self._joined()
        self._session = trio.session
        await self._take_model()
        kept = {name: self._listing(name) for name in map(name_of, self._spec.held.values())}
        seconds = asyncio.get_running_loop().time() - began
        await self._circles.main.send(ASKER, Ready(seconds=seconds, session=trio.session, kept=kept))
        while True:
            seq = await self._take_request()
            answer = await self._box.ask(Order(Compute(seq, self._spec.keeps)), Answer)
            await self._tell(seq, answer)

    async def _joined(self) -> Trio:
        spec, number = self._spec, self._meeting.number
        door = Open(str(self._boxes.identity), self._boxes.listen, self._boxes.ports)
        opened = await self._box.ask(Order(door), Opened)
        # Half the patience, so that a silent party is named before all of us are given up.
        trio = await self._meeting.meet(opened.port, within=spec.setup, patience=spec.patience / 2)
        seeds = (
            await taken_seeds(self._circles.main, ASKER, number),
            await taken_seeds(self._circles.lending, self._roles.lender, number),
        )
        secret = (spec.hides_input, spec.hides_model)
        held = tuple(sorted(spec.held))
        join = Join(trio, spec.program, spec.fraction, secret, seeds, held, checked=spec.abort == "yes")
        await self._box.ask(Order(join), Done)
        return trio

    async def _take_model(self) -> None:
        count, secret = total(self._spec.program.weights), self._spec.hides_model
        source = taken_pieces(self._circles.lending, self._roles.lender, MODEL, count, secret=secret, acknowledged=True)
        async for piece, numbers in source:
            await self._box.ask(Order(Take(MODEL, numbers, bytes(piece.words))), Done)

    async def _take_request(self) -> int:
        """Hand the next request to the box. Its number."""
        spec, circle, seq = self._spec, self._circles.main, None
        if spec.held:
            use = await circle.receive(ASKER, Use)
            seq = use.batch
            if use.numbers.keys() != spec.held.keys():
                raise PeerMisbehaved(circle.peer(ASKER), "It goes on with other answers than the plan says.")
            for port, number in sorted(use.numbers.items()):
                await self._hold(seq, port, number)
        async for piece, numbers in taken_pieces(circle, ASKER, seq, total(spec.dealt), secret=spec.hides_input):
            seq = piece.batch
            if seq < 0:
                raise PeerMisbehaved(circle.peer(ASKER), f"It sent request {seq}, which is none.")
            await self._box.ask(Order(Take(seq, numbers, bytes(piece.words))), Done)
        if seq is None:
            raise Misuse("a program without inputs waits for none")
        return seq

    async def _hold(self, seq: int, port: str, number: int) -> None:
        word = self._spec.held[port]
        kept = await aside(total(self._spec.program.inputs), self._kept, word, number)
        await self._box.ask(Order(Hold(seq, port, kept.fraction, kept.first, kept.second)), Done)

    def _kept(self, word: str, number: int) -> KeptShares:
        """The shares of one output of a kept answer."""
        if self._shares is None:
            raise SessionError("This device keeps nothing.")
        kept = self._shares.read(name_of(word), number)
        if kept.party != self._meeting.number:
            raise SessionError(f"What is kept here as {name_of(word)!r} is the part of another of the three.")
        try:
            port, start = held_port(word, kept.outputs), 0
        except BadInput as error:
            raise SessionError(str(error)) from error
        for other in kept.outputs:
            if other.name == port.name:
                break
            start += other.tensor.size * WORD
        place = slice(start, start + port.tensor.size * WORD)
        return msgspec.structs.replace(kept, outputs=(port,), first=kept.first[place], second=kept.second[place])

    async def _tell(self, seq: int, answer: Answer) -> None:
        if self._spec.keeps:
            await aside(total(self._spec.program.outputs), self._keep, seq, answer)
        result = Result(seq=seq, words=memoryview(answer.words), check=answer.check)
        for rank in self._roles.receivers:
            await self._circles.results.send(rank, result)
        spent = Spent(seq=seq, seconds=answer.seconds, sent=answer.sent, rounds=answer.rounds)
        await self._circles.main.send(ASKER, spent)

    def _keep(self, seq: int, answer: Answer) -> None:
        spec = self._spec
        if self._shares is None:
            raise StoreError("This device keeps nothing.")
        outputs = spec.program.outputs
        kept = KeptShares(self._meeting.number, spec.fraction, outputs, answer.words, answer.second)
        self._shares.keep(spec.name, seq, self._session, kept, spec.keep)

    def _listing(self, name: str) -> dict[int, str]:
        return self._shares.listing(name) if self._shares is not None else {}
