"""What is said through the control door, on either side of it. No sockets.

Queries are HTTP with JSON. A stream is one WebSocket at /v1/services, in this order:

    client   Open                                        text
    node     Opened, or Failed                           text
    client   Parcel(seq, inputs), as many as it likes    binary, MessagePack
    node     Parcel(seq, answer) or Refused(seq)         binary or text; one for each, in any order
    node     PlanUp, PlanLost, Progress, at any time     text
    client   Finish                                      text
    node     Closed, after the last answer               text

The node reads no further ahead than the backlog agreed on, so whoever sends faster waits in `send`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

import mesh.errors
from mesh.browsing import Lent
from mesh.contracts import Traffic
from mesh.errors import Busy, MeshError, Misuse, PeerError
from mesh.ids import PeerId
from mesh.node import SessionView
from mesh.service import Statistics
from mesh.store.catalogue import Manifest, Port
from mesh.tensors import Tensors

__all__ = [
    "Closed",
    "Event",
    "Failed",
    "Fault",
    "Finish",
    "JobOrder",
    "ModelView",
    "Open",
    "Opened",
    "Parcel",
    "PeerView",
    "PlanLost",
    "PlanUp",
    "PlanView",
    "Progress",
    "Refused",
    "StageView",
    "Status",
    "decode",
    "encode",
    "plain",
    "typed",
]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `mesh status` shows.

    Attributes:
        addresses: where the node listens.
        expires: when its certificate ends, ISO 8601 in UTC.
        protocols: those that it takes part in.
        missing: those that are installed and did not load, and why.
        in_sight: how many peers it has heard of.
        view: digest of who it believes to be present; nodes with one view have equal ones.
        present: how many that are, itself included.
        renews: whether its certificate is renewed by itself.
        uptime: seconds since it started.
        available: bytes that it would lend now.
        cpu: seconds of all cores that its process has used.
        resident: bytes of memory that its process takes.
        seats: sessions that it may take part in at once.
        traffic: bytes exchanged with each peer so far.
    """

    peer: PeerId
    mesh: str
    owner: str
    version: str
    pid: int
    addresses: tuple[str, ...]
    expires: str
    protocols: tuple[str, ...]
    missing: dict[str, str]
    models: tuple[str, ...]
    in_sight: int
    view: str
    present: int
    renews: bool
    uptime: float
    available: int
    cpu: float
    resident: int
    seats: int
    sessions: tuple[SessionView, ...]
    channels: int
    traffic: dict[PeerId, Traffic]


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """What `mesh peers` shows of one peer.

    Attributes:
        state: "ready"; "declined", it said no; "silent", it did not answer; "stranger", somebody else did; "gone", and
            nobody asked it.
        alive: what this node's view says: "alive", "suspect", "dead", "left"; "" for one that is not in it yet.
        since: seconds for which it has said so.
        reason: why it is not ready, as a sentence.
        seconds: from question to answer.
        owner, memory: as it says; memory in bytes that it would lend.
        speeds: multiply-adds per second at each protocol that it would run.
    """

    peer: PeerId
    addresses: tuple[str, ...]
    state: str
    alive: str = ""
    since: float = 0.0
    reason: str = ""
    seconds: float = 0.0
    owner: str = ""
    memory: int = 0
    speeds: dict[str, float] = {}


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """What `mesh models` shows of one model.

    Attributes:
        source: SHA-256 of the file that was added.
        size: bytes of all that it was made into.
        blobs: how many pieces that are.
        at: the device that lends it, if it is another one's. Then nothing is told of what it is made of.
    """

    name: str
    protocol: str
    source: str
    size: int
    blobs: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    at: str = ""

    @classmethod
    def lent(cls, lent: Lent) -> ModelView:
        """A model of another device's."""
        model = lent.model
        return cls(
            name=model.name,
            protocol=model.protocol,
            source="",
            size=0,
            blobs=0,
            inputs=model.inputs,
            outputs=model.outputs,
            at=lent.peer,
        )

    @classmethod
    def of(cls, manifest: Manifest) -> ModelView:
        """The gist of a manifest."""
        return cls(
            name=manifest.name,
            protocol=manifest.protocol,
            source=manifest.source.digest,
            size=sum(ref.size for ref in manifest.blobs),
            blobs=len(manifest.blobs),
            inputs=manifest.inputs,
            outputs=manifest.outputs,
        )


class StageView(msgspec.Struct, frozen=True):
    """One rank of a plan. `task` has the fields of the protocol's task."""

    peer: PeerId
    role: str
    task: dict[str, Any]


class PlanView(msgspec.Struct, frozen=True):
    """Who does what, in rank order."""

    protocol: str
    quorum: int
    stages: tuple[StageView, ...]


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """A MeshError on its way through the door.

    Attributes:
        error: name of its class.
        retry: whether the same again may succeed.
        peer, reason: of a PeerError.
        after: of Busy.
    """

    error: str
    message: str
    retry: bool = False
    peer: str = ""
    reason: str = ""
    after: float = 0.0

    @classmethod
    def of(cls, error: MeshError) -> Fault:
        """What can be told of an error."""
        fault = cls(type(error).__name__, str(error), error.retry)
        if isinstance(error, PeerError):
            return msgspec.structs.replace(fault, peer=str(error.peer), reason=error.reason)
        if isinstance(error, Busy):
            return msgspec.structs.replace(fault, after=error.after)
        return fault

    def raised(self) -> MeshError:
        """The same error on this side; a plain MeshError where this side does not know its class."""
        kind = getattr(mesh.errors, self.error, MeshError)
        if not (isinstance(kind, type) and issubclass(kind, MeshError)):
            return MeshError(self.message)
        if issubclass(kind, PeerError):
            return kind(self.peer, self.reason)
        return Busy(self.message, self.after) if issubclass(kind, Busy) else kind(self.message)


class JobOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is done once. `spec` has the fields of the protocol's spec; deadline in seconds."""

    protocol: str
    spec: dict[str, Any] = {}
    deadline: float = 60.0


class Open(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """Serve a model to me.

    Attributes:
        model: its name here.
        options: fields of its protocol's spec, over those that the model decides.
        deadline: seconds from request to answer.
        backlog: requests under way at once.
        progress: whether `Progress` is wanted; what it says, and how often, is the protocol's affair.
    """

    model: str
    options: dict[str, Any] = {}
    deadline: float = 60.0
    backlog: int = 16
    progress: bool = False


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """No more requests will come."""


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """A session is up: send. Nothing is answered that was sent before."""


class PlanUp(msgspec.Struct, frozen=True, tag="up"):
    """A session is agreed on."""

    plan: PlanView


class PlanLost(msgspec.Struct, frozen=True, tag="lost"):
    """The session is lost; so many requests will be asked again of the next one."""

    fault: Fault
    replayed: int


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """Something that the protocol at rank 0, or the recruiting, reports: the name of its class, and its fields."""

    what: str
    fields: dict[str, Any]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Request `seq` gets no answer."""

    seq: int
    fault: Fault


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The service cannot be, or go on."""

    fault: Fault


class Closed(msgspec.Struct, frozen=True, tag="closed"):
    """Everything is answered, and the service is over."""

    statistics: Statistics


Event = Opened | PlanUp | PlanLost | Progress | Refused | Failed | Closed
"""What the node says on a stream besides answers."""


class Parcel(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Tensors on a stream, and which request they belong to. The client numbers its requests as it likes."""

    seq: int
    tensors: Tensors


def encode(value: object) -> bytes:
    """Anything above as JSON. Raises Misuse where it holds what has no form in JSON."""
    try:
        return msgspec.json.encode(value, enc_hook=_plain)
    except (TypeError, OverflowError) as error:
        raise Misuse(f"{type(value).__name__} cannot go through the control door: {error}") from error


def decode(data: bytes | str, kind: Any) -> Any:
    """JSON as `kind`.

    Raises:
        msgspec.DecodeError: it is none, or does not fit; the message names the field.
    """
    return msgspec.json.decode(data, type=kind, dec_hook=typed)


def plain(value: object) -> Mapping[str, Any]:
    """A dataclass, struct or error as plain fields."""
    if isinstance(value, MeshError):
        value = Fault.of(value)
    built = msgspec.to_builtins(value, enc_hook=_plain)
    return built if isinstance(built, dict) else {"value": built}


def typed(kind: type, value: Any) -> Any:
    """For msgspec: our own types from plain ones."""
    if kind is PeerId and isinstance(value, str):
        return PeerId.parse(value)
    raise NotImplementedError(f"{kind.__name__} has no form in JSON")


def _plain(value: object) -> object:
    if isinstance(value, PeerId):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not plain data")
