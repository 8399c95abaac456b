"""What a party asks of its box, and what the box answers."""

from __future__ import annotations

import msgspec

from protocols.smpc.program.steps import Program

__all__ = ["Answer", "Compute", "Done", "Join", "Open", "Opened", "Order", "Take"]


class Open(msgspec.Struct, frozen=True, tag=True):
    """Listen, as this device.

    Attributes:
        identity: folder that holds the device's key and certificates.
        listen: literal address of this device.
    """

    identity: str
    listen: str


class Join(msgspec.Struct, frozen=True, tag=True):
    """Meet the two others, and get ready for a program.

    Attributes:
        party: our number, 0 to 2.
        doors: id, host and port of all three, in order.
        keys: what we share with each of the others, by number.
        seeds: see `dealing.seeds_for`.
        program: to be run, as plain values.
        secret: whether the inputs are shared, and whether the weights are.
        within: seconds for meeting.
        patience: seconds that another party may keep silent while we wait for it.
    """

    party: int
    doors: tuple[tuple[str, str, int], ...]
    session: str
    keys: dict[int, bytes]
    seeds: dict[int, bytes]
    program: Program
    fraction: int
    secret: tuple[bool, bool]
    within: float
    patience: float


class Take(msgspec.Struct, frozen=True, tag=True):
    """The next `count` numbers of a batch: share 2 of them where we hold that; themselves if they are no secret."""

    batch: int
    count: int
    words: bytes


class Compute(msgspec.Struct, frozen=True, tag=True):
    """Run the program on what was taken for this batch."""

    batch: int


class Order(msgspec.Struct, frozen=True):
    """A question to the box."""

    task: Open | Join | Take | Compute


class Opened(msgspec.Struct, frozen=True):
    """The box listens."""

    port: int


class Done(msgspec.Struct, frozen=True):
    """That is done."""


class Answer(msgspec.Struct, frozen=True):
    """Our shares of the outputs, and what computing them took.

    Attributes:
        words: the first share of every output, in one row.
        check: SHA-256 of the second.
        sent: bytes to the two others.
        rounds: exchanges with them that we waited for.
    """

    words: bytes
    check: bytes
    seconds: float
    sent: int
    rounds: int
