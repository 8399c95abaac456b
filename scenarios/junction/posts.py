"""Signal posts and street lamps: the thin things that may stand in front of traffic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .fleet import Paint
from .painter import Limb, Painter
from .roads import ARMS, HALF_ROAD, STOP_LINE, Points, turned
from .signals import Lamp, lamp, walk
from .view import View

__all__ = ["Post", "draw_post", "posts"]

STEEL: Paint = (0.36, 0.37, 0.38)
CASE: Paint = (0.07, 0.08, 0.08)
SHINING: dict[Lamp, Paint] = {
    Lamp.RED: (1.0, 0.14, 0.10),
    Lamp.AMBER: (1.0, 0.70, 0.10),
    Lamp.GREEN: (0.12, 0.95, 0.45),
}
POLE = (Limb((0, 1), 0.11, STEEL), Limb((2, 1), 0.34, CASE))


@dataclass(frozen=True, slots=True, eq=False)
class Post:
    """One post; `arm` is the arm whose traffic it speaks to."""

    place: Points
    arm: int
    walking: bool

    def distance(self, view: View) -> float:
        """Metres along the ground from the camera."""
        return math.hypot(self.place[0] - view.eye[0], self.place[1] - view.eye[1])


def posts() -> list[Post]:
    """All posts, the farthest from the camera first."""
    near = HALF_ROAD + 0.7
    signals = [Post(turned(np.array([near, -STOP_LINE + 0.2]), arm), arm, walking=False) for arm in range(ARMS)]
    walking = [Post(turned(np.array([-near, -STOP_LINE + 0.6]), arm), arm, walking=True) for arm in range(ARMS)]
    view = View()
    return sorted([*signals, *walking], key=lambda post: -post.distance(view))


def draw_post(painter: Painter, post: Post, seconds: float) -> None:
    """Draws a post with what it shows at the time `seconds`."""
    foot = np.array([*post.place, 0.0])
    high = 2.6 if post.walking else 3.4
    up = np.array([0.0, 0.0, 1.0])
    painter.limbs(np.stack([foot, foot + up * high, foot + up * (high - 0.75)]), POLE)
    if post.walking:
        shown, level = (Lamp.GREEN, 0.55) if walk(post.arm, seconds) else (Lamp.RED, 0.2)
    else:
        shown = lamp(post.arm, seconds)
        level = {Lamp.RED: 0.15, Lamp.AMBER: 0.37, Lamp.GREEN: 0.6}[shown]
    painter.glow(foot + up * (high - level), 0.13, SHINING[shown])
