"""How people and cyclists are drawn: a few rods and balls that stride and pedal."""

from __future__ import annotations

import math

import numpy as np

from .fleet import Paint
from .painter import Limb, Painter
from .roads import Points
from .traffic import Vehicle
from .walkers import CLOTHES, SKINS, Walker

__all__ = ["cyclist_outline", "draw_cyclist", "draw_walker", "walker_outline"]

SHOE: Paint = (0.10, 0.09, 0.09)
BAG: Paint = (0.30, 0.22, 0.16)
TYRE: Paint = (0.08, 0.08, 0.09)
HELMET: Paint = (0.82, 0.80, 0.76)
BICYCLE = (
    *((-0.52, 0.34), (-0.10, 0.32), (0.42, 0.82), (-0.22, 0.82), (0.52, 0.34), (0.40, 1.02)),
    *((-0.22, 0.94), (0.12, 1.38), (0.20, 1.57), (0.18, 1.63)),
)
"""Rear hub, pedals, head tube, saddle, front hub, handlebar; then the rider's hip, shoulders, head and helmet."""
SPOKES = 10
Pose = tuple[float, float, float]


def walker_outline(walker: Walker, pose: Pose) -> Points:
    """Points (n, 3) around a person."""
    x, y, heading = pose
    tall, half = walker.look.height, 0.24 * walker.look.height / 1.7
    swing = 0.22 if walker.moving else 0.05
    cos, sin = math.cos(heading), math.sin(heading)
    rings = ((swing, half, 0.0), (half, half, 0.8 * tall), (0.11, 0.11, tall))
    return np.array(
        [
            (x + along * cos - aside * sin, y + along * sin + aside * cos, high)
            for ahead, out, high in rings
            for along, aside in ((ahead, 0.0), (0.0, out), (-ahead, 0.0), (0.0, -out))
        ]
    )


def draw_walker(painter: Painter, walker: Walker, pose: Pose) -> None:
    """Draws one person, legs first."""
    look, tall = walker.look, walker.look.height / 1.7
    swing = 0.30 * math.sin(walker.strode * 2 * math.pi / 1.45) * tall if walker.moving else 0.05
    right = painter.view.axes[0]
    points = _stood(
        pose,
        [
            (0.0, 0.0, 0.86 * tall),
            *_pair(swing, 0.09, 0.04),
            *_pair(swing, 0.09, 0.04, ahead=0.16),
            *_pair(0.0, 0.20 * tall, 1.42 * tall),
            *_pair(-swing * 0.8, 0.27 * tall, 0.86 * tall),
            (0.0, 0.26, 0.80 * tall),
            (0.0, 0.0, 1.60 * tall),
            (-0.03, 0.0, 1.65 * tall),
            (0.0, 0.0, 1.42 * tall),
        ],
    )
    hip, chest, across = points[0], points[12], right * 0.2 * tall
    trunk = np.stack([hip - across * 0.75, hip + across * 0.75, chest + across, chest - across])
    limbs = [
        Limb((0, 1), 0.15 * tall, look.legs, 0.9),
        Limb((0, 2), 0.15 * tall, look.legs, 0.8),
        Limb((1, 3), 0.10, SHOE),
        Limb((2, 4), 0.10, SHOE),
        *([Limb((9,), 0.28, BAG)] if look.bag else []),
        Limb((13, 14, 15, 16), 0.0, look.top, filled=True),
        Limb((15, 16), 0.14 * tall, look.top, 1.12),
        Limb((5, 7), 0.10 * tall, look.top, 0.85),
        Limb((6, 8), 0.10 * tall, look.top, 0.85),
        Limb((10,), 0.25 * tall, look.skin),
        Limb((11,), 0.24 * tall, look.hair),
    ]
    painter.limbs(np.concatenate([points, trunk]), limbs)


def cyclist_outline(pose: Pose) -> Points:
    """Points (n, 3) around a bicycle and its rider."""
    wheels = [(end, 0.0, high) for end in (-0.86, 0.86) for high in (0.15, 0.55)]
    body = [
        (-0.5, 0.0, 0.0),
        (0.5, 0.0, 0.0),
        (-0.25, 0.2, 1.1),
        (-0.25, -0.2, 1.1),
        (0.2, 0.1, 1.72),
        (0.2, -0.1, 1.72),
    ]
    return _stood(pose, [*wheels, *body, (0.42, 0.1, 1.05), (0.42, -0.1, 1.05)])


def draw_cyclist(painter: Painter, cyclist: Vehicle, pose: Pose) -> None:
    """Draws one bicycle and its rider."""
    top, legs = CLOTHES[cyclist.number % len(CLOTHES)], CLOTHES[cyclist.number % 3]
    turn = cyclist.front * 2 * math.pi / 4.5
    pedals = []
    for way in (0.0, math.pi):
        cos, sin, out = math.cos(turn + way), math.sin(turn + way), 0.1 * math.cos(way)
        pedals += [(0.15, out, 0.68 + 0.1 * sin), (-0.1 + 0.16 * cos, out, 0.32 + 0.16 * sin)]
    body = [(ahead, 0.0, high) for ahead, high in BICYCLE]
    angles = np.linspace(0, 2 * np.pi, SPOKES + 1).tolist()
    rims = [(hub + 0.34 * math.cos(a), 0.0, 0.34 + 0.34 * math.sin(a)) for hub in (-0.52, 0.52) for a in angles]
    rim = tuple(range(14, 14 + SPOKES + 1))
    limbs = [
        Limb(rim, 0.06, TYRE),
        Limb(tuple(index + SPOKES + 1 for index in rim), 0.06, TYRE),
        Limb((0, 1, 2, 3, 1), 0.06, cyclist.paint, 1.2),
        Limb((4, 5), 0.05, TYRE),
        Limb((6, 10, 11), 0.14, legs, 0.9),
        Limb((6, 12, 13), 0.14, legs, 0.9),
        Limb((6, 7), 0.34, top),
        Limb((7, 5), 0.09, top, 0.9),
        Limb((8,), 0.24, SKINS[cyclist.number % len(SKINS)]),
        Limb((9,), 0.24, cyclist.paint if sum(cyclist.paint) > 0.9 else HELMET),
    ]
    painter.limbs(_stood(pose, [*body, *pedals, *rims]), limbs)


def _pair(swing: float, out: float, high: float, ahead: float = 0.0) -> list[tuple[float, float, float]]:
    """A left and a right point that swing against each other."""
    return [(ahead - swing, -out, high), (ahead + swing, out, high)]


def _stood(pose: Pose, points: list[tuple[float, float, float]]) -> Points:
    """World points (n, 3) of points given as (ahead, to the left, up) of somebody who stands at `pose`."""
    x, y, heading = pose
    cos, sin = math.cos(heading), math.sin(heading)
    return np.array([(x + cos * ahead - sin * left, y + sin * ahead + cos * left, up) for ahead, left, up in points])
