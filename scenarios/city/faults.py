"""Faults as data: what goes wrong, where and when. A schedule that fails a test is that test's regression."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Self

from scenarios.city.streets import Streets

__all__ = ["Cut", "Fault", "Heal", "Kill", "Schedule", "Stall", "suffer"]


@dataclass(frozen=True, slots=True)
class Kill:
    """At this time the device is gone for good."""

    at: float
    device: int


@dataclass(frozen=True, slots=True)
class Stall:
    """From this time on the device stands still, for so many seconds."""

    at: float
    device: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """At this time these devices are cut off from all the others."""

    at: float
    side: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Heal:
    """At this time everything that was cut is mended."""

    at: float


Fault = Kill | Stall | Cut | Heal


@dataclass(frozen=True, slots=True)
class Schedule:
    """What goes wrong in one run.

    Attributes:
        seed: of whatever the tier leaves to chance.
        faults: in order of time, in seconds since the story began.
    """

    seed: int
    faults: tuple[Fault, ...]

    @classmethod
    def drawn(cls, seed: int, *, devices: int, horizon: float, most: int = 3) -> Self:
        """One to `most` faults at random moments before `horizon`, to any device but number 0, which asks."""
        chance = random.Random(seed)
        faults = [_drawn(chance, devices, horizon) for _ in range(chance.randint(1, most))]
        return cls(seed, tuple(sorted(faults, key=lambda fault: fault.at)))


async def suffer(streets: Streets, schedule: Schedule, devices: int) -> None:
    """Let a schedule happen. Whoever still stands when it is over, moves."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    moments: list[tuple[float, Fault | _Wake]] = [(fault.at, fault) for fault in schedule.faults]
    moments += [
        (fault.at + fault.seconds, _Wake(fault.device)) for fault in schedule.faults if isinstance(fault, Stall)
    ]
    for at, fault in sorted(moments, key=lambda moment: moment[0]):
        await asyncio.sleep(began + at - loop.time())
        _happen(streets, fault, devices)


@dataclass(frozen=True, slots=True)
class _Wake:
    device: int


def _happen(streets: Streets, fault: Fault | _Wake, devices: int) -> None:
    match fault:
        case Kill(_, device):
            streets.kill(device)
        case Stall(_, device):
            streets.stall(device)
        case _Wake(device):
            streets.wake(device)
        case Cut(_, side):
            streets.cut(side, [device for device in range(devices) if device not in side])
        case Heal():
            streets.heal()


def _drawn(chance: random.Random, devices: int, horizon: float) -> Fault:
    at, device = round(chance.uniform(0, horizon), 3), chance.randrange(1, devices)
    match chance.randrange(4):
        case 0:
            return Kill(at, device)
        case 1:
            return Stall(at, device, round(chance.uniform(0.1, horizon), 3))
        case 2:
            side = chance.sample(range(1, devices), chance.randint(1, devices - 1))
            return Cut(at, tuple(sorted(side)))
        case _:
            return Heal(at)
