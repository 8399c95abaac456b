"""The signal programme: who may go at a given moment. A pure function of time."""

from __future__ import annotations

from enum import Enum

__all__ = ["CYCLE", "Lamp", "lamp", "walk"]

GREEN = 12.0
AMBER = 2.5
CLEARING = 2.5
"""Seconds in which everybody has red, so that the junction empties."""
WALK = 8.0
"""Seconds of green for people; they start with the traffic beside them."""
PHASE = GREEN + AMBER + CLEARING
CYCLE = 2 * PHASE


class Lamp(Enum):
    """What a signal shows to vehicles."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


def lamp(arm: int, seconds: float) -> Lamp:
    """What the signal shows to vehicles that come by `arm`. Opposite arms go together."""
    into = _into_phase(arm, seconds)
    if into < GREEN:
        return Lamp.GREEN
    return Lamp.AMBER if into < GREEN + AMBER else Lamp.RED


def walk(arm: int, seconds: float) -> bool:
    """Whether people may start to cross `arm`: in the first seconds of the green of the roads beside them."""
    return _into_phase(arm + 1, seconds) < WALK


def _into_phase(arm: int, seconds: float) -> float:
    """Seconds since the green of `arm` began, within one cycle."""
    return (seconds - (arm % 2) * PHASE) % CYCLE
