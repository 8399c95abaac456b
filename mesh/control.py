"""What nodes say to each other before there is a group."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec

from mesh.contracts import Sighting, Transport
from mesh.errors import BadFrame, PeerDeclined, PeerMisbehaved, WireError
from mesh.messages import Message, canonical, from_canonical, message, pack, unpack
from mesh.protocol import Plan, Protocol
from mesh.store.catalogue import Port
from mesh.wire import Frame

__all__ = [
    "Accepted",
    "Ask",
    "Began",
    "Browse",
    "Chunk",
    "Declined",
    "Describe",
    "Described",
    "Forget",
    "Forgotten",
    "Invite",
    "MOST_RANKS",
    "Offer",
    "Outcast",
    "Release",
    "Released",
    "Shown",
    "Specimen",
    "Start",
    "VOCABULARY",
    "Want",
    "ask",
    "decode_plan",
    "encode_plan",
    "framed",
    "plan_digest",
    "protocol_of",
]

M = TypeVar("M", bound=Message)

MOST_RANKS = 256
"""Members of one session at most: each costs every other one a channel."""


@message("mesh.ask", reveals="that we look for helpers with this protocol")
class Ask(Message, frozen=True):
    """Would you help with this?"""

    protocol: str


@message("mesh.offer", reveals="what the device could lend, and whose it says it is")
class Offer(Message, frozen=True):
    """What I could lend. Memory in bytes, speed in multiply-adds per second."""

    willing: bool
    owner: str
    memory: int
    speed: float


@message("mesh.invite", reveals="the whole plan, to those in it")
class Invite(Message, frozen=True):
    """Will you take your part in this plan, and hold a seat for this session?"""

    session: str
    plan: bytes


@message("mesh.accepted", reveals="that this device takes part")
class Accepted(Message, frozen=True):
    """Yes, to exactly the plan of this SHA-256."""

    digest: str


@message("mesh.declined", reveals="the reason given")
class Declined(Message, frozen=True):
    """No, and a sentence for a person."""

    reason: str


@message("mesh.start", reveals="nothing")
class Start(Message, frozen=True):
    """Everyone has said yes: open your channels."""

    session: str


@message("mesh.began", reveals="nothing")
class Began(Message, frozen=True):
    """I am opening them."""


@message("mesh.release", reveals="that the session will not be, and why")
class Release(Message, frozen=True):
    """Give up the seat that you held for us."""

    session: str
    reason: str


@message("mesh.released", reveals="nothing")
class Released(Message, frozen=True):
    """It is free again."""


@message("mesh.outcasts", reveals="which devices are out for good, as the authority has signed it")
class Outcast(Message, frozen=True):
    """These are the lists that I have; tell me if yours are newer."""

    lists: tuple[bytes, ...]


@message("mesh.want", reveals="that we need this blob")
class Want(Message, frozen=True):
    """Send me one chunk of the blob with this SHA-256."""

    digest: str
    index: int


@message("mesh.chunk", reveals="one chunk of a blob, to a member of the mesh who knows its SHA-256")
class Chunk(Message, frozen=True):
    """Here it is."""

    data: memoryview


@message("mesh.browse", reveals="that we look for models that others lend")
class Browse(Message, frozen=True):
    """Which of your models may I have computed?"""


class Specimen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that its owner lends: what it is called there, what runs it, and what goes in and comes out."""

    name: str
    protocol: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


@message("mesh.shown", reveals="names and shapes of the models that whoever asked may have computed")
class Shown(Message, frozen=True):
    """These."""

    models: tuple[Specimen, ...]


@message("mesh.describe", reveals="which model we want to have computed")
class Describe(Message, frozen=True):
    """Tell me all of that model that is no secret."""

    name: str


@message("mesh.described", reveals="a model's operators and shapes, without weights or a name to fetch them by")
class Described(Message, frozen=True):
    """Its manifest, in canonical form, as far as others are told."""

    manifest: bytes


@message("mesh.forget", reveals="what we call something that was kept for us")
class Forget(Message, frozen=True):
    """Delete what you keep for me under that name."""

    name: str


@message("mesh.forgotten", reveals="how many things were deleted")
class Forgotten(Message, frozen=True):
    """So many are gone."""

    count: int


VOCABULARY: tuple[type[Message], ...] = (
    Ask,
    Offer,
    Invite,
    Accepted,
    Declined,
    Start,
    Began,
    Release,
    Released,
    Outcast,
    Want,
    Chunk,
    Browse,
    Shown,
    Describe,
    Described,
    Forget,
    Forgotten,
)
"""Every word of the control language: what any member of the mesh may hear from us outside a session."""


def framed(message: Message) -> Frame:
    """A control message as a frame."""
    return Frame((), message.kind, pack(message))


async def ask(transport: Transport, to: Sighting, question: Message, expected: type[M]) -> M:
    """Put one question to one peer.

    Raises:
        PeerDeclined: it said no; `.reason` is its sentence.
        PeerMisbehaved: it answered something else.
        PeerUnreachable, IdentityError: as `Transport.call`.
    """
    try:
        reply = await transport.call(to, framed(question))
        if reply.kind == Declined.kind:
            raise PeerDeclined(to.peer, unpack(Declined, reply.body).reason)
        if reply.kind == expected.kind:
            return unpack(expected, reply.body)
    except WireError as error:
        raise PeerMisbehaved(to.peer, str(error)) from error
    raise PeerMisbehaved(to.peer, f"It answered {reply.kind[:80]!r} to {question.kind!r}.")


def encode_plan(plan: Plan[Any, Any]) -> bytes:
    """A plan in canonical form: equal plans give equal bytes."""
    return canonical(plan)


class _Named(msgspec.Struct):
    protocol: str


def protocol_of(data: bytes) -> str:
    """Which protocol an encoded plan is for. Raises BadFrame."""
    try:
        return msgspec.json.decode(data, type=_Named).protocol
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"not a plan: {error}") from error


def decode_plan(protocol: Protocol[Any, Any, Any], data: bytes) -> Plan[Any, Any]:
    """The plan back, typed by its protocol.

    Raises:
        BadFrame: it is not one, or not in canonical form, or names a peer twice or too many of them.
    """
    shape = Plan[protocol.spec, protocol.task]  # type: ignore[name-defined]
    plan: Plan[Any, Any] = from_canonical(shape, data)
    if not plan.stages or len(set(plan.roster)) != len(plan.stages):
        raise BadFrame("not a plan: every rank takes one peer, and every peer one rank")
    if len(plan.stages) > MOST_RANKS:
        raise BadFrame(f"a plan of {len(plan.stages)} ranks; at most {MOST_RANKS} are taken")
    return plan


def plan_digest(data: bytes) -> str:
    """SHA-256 of an encoded plan: what a rank says yes to."""
    return hashlib.sha256(data).hexdigest()
