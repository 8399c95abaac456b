"""What a party asks of its box, and what the box answers."""

from __future__ import annotations

import msgspec

from protocols.smpc.meeting import Trio
from protocols.smpc.program.steps import Program

__all__ = ["Answer", "Compute", "Done", "Hold", "Join", "Open", "Opened", "Order", "Take"]


class Open(msgspec.Struct, frozen=True, tag=True):
    """Listen, as this device.

    Attributes:
        identity: folder that holds the device's key and certificates.
        listen: literal address of this device.
        ports: the first and the last that may be taken; 0 and 0 for any.
    """

    identity: str
    listen: str
    ports: tuple[int, int] = (0, 0)


class Join(msgspec.Struct, frozen=True, tag=True):
    """Meet the two others, and get ready for a program.

    Attributes:
        seeds: of the inputs' owner and of the model's; see `dealing.seeds_for`.
        program: to be run, as plain values.
        secret: whether the inputs are shared, and whether the weights are.
        held: inputs whose shares we hold already, and are told with `Hold`.
        checked: whether a party that cheats is to be found out before anything is revealed.
    """

    trio: Trio
    program: Program
    fraction: int
    secret: tuple[bool, bool]
    seeds: tuple[dict[int, bytes], dict[int, bytes]]
    held: tuple[str, ...] = ()
    checked: bool = False


class Take(msgspec.Struct, frozen=True, tag=True):
    """The next `count` numbers of a batch: share 2 of them where we hold that; themselves if they are no secret."""

    batch: int
    count: int
    words: bytes


class Hold(msgspec.Struct, frozen=True, tag=True):
    """Both our shares of one input of a batch, from an earlier session of the same three.

    Attributes:
        fraction: bits after the binary point, in those shares.
    """

    batch: int
    name: str
    fraction: int
    first: bytes
    second: bytes


class Compute(msgspec.Struct, frozen=True, tag=True):
    """Run the program on what was taken for this batch.

    Attributes:
        keep: give both shares of the outputs, to be kept.
    """

    batch: int
    keep: bool = False


class Order(msgspec.Struct, frozen=True):
    """A question to the box."""

    task: Open | Join | Take | Hold | Compute


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
        second: the second share, where it is to be kept; else nothing.
        sent: bytes to the two others.
        rounds: exchanges with them that we waited for.
    """

    words: bytes
    check: bytes
    second: bytes
    seconds: float
    sent: int
    rounds: int
