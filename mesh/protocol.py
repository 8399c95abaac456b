"""What a protocol is: a pure plan, a consent, and one coroutine run at every rank.

    plan     where the job was asked for   (spec, candidates) -> Plan          pure
    consent  at every rank                 (plan, rank) -> None, or why not    pure
    run      at every rank                 the whole job, start to end

A new protocol is one file: its messages, and one subclass of `Protocol`.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from mesh.blobs import BlobRef
from mesh.errors import BadInput, MeshError, StoreError
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.messages import Message
from mesh.tensors import Tensors

__all__ = [
    "ANYONE", "Blobs", "Boxes", "Candidate", "Device", "Feed", "Job", "Means", "NoBlobs", "Permits", "Plan", "Protocol",
    "Request", "Sealed", "Stage", "Vault",
]  # fmt: skip

Spec = TypeVar("Spec")
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer that might take part, and what it offers.

    Attributes:
        owner: who runs the device. Two devices of one owner count as colluding.
        memory: bytes free for this job.
        speed: multiply-adds per second, as the device measured itself at this protocol's work.
    """

    peer: PeerId
    owner: str = ""
    memory: int = 0
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Stage(Generic[Task]):
    """One rank's part of a plan."""

    peer: PeerId
    role: str
    task: Task


@dataclass(frozen=True, slots=True)
class Plan(Generic[Spec, Task]):
    """Who does what. Every rank has read it, and said yes to exactly these bytes.

    Attributes:
        stages: one per rank; rank 0 is the device that was asked.
        quorum: fewest ranks with which the job can still end well.
    """

    protocol: str
    spec: Spec
    stages: tuple[Stage[Task], ...]
    quorum: int

    @property
    def roster(self) -> tuple[PeerId, ...]:
        """Every member's id, in rank order."""
        return tuple(stage.peer for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Job:
    """What a person asks for.

    Attributes:
        spec: an instance of the protocol's `spec` class.
        deadline: seconds from submission to result; in a service, from request to answer.
    """

    protocol: str
    spec: Any
    deadline: float = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One of the many things asked of a service.

    Attributes:
        seq: its number, counted from 0; stays the same when a lost session is replaced.
    """

    seq: int
    payload: Tensors


class Feed(ABC):
    """Where rank 0 of a service takes requests from, and puts the answers."""

    @abstractmethod
    async def take(self) -> Request | None:
        """The next request, in order; None when no more will come. Cancelled, it loses nothing."""

    @abstractmethod
    def answer(self, seq: int, payload: Tensors) -> None:
        """Answer a request that was taken. The first answer counts, and any later one is dropped."""

    @abstractmethod
    def refuse(self, seq: int, error: MeshError) -> None:
        """This request cannot be answered, and it is the request's own fault. The service goes on."""


class Blobs(ABC):
    """The device's store, as far as a protocol may reach into it."""

    @abstractmethod
    async def bring(self, ref: BlobRef, source: PeerId) -> bytes:
        """The blob, from our own store, or else from `source`; then it is kept.

        Raises:
            PeerError: `source` does not have it, or sent something else.
            StoreError: there is no room for it.
        """


class NoBlobs(Blobs):
    """The store of a device that keeps nothing."""

    async def bring(self, ref: BlobRef, source: PeerId) -> bytes:
        raise StoreError("This device has no store.")


class _NoFeed(Feed):
    async def take(self) -> Request | None:
        return None

    def answer(self, seq: int, payload: Tensors) -> None: ...

    def refuse(self, seq: int, error: MeshError) -> None: ...


@dataclass(frozen=True, slots=True)
class Boxes:
    """What a session's child process needs to speak for this device, over channels of its own.

    Attributes:
        identity: folder with this device's key and certificates; the child reads them itself.
        listen: literal address at which it may listen.
        hosts: where a peer may be reached, to be tried in turn; raises PeerUnreachable if it is not in sight.
        ports: the first and the last at which it may listen; 0 and 0 for any that is free.
    """

    identity: Path
    listen: str
    hosts: Callable[[PeerId], tuple[str, ...]]
    ports: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Device:
    """What this device lends to a protocol, which reaches for nothing else.

    Attributes:
        inputs: this device's own data, by name. It never leaves as it is.
        entropy: n -> n random bytes, fit for keys; seeded in tests.
        report: takes progress events, for people.
        feed: at rank 0 of a service, its requests; elsewhere it has none.
        blobs: models and parts of them.
        boxes: for sessions that compute in a child process with channels of its own; None where that is not lent.
        asked: at rank 0, the job's spec as it was handed in. Its plan may say less, as everyone invited reads that.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    entropy: Callable[[int], bytes] = secrets.token_bytes
    report: Callable[[object], None] = lambda _event: None
    feed: Feed = field(default_factory=_NoFeed)
    blobs: Blobs = field(default_factory=NoBlobs)
    boxes: Boxes | None = None
    asked: Any = None


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a vault tells of one thing that it keeps.

    Attributes:
        owner: whose it is: the peer for which it is kept, or from which it came.
        name: parts joined by slashes.
        size: bytes.
        expires: seconds since the epoch.
    """

    owner: PeerId
    name: str
    size: int
    expires: float


class Vault(ABC):
    """What this device keeps for a time so that only it can read it: shares, answers, checkpoints of either.

    Methods block, for as long as a disk takes.
    """

    @abstractmethod
    def put(self, owner: PeerId, name: str, data: bytes, *, seconds: float) -> None:
        """Keep this for so long, in place of whatever `owner` has here under that name.

        Raises:
            StoreError: there is no room, or the owner has more here than one peer may have.
        """

    @abstractmethod
    def read(self, owner: PeerId, name: str) -> bytes:
        """It back. Raises StoreError: it is not here, or no longer, or damaged."""

    @abstractmethod
    def listing(self, prefix: str = "", owner: PeerId | None = None) -> list[Sealed]:
        """What is kept under names that are `prefix` or begin with it and a slash, in order; what is over is not."""

    @abstractmethod
    def remove(self, owner: PeerId, prefix: str) -> int:
        """Delete what `owner` has here under `prefix`, as in `listing`; how many things that were."""


ANYONE = "anyone"
"""In place of a peer's id, in what a person permits: whoever is of the mesh."""


@dataclass(frozen=True, slots=True)
class Permits:
    """What the person whose device this is has agreed to beforehand.

    Attributes:
        offers: (name of a model, who may have it computed) pairs; a name of "*" is every model.
        receives: from whom results are taken.
        parties: who may hold shares of what is ours; nobody named: any who are of different owners.
        trains: (name of a table, who may have models trained on shares of it) pairs; a name of "*" is every table.
        losses: names of the tables of which a loss may be told on the way to whoever trains.
    """

    offers: tuple[tuple[str, str], ...] = ()
    receives: tuple[str, ...] = ()
    parties: tuple[str, ...] = ()
    trains: tuple[tuple[str, str], ...] = ()
    losses: tuple[str, ...] = ()

    def offers_to(self, name: str, peer: PeerId) -> bool:
        """Whether `peer` may have this model computed."""
        return any(model in (name, "*") and who in (peer, ANYONE) for model, who in self.offers)

    def trains_for(self, table: str, peer: PeerId) -> bool:
        """Whether `peer` may have a model trained on shares of this table, and be told the model."""
        return any(name in (table, "*") and who in (peer, ANYONE) for name, who in self.trains)

    def tells_losses(self, table: str) -> bool:
        """Whether losses of training on this table may be told."""
        return table in self.losses or "*" in self.losses

    def receives_from(self, peer: PeerId) -> bool:
        """Whether results may come from jobs of `peer`."""
        return any(who in (peer, ANYONE) for who in self.receives)

    def entrusts(self, peer: PeerId) -> bool:
        """Whether `peer` may hold shares of what is ours."""
        return not self.parties or any(who in (peer, ANYONE) for who in self.parties)


def _no_model(name: str) -> Mapping[str, Any]:
    raise BadInput(f"This device keeps no model {name[:80]!r}.")


@dataclass(frozen=True, slots=True)
class Means:
    """What a protocol may use of this device; given to its factory, the entry point in `mesh.protocols`.

    Attributes:
        threads: that one computation may use.
        memory: bytes that one session's part may take; 0 sets no limit.
        owner: whose this device is, as it tells others; "" if it does not.
        permits: what its person has agreed to.
        model: name -> fields of the spec which a model that is kept here decides; raises BadInput where there is none.
        vault: where things are kept for a time; None keeps nothing.
        tables: files of this device's own data, by name. They never leave it but as shares.
    """

    threads: int = 1
    memory: int = 0
    owner: str = ""
    permits: Permits = Permits()
    model: Callable[[str], Mapping[str, Any]] = _no_model
    vault: Vault | None = None
    tables: Mapping[str, Path] = field(default_factory=dict)


class Protocol(ABC, Generic[Spec, Task, Result]):
    """Base of every protocol.

    Attributes:
        name: its name in jobs and on the command line.
        spec: frozen dataclass: what a person fills in.
        task: frozen dataclass: what one stage is told.
        vocabulary: every message it may send. This tuple is its privacy statement.
        promises: sentences on who learns what, and what is not promised, for `mesh explain`.
        lent: fields of the spec that a model of another device may decide. All others are whoever asks to say.
        modes: ways to run such a model: fields of the spec that each of them settles.
    """

    name: ClassVar[str]
    spec: ClassVar[type]
    task: ClassVar[type]
    vocabulary: ClassVar[tuple[type[Message], ...]]
    promises: ClassVar[tuple[str, ...]] = ()
    lent: ClassVar[frozenset[str]] = frozenset()
    modes: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    async def tune(self) -> float:
        """How fast this device does this protocol's work, in multiply-adds per second. Awaited once, at start."""
        return 1.0

    def alone(self, spec: Spec) -> bool:
        """Whether this job needs nobody but the asking device. Then nobody else is asked, or hears of it."""
        return False

    @abstractmethod
    def plan(self, spec: Spec, candidates: Sequence[Candidate]) -> Plan[Spec, Task]:
        """Choose who does what. Pure: the same arguments give the same plan.

        Args:
            candidates: the asking device first, then everyone it may invite.

        Raises:
            NoPlan: they cannot do it; the message says what is missing.
        """

    def consent(self, plan: Plan[Spec, Task], rank: Rank) -> str | None:
        """Why this device will not take part, as a sentence; None if it will.

        Pure. Override to refuse any plan that would weaken this rank's privacy.
        """
        return None

    @abstractmethod
    async def run(self, plan: Plan[Spec, Task], group: Group, device: Device) -> Result | None:
        """This rank's whole part. Returns the result where it is due, else None.

        Raises:
            PeerError, SessionError: let them pass; the node tells the others.
        """
