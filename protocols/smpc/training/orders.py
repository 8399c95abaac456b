"""What a party asks of its box in private training, and what the box answers."""

from __future__ import annotations

import msgspec

from protocols.smpc.meeting import Trio
from protocols.smpc.training.spec import TrainingSpec

__all__ = [
    "Begin",
    "Come",
    "Done",
    "Listen",
    "Listens",
    "Order",
    "Snap",
    "Snapshot",
    "Steps",
    "Take",
    "Train",
    "Trained",
]


class Listen(msgspec.Struct, frozen=True, tag=True):
    """Listen, as this device: folder of its identity, its address, and the first and last port that may be taken."""

    identity: str
    listen: str
    ports: tuple[int, int]


class Come(msgspec.Struct, frozen=True, tag=True):
    """Meet the two others, and get ready for data.

    Attributes:
        sizes: rows and columns of each owner's data, labels not counted.
        seeds: of each owner; see `dealing.seeds_for`.
    """

    trio: Trio
    spec: TrainingSpec
    sizes: tuple[tuple[int, int], ...]
    seeds: tuple[dict[int, bytes], ...]


class Take(msgspec.Struct, frozen=True, tag=True):
    """The next `count` numbers of an owner: share 2 of them where we hold that."""

    owner: int
    count: int
    words: bytes


class Begin(msgspec.Struct, frozen=True, tag=True):
    """Begin, or go on after so many steps with these shares of all state: one row each."""

    step: int
    first: bytes
    second: bytes


class Train(msgspec.Struct, frozen=True, tag=True):
    """Train until so many steps are done. tell: work out the loss before the last of them."""

    until: int
    tell: bool


class Snap(msgspec.Struct, frozen=True, tag=True):
    """Give our shares of the state. whole: what the optimiser keeps too, and not just the weights."""

    whole: bool


class Order(msgspec.Struct, frozen=True):
    """A question to the box."""

    task: Listen | Come | Take | Begin | Train | Snap


class Listens(msgspec.Struct, frozen=True):
    """The box listens."""

    port: int


class Steps(msgspec.Struct, frozen=True):
    """There is so much to do: steps in an epoch, and weights to train."""

    epoch: int
    weights: int


class Done(msgspec.Struct, frozen=True):
    """That is done."""


class Trained(msgspec.Struct, frozen=True):
    """So many steps are done, and what they took since the last time.

    Attributes:
        words: our first share of the loss, if it was to be told.
        check: SHA-256 of our second.
    """

    step: int
    seconds: float
    sent: int
    rounds: int
    words: bytes
    check: bytes


class Snapshot(msgspec.Struct, frozen=True):
    """Our two shares, each in one row."""

    step: int
    first: bytes
    second: bytes
