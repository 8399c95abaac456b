"""What stands still beside the roads: houses, trees and benches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from .fleet import Paint
from .light import Light
from .painter import Painter
from .roads import Points
from .solids import Face, Solid, box, flat, frustum, upright
from .view import View

__all__ = ["HOUSES", "TREES", "House", "furnish"]

GLASS: Paint = (0.17, 0.21, 0.27)
LAMPLIGHT: Paint = (0.98, 0.80, 0.48)
FRAME: Paint = (0.80, 0.78, 0.75)
PLINTH: Paint = (0.34, 0.33, 0.32)
CORNICE: Paint = (0.78, 0.76, 0.72)
WOOD: Paint = (0.42, 0.27, 0.15)
BARK: Paint = (0.28, 0.21, 0.15)
LEAF = (0.26, 0.38, 0.16)
LEAVES = 420
"""Clumps of leaves in a tree's crown."""
LIT_WINDOWS = 0.45


@dataclass(frozen=True, slots=True)
class House:
    """A block with a flat roof. Edges and height in metres."""

    edges: tuple[float, float, float, float]
    height: float
    wall: Paint
    roof: Paint
    seen: bool = True
    """A house out of sight still throws its shadow."""

    @property
    def outline(self) -> Points:
        return box(*self.edges)


HOUSES = (
    House((12.5, 12.5, 30.0, 34.0), 13.0, (0.66, 0.55, 0.45), (0.40, 0.39, 0.38)),
    House((31.0, 13.5, 52.0, 34.0), 10.0, (0.74, 0.70, 0.62), (0.52, 0.28, 0.22)),
    House((-36.0, 13.0, -13.0, 33.0), 11.0, (0.60, 0.33, 0.27), (0.33, 0.32, 0.33)),
    House((-62.0, 13.0, -38.0, 33.0), 9.0, (0.80, 0.76, 0.70), (0.45, 0.26, 0.21)),
    House((-30.0, -48.0, -13.0, -17.0), 12.0, (0.60, 0.50, 0.40), (0.40, 0.40, 0.40), seen=False),
)
"""The last one carries the camera."""
TREES = (
    *((13.5, -14.0), (20.5, -12.4), (27.5, -12.9), (35.0, -12.5), (17.5, -21.0), (26.0, -19.5), (33.0, -24.0)),
    *((10.3, 10.6), (10.2, 19.0), (20.0, 10.4), (29.5, 10.6), (-12.6, 10.8), (-22.0, 10.9), (-16.5, -14.4)),
)
"""None stands where its crown would hide a lane or a footway from the camera."""
BENCHES = ((12.0, -9.6), (23.0, -9.2))


def furnish(picture: Image.Image, view: View, light: Light, rng: np.random.Generator) -> None:
    """Draws all scenery on the picture of the ground, far things first."""
    painter = Painter(view, light)
    painter.turn_to(picture)
    things: list[tuple[Points, Solid | None]] = [
        (house.outline.mean(axis=0), Solid.of(_house(house, light, rng))) for house in HOUSES if house.seen
    ]
    for x, y in BENCHES:
        seat = box(x - 0.9, y - 0.25, x + 0.9, y + 0.25)
        things.append((seat.mean(axis=0), Solid.of(frustum(seat, 0.3, seat, 0.5, WOOD))))
    things += [(np.array(tree), None) for tree in TREES]
    for place, solid in sorted(things, key=lambda thing: -float(view.distance(np.append(thing[0], 0.0)))):
        if solid is None:
            _draw_tree(painter, picture, light, place, rng)
        else:
            painter.solid(solid)


def _house(house: House, light: Light, rng: np.random.Generator) -> list[Face]:
    """Walls with rows of windows, a plinth, a cornice and a flat roof with an edge."""
    outline, height = house.outline, house.height
    faces = frustum(outline, 0.0, outline, height, house.wall)[:4]
    for side in range(4):
        start, end = outline[side], outline[(side + 1) % 4]
        faces += _windows(start, end, height, rng if light.lamps else None)
        faces += [upright(start, end, 0.0, 0.7, PLINTH), upright(start, end, height - 0.5, height, CORNICE)]
    inner = box(*(outline[0] + 0.6), *(outline[2] - 0.6))
    red, green, blue = house.roof
    for edge, paint in ((outline, house.roof), (inner, (0.85 * red, 0.85 * green, 0.85 * blue))):
        faces.append(flat(np.column_stack([edge, np.full(4, height)]), paint))
    return faces


def _windows(start: Points, end: Points, height: float, lamps: np.random.Generator | None) -> list[Face]:
    """The windows of one wall, some of them lit if `lamps` draws which."""
    length = float(np.hypot(*(end - start)))
    unit = (end - start) / length
    faces = []
    for floor in np.arange(1.1, height - 2.0, 3.1):
        for left in np.arange(1.2, length - 2.0, 2.7):
            lit = lamps is not None and lamps.random() < LIT_WINDOWS
            edges = [start + unit * (left + by) for by in (-0.12, 1.42, 0.0, 1.3)]
            pane = upright(edges[2], edges[3], floor, floor + 1.7, LAMPLIGHT if lit else GLASS)
            faces.append(upright(edges[0], edges[1], floor - 0.12, floor + 1.82, FRAME))
            faces.append(flat(pane.points, pane.paint, glow=lit))
    return faces


def _draw_tree(painter: Painter, picture: Image.Image, light: Light, place: Points, rng: np.random.Generator) -> None:
    """A crown of many clumps of leaves, brighter towards the sun, over a trunk."""
    x, y = place.tolist()
    trunk = box(x - 0.16, y - 0.16, x + 0.16, y + 0.16)
    painter.solid(Solid.of(frustum(trunk, 0.0, trunk, 2.6, BARK)))
    ways = rng.normal(size=(LEAVES, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    clumps = np.array([x, y, 3.9]) + ways * np.array([2.2, 2.2, 1.7]) * rng.uniform(0.5, 1.0, (LEAVES, 1))
    bright = light.on(ways) * rng.uniform(0.7, 1.2, (LEAVES, 1))
    inks = np.clip(np.array(LEAF) * rng.uniform(0.85, 1.15) * bright * 255, 0, 255).astype(np.intp).tolist()
    away = painter.view.distance(clumps)
    pixels = painter.view.project(clumps).tolist()
    draw = ImageDraw.Draw(picture)
    for index in np.argsort(-away).tolist():
        (across, down), radius = pixels[index], painter.view.focal * 0.30 / float(away[index])
        edges = (across - radius, down - radius, across + radius, down + radius * 0.9)
        draw.ellipse(edges, fill=tuple(inks[index]))
