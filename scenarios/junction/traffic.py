"""Vehicles on the junction's lanes: they follow, stop, give way and turn. No pictures.

Each vehicle drives by the Intelligent Driver Model towards the nearest thing it must not reach: another vehicle's body
on its path, a stop line at red, the oncoming traffic of a left turn, or a crossing with people on it.

Source: Treiber, Hennecke and Helbing 2000, "Congested traffic states in empirical observations and microscopic
simulations" (acceleration); the rules of giving way are our own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fleet import Kind, Paint, draw_kind, draw_paint
from .roads import ARMS, Path, Points, Turn, exit_arm, lane_path
from .signals import Lamp, lamp

__all__ = ["Traffic", "Vehicle"]

ACCELERATION = 1.6
BRAKING = 2.4
HARDEST_BRAKING = 7.0
HEADWAY = 1.1
"""Seconds kept to the vehicle ahead."""
STANDSTILL = 1.9
"""Metres kept to the vehicle ahead when both stand."""
TURNING_SPEED = 5.0
LOOK_AHEAD = np.arange(0.0, 31.0, 1.5)
BODY = np.linspace(0.0, 1.0, 6)
"""Points along a body, as shares of its length behind the front bumper."""
PATIENCE = 5.0
"""Seconds of standing inside the junction after which a driver squeezes through: no jam lasts for ever."""
TURNS = (Turn.STRAIGHT, Turn.RIGHT, Turn.LEFT)
TURN_SHARES = (0.56, 0.24, 0.20)


@dataclass(slots=True, eq=False)
class Vehicle:
    """One vehicle on its way.

    Attributes:
        number: counts all vehicles of a world, in the order in which they came.
        front: the distance of its front bumper along `path`.
        speed, wish: how fast it drives, and would drive on a free straight road.
        stood: seconds for which it has been standing.
        pushing: whether it has lost its patience in the middle of the junction.
    """

    number: int
    kind: Kind
    paint: Paint
    path: Path
    front: float
    speed: float
    wish: float
    acceleration: float = 0.0
    stood: float = 0.0
    pushing: bool = False

    @property
    def inside(self) -> bool:
        """Between the stop line and the crossing it leaves by."""
        return self.path.stop < self.front < self.path.leave + self.kind.length

    def pose(self) -> tuple[float, float, float]:
        """x and y of its middle, and its heading in radians: the way from its rear axle to its front axle."""
        length = self.kind.length
        rear, front = self.trace(length * np.array([-0.82, -0.18]))
        x, y = (rear + front) / 2
        return float(x), float(y), float(np.arctan2(front[1] - rear[1], front[0] - rear[0]))

    def trace(self, offsets: Points) -> Points:
        """Points (n, 2) that lie `offsets` (n,) metres before (+) or behind (-) the front bumper on its way."""
        along = self.front + offsets
        if not self.kind.aside:
            return self.path.locate(along)
        way = self.path.locate(along + 0.5) - self.path.locate(along - 0.5)
        way /= np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]
        return self.path.locate(along) + self.kind.aside * np.stack([way[:, 1], -way[:, 0]], axis=-1)


class Traffic:
    """All vehicles, and the draw that brings new ones."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.vehicles: list[Vehicle] = []
        self._rng = rng
        self._rates = rng.uniform(0.05, 0.16, ARMS)
        self._made = 0

    def step(self, seconds: float, elapsed: float, busy: Sequence[bool]) -> None:
        """Moves every vehicle on.

        Args:
            seconds: the time that has come.
            elapsed: seconds since the step before, at most 0.2.
            busy: for each arm, whether somebody is on its crossing.
        """
        self._arrive(elapsed)
        gaps, speeds = _ahead(self.vehicles)
        for vehicle, gap, speed in zip(self.vehicles, gaps, speeds, strict=True):
            halt = self._halt(vehicle, seconds, busy)
            vehicle.pushing = vehicle.inside and (vehicle.pushing or vehicle.stood > PATIENCE)
            vehicle.acceleration = min(_wanted(vehicle, gap, speed), _wanted(vehicle, halt + STANDSTILL - 0.4, 0.0))
        for vehicle in self.vehicles:
            _move(vehicle, elapsed)
        self.vehicles = [v for v in self.vehicles if v.front - v.kind.length < v.path.length - 1.0]

    def _arrive(self, elapsed: float) -> None:
        """Brings new vehicles to the arms' far ends, as a Poisson process, where there is room."""
        for arm in range(ARMS):
            if self._rng.random() >= self._rates[arm] * elapsed:
                continue
            turn = TURNS[int(self._rng.choice(len(TURNS), p=TURN_SHARES))]
            kind = draw_kind(self._rng)
            tail = min((v.front - v.kind.length for v in self.vehicles if v.path.arm == arm), default=99.0)
            wish = kind.speed * float(self._rng.uniform(0.85, 1.1))
            paint = draw_paint(kind, self._rng)
            if tail > kind.length + 6.0:
                path = lane_path(arm, turn)
                self.vehicles.append(Vehicle(self._made, kind, paint, path, kind.length, min(wish, tail / 3), wish))
                self._made += 1

    def _halt(self, vehicle: Vehicle, seconds: float, busy: Sequence[bool]) -> float:
        """Metres to the nearest line at which this vehicle has to wait; far away when the way is free."""
        path, front = vehicle.path, vehicle.front
        halts = [99.0]
        if front <= path.stop and (_must_stop(vehicle, seconds) or busy[path.arm] or self._full(vehicle)):
            halts.append(path.stop - front)
        if path.turn is Turn.LEFT and front <= path.give_way and self._oncoming(vehicle, seconds):
            halts.append(path.give_way - front)
        if front <= path.leave - 0.6 and busy[exit_arm(path.arm, path.turn)]:
            halts.append(path.leave - 0.6 - front)
        return min(halts)

    def _full(self, entering: Vehicle) -> bool:
        """Whether the roads that cross this vehicle's have not yet left the junction."""
        across = 1 - entering.path.arm % 2
        return any(v.inside and v.path.arm % 2 == across and v.front < v.path.leave + 1.0 for v in self.vehicles)

    def _oncoming(self, turning: Vehicle, seconds: float) -> bool:
        """Whether a left turn would cut across somebody who comes from the opposite arm."""
        opposite = (turning.path.arm + 2) % ARMS
        free = lamp(opposite, seconds) is not Lamp.RED
        for other in self.vehicles:
            if other.path.arm != opposite or other.path.turn is Turn.LEFT:
                continue
            near = free and other.path.stop - 4.0 * other.speed - 5.0 < other.front <= other.path.stop
            crossing = other.inside and other.front - other.kind.length < other.path.stop + 12.0
            if near or (crossing and other.stood < 2.0):
                return True
        return False


def _must_stop(vehicle: Vehicle, seconds: float) -> bool:
    shown = lamp(vehicle.path.arm, seconds)
    if shown is Lamp.AMBER:
        return vehicle.path.stop - vehicle.front > vehicle.speed**2 / (2 * 3.5)
    return shown is Lamp.RED


def _wanted(vehicle: Vehicle, gap: float, speed: float) -> float:
    """Acceleration in m/s² towards something `gap` metres ahead that moves at `speed`."""
    wish = vehicle.wish
    begin, end = vehicle.path.bend
    if begin - 8.0 < vehicle.front < end + vehicle.kind.length * 0.6 and end > 0:
        wish = min(wish, TURNING_SPEED)
    closing = vehicle.speed * (vehicle.speed - speed) / (2 * math.sqrt(ACCELERATION * BRAKING))
    keep = STANDSTILL + max(0.0, vehicle.speed * HEADWAY + closing)
    free = 1 - (vehicle.speed / wish) ** 4
    return max(-HARDEST_BRAKING, ACCELERATION * (free - (keep / max(gap, 0.1)) ** 2))


def _move(vehicle: Vehicle, elapsed: float) -> None:
    before = vehicle.speed
    vehicle.speed = max(0.0, before + vehicle.acceleration * elapsed)
    vehicle.front += (before + vehicle.speed) / 2 * elapsed
    vehicle.stood = vehicle.stood + elapsed if vehicle.speed < 0.2 else 0.0


def _ahead(vehicles: Sequence[Vehicle]) -> tuple[Points, Points]:
    """For each vehicle, metres to the first body on its path and how fast that moves along with it."""
    if not vehicles:
        return np.zeros(0), np.zeros(0)
    each = np.arange(len(vehicles))
    traces = np.stack([v.trace(np.concatenate([LOOK_AHEAD, -v.kind.length * BODY])) for v in vehicles])
    paths, bodies = traces[:, : len(LOOK_AHEAD)], traces[:, len(LOOK_AHEAD) :]
    apart = [np.subtract(paths[:, None, :, None, axis], bodies[None, :, None, :, axis]) ** 2 for axis in (0, 1)]
    widths = np.array([v.kind.width for v in vehicles]) / 2
    reach = np.maximum(widths[:, None] + widths[None, :] + 0.35, 1.3)
    hit = (apart[0] + apart[1]).min(axis=-1) < (reach**2)[:, :, None]
    hit &= _minds(vehicles)[:, :, None]
    first = np.where(hit.any(axis=2), hit.argmax(axis=2), len(LOOK_AHEAD))
    nearest = first.argmin(axis=1)
    gaps = np.append(LOOK_AHEAD, 99.0)[first[each, nearest]]
    arms = np.array([v.path.arm for v in vehicles])
    speeds = np.array([v.speed for v in vehicles])[nearest]
    return gaps, np.where(arms[nearest] == arms, speeds, 0.0)


def _minds(vehicles: Sequence[Vehicle]) -> NDArray[np.bool_]:
    """(n, n) whether the first has to mind the second.

    On a lane that both will leave by, only the one behind minds the other; else two that merge would block each other
    for ever. One that pushes minds only those on its own lanes.
    """
    arms = np.array([v.path.arm for v in vehicles])
    exits = np.array([exit_arm(v.path.arm, v.path.turn) for v in vehicles])
    left = np.array([v.path.length - v.front for v in vehicles])
    pushing = np.array([v.pushing for v in vehicles])
    merging = exits[:, None] == exits[None, :]
    behind = left[:, None] > left[None, :]
    follows = merging & behind
    stranger = ~merging & ((arms[:, None] == arms[None, :]) | ~pushing[:, None])
    minds: NDArray[np.bool_] = follows | stranger
    np.fill_diagonal(minds, False)
    return minds
