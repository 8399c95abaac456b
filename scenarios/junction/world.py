"""The junction in motion: traffic and people under one signal, one step at a time. No pictures."""

from __future__ import annotations

import numpy as np

from .signals import CYCLE
from .traffic import Traffic, Vehicle
from .walkers import Walker, Walkers

__all__ = ["World"]

WARM_UP = 50.0
"""Seconds simulated before the first frame, so that the first frame already shows a busy junction."""
LONGEST_STEP = 0.2


class World:
    """Everything that moves at the junction, deterministic in the two streams it is given.

    Traffic and people draw from streams of their own, so that more of one does not change the other's draws. They do
    meet: people on a crossing hold the traffic up.
    """

    def __init__(self, traffic: np.random.Generator, people: np.random.Generator) -> None:
        self.seconds = float(traffic.uniform(0.0, CYCLE))
        self._traffic = Traffic(traffic)
        self._walkers = Walkers(people)
        self.advance(WARM_UP)

    @property
    def vehicles(self) -> tuple[Vehicle, ...]:
        return tuple(self._traffic.vehicles)

    @property
    def walkers(self) -> tuple[Walker, ...]:
        return tuple(self._walkers.walkers)

    def advance(self, seconds: float) -> None:
        """Moves the junction on by `seconds`, in steps of at most `LONGEST_STEP`."""
        steps = max(1, round(seconds / LONGEST_STEP))
        for _ in range(steps):
            self.seconds += seconds / steps
            self._walkers.step(self.seconds, seconds / steps)
            self._traffic.step(self.seconds, seconds / steps, self._walkers.busy())
