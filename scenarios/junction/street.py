"""The picture of the empty junction, in sun and in shade: the map of its ground as the camera sees it, furnished."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .ground import Map, Raster, paint_ground
from .light import Light
from .roads import ARMS, HALF_ROAD, Points, turned
from .scenery import HOUSES, TREES, furnish
from .shapes import hull
from .view import View

__all__ = ["Street", "build_street"]

SCALE = 14
"""Pixels of the map per metre."""
SHADE = 0.92
"""Share of the sky that a place in shadow still sees."""
LAMP_COLOUR = (0.95, 0.72, 0.42)
HEADLIGHT_COLOUR = (0.86, 0.79, 0.63)


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
    shadow = _shadow(area, light)[..., None]
    bright, dim = light.on(np.array([0.0, 0.0, 1.0])), light.sky * SHADE
    grounds = [colours * (bright + (dim - bright) * shadow), colours * dim]
    if light.lamps:
        pools = colours * np.array(LAMP_COLOUR) * _lamp_pools(area)[..., None]
        grounds = [ground + pools for ground in grounds]
        grounds.append(grounds[0] + colours * np.array(HEADLIGHT_COLOUR))
    entropy = int(rng.integers(2**32))
    pictures = []
    for ground in grounds:
        picture = _seen(ground, area, view)
        furnish(picture, view, light, np.random.default_rng(entropy))
        pictures.append(picture)
    return Street(pictures[0], pictures[1], pictures[2] if light.lamps else None)


def _seen_area(view: View) -> Map:
    """The rectangle of ground that the camera sees, with a margin."""
    ground = view.ground(_edge(view))
    west, south = np.floor(ground.min(axis=0)) - 2
    east, north = np.ceil(ground.max(axis=0)) + 2
    return Map(float(west), float(south), float(east), float(north), SCALE)


def _edge(view: View) -> Points:
    """The picture's four corners (4, 2)."""
    return np.array([[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]], dtype=np.float64)


def _seen(ground: Raster, area: Map, view: View) -> Image.Image:
    """The map as the camera sees it: each pixel's ray meets the ground in one point of the map."""
    raster = Image.fromarray((np.clip(ground, 0.0, 1.0) * 255).astype(np.uint8))
    coefficients = _homography(_edge(view), area.pixels(view.ground(_edge(view))))
    size = (view.width, view.height)
    return raster.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)


def _homography(source: Points, target: Points) -> tuple[float, ...]:
    """The eight coefficients that take the four points `source` (4, 2) to `target` (4, 2)."""
    rows = []
    for (x, y), (u, v) in zip(source.tolist(), target.tolist(), strict=True):
        rows.append([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y])
        rows.append([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y])
    return tuple(np.linalg.solve(np.array(rows), target.reshape(-1)).tolist())


def _shadow(area: Map, light: Light) -> Raster:
    """How much of the sun houses and trees take from the ground, (height, width), 0 to 1."""
    mask = Image.new("L", area.size, 0)
    draw = ImageDraw.Draw(mask)
    for house in HOUSES:
        levels = [np.column_stack([house.outline, np.full(4, high)]) for high in (0.0, house.height)]
        fallen = hull(light.cast(np.concatenate(levels)))
        draw.polygon([tuple(pixel) for pixel in area.pixels(fallen).tolist()], fill=255)
    for x, y in TREES:
        for up, reach in ((3.4, 2.3), (4.6, 1.9), (2.6, 1.7)):
            centre = area.pixels(light.cast(np.array([x, y, up])))
            radius = reach * area.scale
            draw.ellipse((*(centre - radius), *(centre + radius)), fill=235)
    soft = mask.filter(ImageFilter.GaussianBlur(light.softness * area.scale + 1))
    return np.asarray(soft, dtype=np.float32) / np.float32(255 if not light.diffuse else 464)


def _lamp_pools(area: Map) -> Raster:
    """The light (height, width) of the street lamps on the ground, 0 to 1."""
    mask = Image.new("L", area.size, 0)
    draw = ImageDraw.Draw(mask)
    for arm in range(ARMS):
        for spot in ((HALF_ROAD - 0.5, -13.5), (HALF_ROAD - 0.5, -33.0)):
            centre, radius = area.pixels(turned(np.array(spot), arm)), 6.5 * area.scale
            draw.ellipse((*(centre - radius), *(centre + radius)), fill=150)
    return np.asarray(mask.filter(ImageFilter.GaussianBlur(3.2 * area.scale)), dtype=np.float32) / np.float32(255)
