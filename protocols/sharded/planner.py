"""Who gets which part of a model: the least bottleneck under memory and links. Pure; knows no devices by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mesh.errors import NoPlan
from protocols.sharded.search import SOURCE, Costs, Order, Places, best
from protocols.sharded.segments import ModelInfo

__all__ = ["EXACT_STATES", "LINK", "Layout", "Machine", "Piece", "Share", "lay_out", "pieces_of"]

EXACT_STATES = 6_000
"""Sets of devices, times the last one in each, up to which every choice is weighed: ten devices in any number of
parts, or twenty in at most three. Beyond it the order of the devices is fixed beforehand."""

LINK = 12.5e6
"""Bytes per second of a link that nobody has measured: 100 Mbit/s."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment, as plain numbers.

    Attributes:
        work: multiply-adds, or whatever `Machine.speed` counts per second.
        weights: bytes held for as long as the piece is loaded.
        scratch: bytes needed only while it runs.
        entering: bytes that cross the cut before it.
    """

    work: float
    weights: int
    scratch: int
    entering: int


@dataclass(frozen=True, slots=True)
class Machine:
    """A device, as plain numbers.

    Attributes:
        memory: bytes it offers.
        speed: work per second.
        link: bytes per second that it sends or receives; between two devices the lesser counts.
    """

    memory: int
    speed: float
    link: float = LINK


@dataclass(frozen=True, slots=True)
class Share:
    """The pieces first <= i < last, held by one device.

    Attributes:
        machine: its place among the machines.
        memory: bytes that it needs for them: all weights, and the scratch of one piece at a time.
        compute: predicted seconds per answer.
        transfer: predicted seconds until what enters has arrived.
    """

    machine: int
    first: int
    last: int
    memory: int
    compute: float
    transfer: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Which device holds which pieces, in the order in which an answer passes through them.

    Attributes:
        shares: together every piece once. None is empty.
        bottleneck: predicted seconds of the slowest computation or transfer.
        latency: predicted seconds of one answer on its own, the way back included.
        traffic: bytes that travel for one answer.
    """

    shares: tuple[Share, ...]
    bottleneck: float
    latency: float
    traffic: int

    @property
    def rate(self) -> float:
        """Predicted answers per second once the line is full. Computing and sending overlap, so the slowest sets it."""
        return 1 / self.bottleneck if self.bottleneck else math.inf


def pieces_of(model: ModelInfo) -> tuple[Piece, ...]:
    """A prepared model's segments for `lay_out`.

    Work is the time measured by the device that prepared it, expressed in the multiply-adds that it could have done
    meanwhile in the benchmark that also gives `Machine.speed`. Weights count twice, for ONNX Runtime holds them twice
    while it loads a part; a session takes some 15 MB besides, which is for a device not to offer.
    """
    return tuple(
        Piece(segment.seconds * model.speed, 2 * segment.weights, segment.scratch, model.crossing_bytes(cut))
        for cut, segment in enumerate(model.segments)
    )


def lay_out(
    pieces: Sequence[Piece],
    machines: Sequence[Machine],
    *,
    leaving: int = 0,
    entry: int | None = None,
    minimum_parts: int = 1,
    maximum_parts: int | None = None,
) -> Layout:
    """The best consecutive parts, and the best device for each.

    Best is the least bottleneck, then the least latency, then the fewest bytes on the way, then the fewest parts.
    Times are compared in whole nanoseconds, so that all devices agree on what is a tie. No device holds two parts.
    The optimum is exact within `EXACT_STATES`. For more devices than that, it is the best among the layouts that
    visit them in falling order of speed and those that visit them in falling order of memory.

    Args:
        pieces: in the order of the model.
        machines: that may be used, whether or not they are.
        leaving: bytes of one answer.
        entry: the machine that feeds the model and wants the answers. It holds the first part or none: what enters
            there crosses no link. None: fed and answered from somewhere else, at each device's own link.
        minimum_parts: that the model is to be cut into, even where fewer would be faster.
        maximum_parts: None for as many as there are machines.

    Raises:
        NoPlan: the pieces do not fit. Says what is missing.
    """
    most = min(len(machines), len(pieces), maximum_parts or len(machines))
    if most < minimum_parts or not most:
        raise NoPlan(
            f"{minimum_parts} parts were asked for; {len(machines)} devices, {len(pieces)} segments and a limit of "
            f"{maximum_parts or 'none'} allow {most}"
        )
    links = [machine.link for machine in machines]
    costs = Costs(
        work=[piece.work for piece in pieces],
        speeds=[machine.speed for machine in machines],
        fits=_fits(pieces, machines),
        crossing=[*(piece.entering for piece in pieces), leaving],
        links=[*links, math.inf if entry is None else links[entry]],
        entry=entry,
    )
    found = [best(costs, order, minimum_parts, most) for order in _orders(machines, entry, most)]
    ranked = sorted(one for one in found if one is not None)
    if not ranked:
        raise NoPlan(_missing(pieces, machines, minimum_parts, most))
    return _layout(costs, pieces, ranked[0].places, ranked[0].traffic)


def _fits(pieces: Sequence[Piece], machines: Sequence[Machine]) -> list[list[int]]:
    """For each machine and each cut the furthest cut that a part may reach there. Memory only grows with a part."""
    reach: list[list[int]] = []
    for machine in machines:
        last, ends = 0, []
        for first in range(len(pieces)):
            last = max(last, first)
            while last < len(pieces) and _memory(pieces[first : last + 1]) <= machine.memory:
                last += 1
            ends.append(last)
        reach.append(ends)
    return reach


def _memory(pieces: Sequence[Piece]) -> int:
    return sum(piece.weights for piece in pieces) + max((piece.scratch for piece in pieces), default=0)


def _layout(costs: Costs, pieces: Sequence[Piece], places: Places, traffic: int) -> Layout:
    shares: list[Share] = []
    sender, first = SOURCE, 0
    for machine, last in places:
        compute = int(costs.compute[machine, first, last]) / 1e9
        transfer = int(costs.send[sender, machine, first]) / 1e9
        shares.append(Share(machine, first, last, _memory(pieces[first:last]), compute, transfer))
        sender, first = machine, last
    back = int(costs.send[sender, SOURCE, first]) / 1e9
    bottleneck = max(back, *(max(share.compute, share.transfer) for share in shares))
    latency = back + sum(share.compute + share.transfer for share in shares)
    return Layout(tuple(shares), bottleneck, latency, traffic)


def _orders(machines: Sequence[Machine], entry: int | None, most: int) -> list[Order]:
    count = len(machines)
    if sum(math.comb(count, parts) * parts for parts in range(1, most + 1)) <= EXACT_STATES:
        return [Order.free(machines, entry)]
    rest = [place for place in range(count) if place != entry]
    first = [] if entry is None else [entry]
    fastest = sorted(rest, key=lambda place: -machines[place].speed)
    largest = sorted(rest, key=lambda place: -machines[place].memory)
    return [Order.fixed([*first, *line], entry) for line in (fastest, largest)]


def _missing(pieces: Sequence[Piece], machines: Sequence[Machine], least: int, most: int) -> str:
    needed, offered = _memory(pieces), sum(machine.memory for machine in machines)
    single, largest = max(_memory([piece]) for piece in pieces), max(machine.memory for machine in machines)
    devices = "the one device offers" if len(machines) == 1 else f"the {len(machines)} devices offer"
    if single > largest:
        return f"the largest indivisible segment needs {_mb(single)}; no device offers more than {_mb(largest)}"
    if needed > offered:
        return f"the model needs {_mb(needed)}; {devices} {_mb(offered)}"
    parts = str(most) if least == most else f"{least} to {most}"
    return (
        f"the model needs {_mb(needed)} and {devices} {_mb(offered)}, but its segments cannot be divided among them in "
        f"{parts} parts; free memory on the smaller devices, or allow another number of parts"
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
