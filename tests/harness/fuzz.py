"""Bytes as an enemy would send them: genuine ones, changed a little, and what becomes of reading them."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mesh import control
from mesh.errors import MeshError
from mesh.ids import PeerId, Rank
from mesh.inbox import End
from mesh.messages import Message, pack, unpack
from mesh.protocol import Candidate, Plan
from mesh.tensors import Tensor
from mesh.wire import Frame, decode, encode
from protocols.echo import Echo, EchoSpec, Word
from protocols.sharded.protocol import Sharded
from protocols.sharded.words import VOCABULARY, Activations, Answer, Finish, Passed, Ready, Refusal
from tests.harness import toy

__all__ = ["READERS", "Outcome", "Reader", "read_all"]

_LONG = [
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\x91" * 999,
]
_ODD = [b"null", b"1e999", b"-1", b"9" * 40, b'"\\ud800"', b"[[[[", b"{}", b"\xff\xfe", b"\0"]


@dataclass(frozen=True, slots=True)
class Reader:
    """One way in, and genuine bytes for it."""

    read: Callable[[bytes], object]
    genuine: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a flood of bytes has cost.

    Attributes:
        taken, refused: how many were read, and how many refused with a MeshError.
        slowest: seconds of processor time for the worst of them.
        growth: bytes by which the process is larger than before.
    """

    taken: int
    refused: int
    slowest: float
    growth: int


def read_all(reader: Reader, count: int, seed: int) -> Outcome:
    """Read `count` mutations. Any error that is not a MeshError comes out."""
    taken, refused, slowest, before = 0, 0, 0.0, _peak()
    for data in _mutations(reader.genuine, count, random.Random(seed)):
        began = time.process_time()
        try:
            reader.read(data)
            taken += 1
        except MeshError:
            refused += 1
        slowest = max(slowest, time.process_time() - began)
    return Outcome(taken, refused, slowest, _peak() - before)


def _mutations(genuine: Sequence[bytes], count: int, chance: random.Random) -> Iterator[bytes]:
    for _ in range(count):
        data = bytearray(chance.choice(genuine))
        for _ in range(chance.randint(1, 4)):
            _mutate(data, chance, genuine)
        yield bytes(data)


def _mutate(data: bytearray, chance: random.Random, genuine: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 16)))
    match chance.randrange(8):
        case 0:
            data[at:end] = chance.randbytes(end - at)
        case 1:
            del data[at:end]
        case 2:
            data[at:at] = chance.randbytes(chance.randint(1, 8))
        case 3:
            del data[at:]
        case 4:
            data[at:end] = chance.choice(_LONG)
        case 5:
            data[at:end] = chance.choice(_ODD)
        case 6:
            other = chance.choice(genuine)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        case _:
            for place in range(at, end):
                data[place] ^= 1 << chance.randrange(8)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _plans() -> tuple[list[Plan[object, object]], list[Plan[object, object]]]:
    crew = [Candidate(PeerId.of_key(bytes([number])), memory=10**6, speed=1e6) for number in range(4)]
    return [Echo().plan(EchoSpec("hi"), crew)], [_SHARDED.plan(toy.spec(parts=parts), crew) for parts in (0, 1, 3)]


async def _unused(*_: object) -> float:
    return 1.0


_SHARDED = Sharded(_unused, _unused, memory=10**6)  # type: ignore[arg-type]
_TENSOR = Tensor(dtype="int64", shape=(2,), data=memoryview(bytes(16)))
_MESSAGES: list[Message] = [
    Word(text="hello"),
    Ready(seconds=0.5),
    Activations(seq=3, tensors={"v0": _TENSOR, "v1": _TENSOR}),
    Passed(seq=3, seconds=0.5),
    Answer(seq=3, seconds=0.5, tensors={"v6": _TENSOR}),
    Refusal(seq=3, reason="no"),
    Finish(),
    End(reason="done", culprit=PeerId.of_key(b"x")),
    control.Ask(protocol="echo"),
    control.Offer(willing=True, owner="me", memory=5, speed=1.0),
    control.Invite(session="0" * 32, plan=b"{}"),
    control.Want(digest="0" * 64, index=0),
    control.Chunk(data=memoryview(b"some bytes")),
]
_CLASSES = (Word, End, *VOCABULARY, *control.VOCABULARY)


def _read_message(data: bytes) -> object:
    # Whoever receives names the class: the first byte chooses here who that is.
    return unpack(_CLASSES[data[0] % len(_CLASSES)], data[1:]) if data else None


def _read_frame(data: bytes) -> object:
    frame = decode(data)
    return encode(replace(frame, body=bytes(frame.body))) == data


def _read_plan(data: bytes) -> object:
    name = control.protocol_of(data)
    if name == "echo":
        return control.decode_plan(Echo(), data)
    plan = control.decode_plan(_SHARDED, data)
    return [_SHARDED.consent(plan, Rank(rank)) for rank in range(len(plan.stages))]


def _messages() -> list[bytes]:
    return [bytes([_CLASSES.index(type(message))]) + pack(message) for message in _MESSAGES]


def _frames() -> list[bytes]:
    return [encode(Frame(("round", "3")[: len(m.kind) % 3], m.kind, pack(m))) for m in _MESSAGES]


READERS = {
    "frames": Reader(_read_frame, _frames()),
    "messages": Reader(_read_message, _messages()),
    "plans": Reader(_read_plan, [control.encode_plan(plan) for plans in _plans() for plan in plans]),
}
"""Every way in for bytes that a peer chooses."""
