"""The picture of the empty junction, in sun and in shade: the map seen by the camera, with houses and trees on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .fleet import Paint
from .ground import Map, Raster, paint_ground
from .light import Light
from .painter import Painter
from .roads import ARMS, HALF_ROAD, Points, turned
from .shapes import hull
from .solids import Face, Solid, box, frustum, upright
from .view import View

__all__ = ["Street", "build_street"]

HOUSES = (
    # west, south, east, north, height, wall, roof
    (12.5, 12.5, 30.0, 34.0, 13.0, (0.66, 0.55, 0.45), (0.40, 0.39, 0.38)),
    (31.0, 13.5, 52.0, 34.0, 10.0, (0.74, 0.70, 0.62), (0.52, 0.28, 0.22)),
    (-36.0, 13.0, -13.0, 33.0, 11.0, (0.60, 0.33, 0.27), (0.33, 0.32, 0.33)),
    (-62.0, 13.0, -38.0, 33.0, 9.0, (0.80, 0.76, 0.70), (0.45, 0.26, 0.21)),
    (-30.0, -48.0, -13.0, -17.0, 12.0, (0.6, 0.5, 0.4), (0.4, 0.4, 0.4)),
)
"""The last house carries the camera: it is seen only by its shadow."""
TREES = (
    *((13.5, -14.0), (20.5, -12.4), (27.5, -12.9), (35.0, -12.5), (17.5, -21.0), (26.0, -19.5), (33.0, -24.0)),
    *((10.3, 10.6), (10.2, 19.0), (20.0, 10.4), (29.5, 10.6), (-12.6, 10.8), (-22.0, 10.9), (-16.5, -14.4)),
)
LEAVES = 420
"""Clumps of leaves in a tree's crown."""
BENCHES = ((12.0, -9.6), (23.0, -9.2))


@dataclass(frozen=True, slots=True)
class Street:
    """The empty junction at one scale.

    Attributes:
        lit: the scene as its light makes it.
        shaded: the same with all of the ground in shade: where a vehicle's shadow falls, this is seen.
        glared: the same with all of the ground lit by headlights; None by day.
    """

    lit: Image.Image
    shaded: Image.Image
    glared: Image.Image | None


def build_street(view: View, light: Light, rng: np.random.Generator) -> Street:
    """Paints the empty junction. Takes some tenths of a second; done once per scene."""
    area = _seen_area(view)
    colours = paint_ground(area, rng)
    shadow = _shadow(area, light)
    up = np.array([0.0, 0.0, 1.0])
    open_light, shade_light = light.on(up), light.sky * 0.92
    mixed = open_light + (shade_light - open_light) * shadow[..., None] * (0.55 if light.softness > 0.5 else 1.0)
    lamps = _lamp_pools(area) if light.lamps else None
    grounds = [colours * mixed, colours * shade_light]
    if lamps is not None:
        glow = np.array([0.95, 0.72, 0.42])
        grounds = [ground + colours * glow * lamps[..., None] for ground in grounds]
        grounds.append(grounds[0] + colours * np.array([0.95, 0.88, 0.70]) * 0.9)
    props = rng.spawn(1)[0]
    entropy = int(props.integers(2**32))
    pictures = [
        _furnished(_seen(ground, area, view), view, light, np.random.default_rng(entropy)) for ground in grounds
    ]
    return Street(pictures[0], pictures[1], pictures[2] if lamps is not None else None)


def _seen_area(view: View) -> Map:
    """The rectangle of ground that the camera sees, with a margin, in 12 pixels a metre."""
    edge = np.array([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], dtype=float)
    ground = view.ground(edge)
    west, south = np.floor(ground.min(axis=0)) - 2
    east, north = np.ceil(ground.max(axis=0)) + 2
    return Map(float(west), float(south), float(east), float(north), 14)


def _seen(ground: Raster, area: Map, view: View) -> Image.Image:
    """The map as the camera sees it: each pixel's ray meets the ground in one point of the map."""
    raster = Image.fromarray((np.clip(ground, 0.0, 1.0) * 255).astype(np.uint8))
    screen = np.array([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], dtype=float)
    coefficients = _homography(screen, area.pixels(view.ground(screen)))
    return raster.transform(
        (view.width, view.height), Image.Transform.PERSPECTIVE, tuple(coefficients), Image.Resampling.BICUBIC
    )


def _homography(source: Points, target: Points) -> Points:
    """The eight coefficients (8,) that take the four points `source` (4, 2) to `target` (4, 2)."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return np.asarray(np.linalg.solve(np.array(rows), target.reshape(-1)))


def _shadow(area: Map, light: Light) -> Raster:
    """How much of the sun houses and trees take from the ground, (height, width), 0 to 1."""
    mask = Image.new("L", area.size, 0)
    draw = ImageDraw.Draw(mask)
    for west, south, east, north, height, _, _ in HOUSES:
        low, high = box(west, south, east, north), box(west, south, east, north)
        corners = np.concatenate(
            [light.cast(np.column_stack([low, np.zeros(4)])), light.cast(np.column_stack([high, np.full(4, height)]))]
        )
        draw.polygon([tuple(pixel) for pixel in area.pixels(hull(corners))], fill=255)
    for x, y in TREES:
        for up, reach in ((3.4, 2.3), (4.6, 1.9), (2.6, 1.7)):
            centre = area.pixels(light.cast(np.array([x, y, up])))
            radius = reach * area.scale
            draw.ellipse((*(centre - radius), *(centre + radius)), fill=235)
    soft = mask.filter(ImageFilter.GaussianBlur(light.softness * area.scale + 1))
    return np.asarray(soft, dtype=np.float32) / 255


def _lamp_pools(area: Map) -> Raster:
    """The light (height, width) of the street lamps on the ground, 0 to 1."""
    mask = Image.new("L", area.size, 0)
    draw = ImageDraw.Draw(mask)
    for arm in range(ARMS):
        for spot in ((HALF_ROAD - 0.5, -13.5), (HALF_ROAD - 0.5, -33.0)):
            centre, radius = area.pixels(turned(np.array(spot), arm)), 6.5 * area.scale
            draw.ellipse((*(centre - radius), *(centre + radius)), fill=150)
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(3.2 * area.scale)), dtype=np.float32) / 255


def _furnished(picture: Image.Image, view: View, light: Light, rng: np.random.Generator) -> Image.Image:
    """The picture with houses, benches and trees drawn on it, far ones first."""
    painter = Painter(view, light)
    painter.turn_to(picture)
    things: list[tuple[float, Solid | tuple[float, float]]] = []
    for west, south, east, north, height, wall, roof in HOUSES[:-1]:
        solid = Solid.of(_house(box(west, south, east, north), height, wall, roof, light, rng))
        things.append((float(view.distance(np.array([(west + east) / 2, (south + north) / 2, 0]))), solid))
    for x, y in BENCHES:
        outline = box(x - 0.9, y - 0.25, x + 0.9, y + 0.25)
        things.append(
            (
                float(view.distance(np.array([x, y, 0.0]))),
                Solid.of(frustum(outline, 0.3, outline, 0.5, (0.42, 0.27, 0.15))),
            )
        )
    things += [(float(view.distance(np.array([x, y, 0.0]))), (x, y)) for x, y in TREES]
    for _, thing in sorted(things, key=lambda pair: -pair[0]):
        if isinstance(thing, Solid):
            painter.solid(thing)
        else:
            _tree(picture, view, light, thing, rng)
    return picture


def _house(
    outline: Points, height: float, wall: Paint, roof: Paint, light: Light, rng: np.random.Generator
) -> list[Face]:
    """Walls with rows of windows, a plinth and a flat roof with an edge."""
    shell = frustum(outline, 0.0, outline, height, wall)
    faces = [*shell[:4]]
    for side in range(4):
        start, along = outline[side], outline[(side + 1) % 4] - outline[side]
        faces += _windows(start, along, height, shell[side].normal, light, rng)
        faces.append(upright(start, along, 0.0, 0.7, (0.34, 0.33, 0.32), shell[side].normal))
        faces.append(upright(start, along, height - 0.5, height, (0.78, 0.76, 0.72), shell[side].normal))
    faces.append(Face(shell[4].points, roof, shell[4].normal))
    inner = box(*(outline[0] + 0.6), *(outline[2] - 0.6))
    faces.append(
        Face(np.column_stack([inner, np.full(4, height)]), tuple(0.85 * part for part in roof), shell[4].normal)
    )  # type: ignore[arg-type]
    return faces


def _windows(
    start: Points, along: Points, height: float, normal: Points, light: Light, rng: np.random.Generator
) -> list[Face]:
    length = float(np.hypot(*along))
    unit = along / length
    faces = []
    for floor in np.arange(1.1, height - 2.0, 3.1):
        for left in np.arange(1.2, length - 2.0, 2.7):
            lit = light.lamps and rng.random() < 0.45
            warm: Paint = (0.98, 0.80, 0.48) if lit else (0.17, 0.21, 0.27)
            frame = upright(
                start + unit * (left - 0.12), unit * 1.54, floor - 0.12, floor + 1.82, (0.80, 0.78, 0.75), normal
            )
            pane = upright(start + unit * left, unit * 1.3, floor, floor + 1.7, warm, normal)
            faces += [frame, Face(pane.points, pane.paint, normal, lit)]
    return faces


def _tree(picture: Image.Image, view: View, light: Light, place: tuple[float, float], rng: np.random.Generator) -> None:
    """A crown of many leaves' clumps, brighter towards the sun, over a trunk."""
    x, y = place
    painter = Painter(view, light)
    painter.turn_to(picture)
    trunk = box(x - 0.16, y - 0.16, x + 0.16, y + 0.16)
    painter.solid(Solid.of(frustum(trunk, 0.0, trunk, 2.6, (0.28, 0.21, 0.15))))
    ways = rng.normal(size=(LEAVES, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    centres = np.array([x, y, 3.9]) + ways * np.array([2.2, 2.2, 1.7]) * rng.uniform(0.5, 1.0, (LEAVES, 1))
    bright = light.on(ways) * rng.uniform(0.7, 1.2, (LEAVES, 1))
    green = np.array([0.26, 0.38, 0.16]) * rng.uniform(0.85, 1.15)
    draw = ImageDraw.Draw(picture)
    for clump in np.argsort(-view.distance(centres)):
        pixel = view.project(centres[clump])
        radius = view.focal * 0.30 / float(view.distance(centres[clump]))
        ink = tuple(int(level) for level in np.clip(green * bright[clump] * 255, 0, 255))
        draw.ellipse((*(pixel - radius), *(pixel + radius * 0.9)), fill=ink)
