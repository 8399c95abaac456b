"""People on the footways and crossings. They wait for their signal, then walk. No pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .fleet import Paint
from .roads import ARMS, HALF_ROAD, Points, corner, footway_end
from .signals import walk

__all__ = ["Look", "Walker", "Walkers"]

NO_CROSSING = -1
CLOTHES: tuple[Paint, ...] = (
    (0.12, 0.13, 0.17),
    (0.22, 0.24, 0.33),
    (0.55, 0.15, 0.15),
    (0.78, 0.76, 0.72),
    (0.20, 0.38, 0.55),
    (0.70, 0.52, 0.20),
    (0.25, 0.42, 0.28),
    (0.60, 0.40, 0.50),
    (0.85, 0.83, 0.30),
    (0.36, 0.30, 0.26),
)
SKINS: tuple[Paint, ...] = ((0.87, 0.70, 0.58), (0.72, 0.53, 0.41), (0.47, 0.32, 0.24), (0.33, 0.22, 0.17))
HAIRS: tuple[Paint, ...] = ((0.10, 0.08, 0.07), (0.28, 0.18, 0.10), (0.62, 0.48, 0.26), (0.55, 0.54, 0.52))


@dataclass(frozen=True, slots=True)
class Look:
    """How a person looks. Height in metres."""

    height: float
    top: Paint
    legs: Paint
    skin: Paint
    hair: Paint
    bag: bool

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Look:
        """A person at random, one in eight a child."""
        child = rng.random() < 0.12
        return cls(
            height=float(rng.uniform(1.15, 1.45) if child else rng.normal(1.71, 0.08)),
            top=CLOTHES[int(rng.integers(len(CLOTHES)))],
            legs=CLOTHES[int(rng.integers(5))],
            skin=SKINS[int(rng.integers(len(SKINS)))],
            hair=HAIRS[int(rng.integers(len(HAIRS)))],
            bag=bool(rng.random() < 0.3),
        )


@dataclass(slots=True, eq=False)
class Walker:
    """One person on a route.

    Attributes:
        route: (n, 2) way points.
        crossings: for each of the n - 1 legs, the arm that it crosses, or `NO_CROSSING`.
        leg: the leg being walked.
        along: metres walked on it.
        strode: metres walked in all; drives the swing of the legs.
        moving: whether the last step moved it.
    """

    number: int
    look: Look
    route: Points
    crossings: tuple[int, ...]
    pace: float
    leg: int = 0
    along: float = 0.0
    strode: float = 0.0
    moving: bool = True

    def pose(self) -> tuple[float, float, float]:
        """x, y and heading in radians."""
        (x, y), (to_x, to_y) = self.route[self.leg : self.leg + 2].tolist()
        share = self.along / max(math.hypot(to_x - x, to_y - y), 1e-6)
        return x + (to_x - x) * share, y + (to_y - y) * share, math.atan2(to_y - y, to_x - x)

    @property
    def arm(self) -> int:
        """The arm whose carriageway this person is on, or `NO_CROSSING`."""
        arm = self.crossings[self.leg]
        if arm == NO_CROSSING or self.along == 0.0:
            return NO_CROSSING
        x, y, _ = self.pose()
        across = x if arm % 2 == 0 else y
        return arm if abs(across) < HALF_ROAD + 0.4 else NO_CROSSING


class Walkers:
    """Everybody on foot, and the draw that brings more."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.walkers: list[Walker] = []
        self._rng = rng
        self._rate = float(rng.uniform(0.18, 0.42))
        self._made = 0

    def busy(self) -> list[bool]:
        """For each arm, whether somebody is on its carriageway."""
        taken = {walker.arm for walker in self.walkers}
        return [arm in taken for arm in range(ARMS)]

    def step(self, seconds: float, elapsed: float) -> None:
        """Moves everybody on by `elapsed` seconds, at most 0.2, to the time `seconds`."""
        if self._rng.random() < self._rate * elapsed:
            self._arrive(company=1 + int(self._rng.random() < 0.25))
        self.walkers = [walker for walker in self.walkers if _moved(walker, seconds, elapsed)]

    def _arrive(self, company: int) -> None:
        route, crossings = _route(self._rng)
        pace = float(np.clip(self._rng.normal(1.4, 0.18), 0.9, 1.9))
        apart = self._rng.uniform(-1.1, 1.1, 2)
        for member in range(company):
            shift = apart + member * self._rng.uniform(0.55, 0.75, 2)
            look = Look.drawn(self._rng)
            self.walkers.append(Walker(self._made, look, route + shift, crossings, pace))
            self._made += 1


def _moved(walker: Walker, seconds: float, elapsed: float) -> bool:
    """Moves one person on; False once their route is done."""
    arm = walker.crossings[walker.leg]
    if arm != NO_CROSSING and walker.along == 0.0 and not walk(arm, seconds):
        walker.moving = False
        return True
    step = walker.pace * elapsed * (1.15 if arm != NO_CROSSING else 1.0)
    walker.moving = True
    walker.along += step
    walker.strode += step
    if walker.along >= float(np.hypot(*(walker.route[walker.leg + 1] - walker.route[walker.leg]))):
        walker.leg += 1
        walker.along = 0.0
    return walker.leg < len(walker.crossings)


def _route(rng: np.random.Generator) -> tuple[Points, tuple[int, ...]]:
    """A walk from the end of one footway to the end of another, over up to two crossings."""
    quarter, side = int(rng.integers(ARMS)), int(rng.integers(2))
    points, crossings = [footway_end(quarter, side), corner(quarter, side)], [NO_CROSSING]
    onward = 1 if rng.random() < 0.5 else -1
    for _ in range(int(rng.choice(3, p=[0.12, 0.58, 0.30]))):
        wanted = 1 if onward == 1 else 0
        if side != wanted:
            points.append(corner(quarter, wanted))
            crossings.append(NO_CROSSING)
        crossings.append((quarter + wanted) % ARMS)
        quarter, side = (quarter + onward) % ARMS, 1 - wanted
        points.append(corner(quarter, side))
    if len(points) == 2 or rng.random() < 0.6:
        side = 1 - side
        points.append(corner(quarter, side))
        crossings.append(NO_CROSSING)
    points.append(footway_end(quarter, side))
    crossings.append(NO_CROSSING)
    return np.array(points), tuple(crossings)
