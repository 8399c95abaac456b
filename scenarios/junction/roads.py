"""The junction's plan: lanes, crossings and footways in metres. Knows nothing of time, traffic or pictures.

The origin is the middle of the junction, x points east and y north. Arm 0 leads south, 1 east, 2 north, 3 west: arm
`k` is arm 0 turned by `k` quarter turns counter-clockwise, and so is everything that belongs to it. Traffic keeps to
the right. All lengths are metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["ARMS", "Path", "Turn", "corner", "exit_arm", "footway_end", "lane_path", "turned"]

Points = NDArray[np.float64]

ARMS = 4
LANE = 3.5
HALF_ROAD = 3.7
"""From the middle of a road to its kerb."""
KERB_RADIUS = 5.0
FOOTWAY = 3.4
CROSSING = (8.9, 11.9)
"""A zebra crossing reaches from here to here, measured from the middle of the junction."""
STOP_LINE = 12.9
REACH = 62.0
"""How far the lanes are followed: beyond what the camera sees."""
WALK_REACH = 40.0
SPACING = 0.5
"""Between two points of a path."""


class Turn(Enum):
    """Which way a vehicle leaves. The value is how many arms further on, counted counter-clockwise."""

    RIGHT = 1
    STRAIGHT = 2
    LEFT = 3


RADIUS = {Turn.RIGHT: 5.4, Turn.LEFT: 9.5}
"""Of the arc along which a turn is driven. Left turns from opposite arms pass each other with 2.9 m between them."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One way through the junction, from the far end of one arm to the far end of another.

    Attributes:
        points: (n, 2), `SPACING` apart.
        arm: where it comes from.
        turn: which way it goes.
        stop: distance along the path at the stop line.
        give_way: where a left turn waits for oncoming traffic; `stop` for other turns.
        leave: where it reaches the crossing of the arm it leaves by.
        bend: (begin, end) of its arc, empty for a straight path.
    """

    points: Points
    arm: int
    turn: Turn
    stop: float
    give_way: float
    leave: float
    bend: tuple[float, float]

    @property
    def length(self) -> float:
        return (len(self.points) - 1) * SPACING

    def locate(self, along: Points) -> Points:
        """Points (..., 2) at the distances `along` (...,), held at the path's two ends."""
        index = np.clip(along / SPACING, 0.0, len(self.points) - 1.001)
        below = index.astype(np.intp)
        start = self.points[below]
        return start + (self.points[below + 1] - start) * (index - below)[..., None]


def turned(points: Points, arm: int) -> Points:
    """`points` (..., 2) of arm 0, turned to `arm`."""
    x, y = points[..., 0], points[..., 1]
    quarter = arm % ARMS
    return np.stack([(x, -y, -x, y)[quarter], (y, x, -y, -x)[quarter]], axis=-1)


def exit_arm(arm: int, turn: Turn) -> int:
    """The arm by which a vehicle leaves that came by `arm`."""
    return (arm + turn.value) % ARMS


@cache
def lane_path(arm: int, turn: Turn) -> Path:
    """The path through the junction from `arm`."""
    side = LANE / 2
    if turn is Turn.STRAIGHT:
        line, bend = np.array([[side, -REACH], [side, REACH]]), (0.0, 0.0)
    else:
        line, bend = _bent(turn, side)
    length = float(np.hypot(*np.diff(line, axis=0).T).sum())
    stop = REACH - STOP_LINE
    return Path(
        points=turned(_resampled(line), arm),
        arm=arm,
        turn=turn,
        stop=stop,
        give_way=bend[0] + RADIUS[turn] * 0.46 if turn is Turn.LEFT else stop,
        leave=length - (REACH - CROSSING[0]),
        bend=bend,
    )


def _bent(turn: Turn, side: float) -> tuple[Points, tuple[float, float]]:
    """A path of arm 0 with one quarter arc, and where along it the arc begins and ends."""
    radius = RADIUS[turn]
    right = turn is Turn.RIGHT
    angle = np.linspace(0.0, np.pi / 2, 25)
    across = radius * (1 - np.cos(angle))
    end = -side if right else side
    arc = np.stack([side + (across if right else -across), end - radius + radius * np.sin(angle)], axis=-1)
    out = np.array([[REACH if right else -REACH, end]])
    begin = REACH + end - radius
    return np.concatenate([[[side, -REACH]], arc, out]), (begin, begin + radius * np.pi / 2)


def _resampled(line: Points) -> Points:
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    wanted = np.arange(0.0, along[-1], SPACING)
    return np.stack([np.interp(wanted, along, line[:, axis]) for axis in (0, 1)], axis=-1)


def corner(quarter: int, side: int) -> Points:
    """Where people wait at corner `quarter`, which lies between arms `quarter` and `quarter + 1`.

    Args:
        side: 0 to cross arm `quarter`, 1 to cross arm `quarter + 1`.
    """
    near, far = HALF_ROAD + 1.3, sum(CROSSING) / 2
    return turned(np.array([near, -far] if side == 0 else [far, -near]), quarter)


def footway_end(quarter: int, side: int) -> Points:
    """Where the footway along arm `quarter + side` ends, on the side of corner `quarter`."""
    near = HALF_ROAD + 1.7
    return turned(np.array([near, -WALK_REACH] if side == 0 else [WALK_REACH, -near]), quarter)
