"""The ground of the junction, painted as a map: asphalt, markings, kerbs, footways and grass. Light comes later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .roads import (
    ARMS,
    CROSSING,
    FOOTWAY,
    HALF_ROAD,
    KERB_RADIUS,
    LANE,
    REACH,
    STOP_LINE,
    Points,
    Turn,
    lane_path,
    turned,
)

__all__ = ["Map", "paint_ground", "patchwork"]

Raster = NDArray[np.floating]
Ink = tuple[int, int, int]

ASPHALT: Ink = (92, 93, 97)
PAVING: Ink = (168, 163, 155)
KERB: Ink = (196, 194, 188)
GRASS: Ink = (92, 122, 62)
PLAZA: Ink = (152, 143, 132)
WHITE: Ink = (226, 226, 220)


@dataclass(frozen=True, slots=True)
class Map:
    """A rectangle of ground and its raster: `scale` pixels a metre, row 0 in the north."""

    west: float
    south: float
    east: float
    north: float
    scale: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return round((self.east - self.west) * self.scale), round((self.north - self.south) * self.scale)

    def pixels(self, points: Points) -> Points:
        """Pixels (..., 2) of the ground points (..., 2)."""
        x, y = (points[..., 0] - self.west) * self.scale, (self.north - points[..., 1]) * self.scale
        return np.stack([x, y], axis=-1)


class _Brush:
    """Draws in metres, on one arm or on all four."""

    def __init__(self, area: Map, image: Image.Image) -> None:
        self._area = area
        self._draw = ImageDraw.Draw(image)

    def polygon(self, points: Points, ink: Ink) -> None:
        self._draw.polygon([tuple(pixel) for pixel in self._area.pixels(points)], fill=ink)

    def box(self, arm: int, edges: tuple[float, float, float, float], ink: Ink) -> None:
        """A rectangle given by its west, south, east and north edge as it would lie on arm 0."""
        west, south, east, north = edges
        points = np.array([[west, south], [east, south], [east, north], [west, north]])
        self.polygon(turned(points, arm), ink)

    def disc(self, centre: Points, radius: float, ink: Ink) -> None:
        (x, y), reach = self._area.pixels(centre), radius * self._area.scale
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=ink)

    def line(self, points: Points, width: float, ink: Ink) -> None:
        pixels = [tuple(pixel) for pixel in self._area.pixels(points)]
        self._draw.line(pixels, fill=ink, width=max(1, round(width * self._area.scale)), joint="curve")


def paint_ground(area: Map, rng: np.random.Generator) -> Raster:
    """Reflectance (height, width, 3), 0 to 1, of the ground in `area`."""
    sharp = Map(area.west, area.south, area.east, area.north, area.scale * 2)
    image = Image.new("RGB", sharp.size, GRASS)
    brush = _Brush(sharp, image)
    _paint_land(brush)
    _paint_roads(brush)
    worn = _worn(area, rng)
    _paint_markings(brush)
    _paint_covers(brush, rng)
    colours = np.asarray(image.reduce(2), dtype=np.float32) / 255
    return np.asarray(np.clip(colours * worn[..., None] * _grain(area, colours, rng)[..., None], 0.0, 1.0))


def patchwork(width: int, height: int, cell: float, octaves: int, rng: np.random.Generator) -> Raster:
    """Smooth noise (height, width) of mean 0 and about -1 to 1; the coarsest patches are `cell` pixels wide."""
    total = np.zeros((height, width), dtype=np.float32)
    weights = 0.0
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        grid = rng.uniform(-1, 1, (int(height / step) + 3, int(width / step) + 3)).astype(np.float32)
        weight = 0.6**octave
        total += weight * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
        weights += weight
    return np.asarray(total / np.float32(weights))


def _paint_land(brush: _Brush) -> None:
    """The four corners: two built up and paved, two green."""
    far = REACH + 10
    edge = HALF_ROAD + FOOTWAY
    for quarter in (1, 2):
        brush.polygon(turned(np.array([[edge, -edge], [far, -edge], [far, -far], [edge, -far]]), quarter), PLAZA)
    for quarter in range(ARMS):
        _paint_corner(brush, quarter, far)


def _paint_corner(brush: _Brush, quarter: int, far: float) -> None:
    """Footways along both arms of a corner, with the corner itself left to the kerb's arc."""
    edge = HALF_ROAD + FOOTWAY
    brush.box(quarter, (HALF_ROAD - 1, -far, edge, 0), PAVING)
    brush.box(quarter, (0, -edge, far, -HALF_ROAD + 1), PAVING)
    brush.disc(turned(np.array([edge + 1.5, -edge - 1.5]), quarter), 2.6, PAVING)


def _paint_roads(brush: _Brush) -> None:
    far = REACH + 10
    for ink, wide in ((KERB, 0.16), (ASPHALT, 0.0)):
        half = HALF_ROAD + wide
        for arm in range(ARMS):
            brush.box(arm, (-half, -far, half, 0), ink)
            brush.polygon(turned(_fillet(half, KERB_RADIUS - wide), arm), ink)


def _fillet(half: float, radius: float) -> Points:
    """The asphalt between two roads and the kerb's arc, at corner 0."""
    centre = half + radius
    angle = np.linspace(np.pi / 2, np.pi, 24)
    arc = np.stack([centre + radius * np.cos(angle), -centre + radius * np.sin(angle)], axis=-1)
    return np.concatenate([[[0.0, 0.0]], [[centre, 0.0]], arc, [[0.0, -centre]]])


def _paint_markings(brush: _Brush) -> None:
    near, far = CROSSING
    for arm in range(ARMS):
        for west in np.arange(-HALF_ROAD + 0.35, HALF_ROAD - 0.3, 1.0):
            brush.box(arm, (west, -far, west + 0.5, -near), WHITE)
        brush.box(arm, (0.15, -STOP_LINE - 0.4, HALF_ROAD - 0.15, -STOP_LINE), WHITE)
        brush.box(arm, (-0.08, -STOP_LINE - 12, 0.08, -STOP_LINE), WHITE)
        for south in np.arange(-REACH, -STOP_LINE - 13, 4.5):
            brush.box(arm, (-0.07, south, 0.07, south + 2.4), WHITE)
        for side in (-1, 1):
            edge = side * (HALF_ROAD - 0.28)
            brush.box(arm, (edge - 0.05, -REACH, edge + 0.05, -STOP_LINE), (188, 188, 180))
        _paint_arrow(brush, arm)


def _paint_arrow(brush: _Brush, arm: int) -> None:
    """The arrow before the stop line: any way is allowed."""
    x, y = LANE / 2, -STOP_LINE - 6.5
    brush.box(arm, (x - 0.09, y, x + 0.09, y + 3.2), WHITE)
    head = np.array([[x - 0.38, y + 3.0], [x + 0.38, y + 3.0], [x, y + 4.3]])
    brush.polygon(turned(head, arm), WHITE)
    for side in (-1, 1):
        brush.box(arm, (min(x, x + side * 0.55), y + 1.2, max(x, x + side * 0.55), y + 1.42), WHITE)
        barb = np.array([[x + side * 0.5, y + 0.95], [x + side * 0.5, y + 1.67], [x + side * 1.0, y + 1.31]])
        brush.polygon(turned(barb, arm), WHITE)


def _paint_covers(brush: _Brush, rng: np.random.Generator) -> None:
    """Manhole covers."""
    for _ in range(5):
        arm, x, y = int(rng.integers(ARMS)), rng.uniform(-2.6, 2.6), -rng.uniform(4.0, 30.0)
        brush.disc(turned(np.array([x, y]), arm), 0.36, (74, 73, 72))
        brush.disc(turned(np.array([x, y]), arm), 0.28, (84, 83, 82))


def _worn(area: Map, rng: np.random.Generator) -> Raster:
    """How much darker (height, width) use has made the ground: wheel tracks, mended patches and drips."""
    mask = Image.new("RGB", area.size, (0, 0, 0))
    brush = _Brush(area, mask)
    for arm in range(ARMS):
        for turn in Turn:
            points = lane_path(arm, turn).points
            brush.line(points, 2.3, (70, 0, 0))
        if rng.random() < 0.7:
            west, south = rng.uniform(-3.4, 1.0), -rng.uniform(14.0, 30.0)
            brush.box(arm, (west, south, west + rng.uniform(1.2, 2.4), south + rng.uniform(3.0, 9.0)), (0, 150, 0))
    tracks = np.asarray(mask.resize((mask.width // 8, mask.height // 8)).resize(mask.size, Image.Resampling.BICUBIC))
    mended = np.asarray(mask)[..., 1]
    return np.asarray(1.0 - tracks[..., 0] / 255 * 0.42 - mended / 255 * 0.2, dtype=np.float32)


def _grain(area: Map, colours: Raster, rng: np.random.Generator) -> Raster:
    """Texture (height, width) about 1: strong on grass, fine on asphalt, slabs on the footways."""
    width, height = area.size
    broad = patchwork(width, height, 9.0 * area.scale, 4, rng)
    fine = patchwork(width, height, 0.5 * area.scale, 3, rng)
    green = np.clip((colours[..., 1] - colours[..., 2]) * 6.0, 0.0, 1.0)
    return 1.0 + broad * (0.09 + 0.16 * green) + fine * (0.07 + 0.30 * green) - _joints(area, colours)


def _joints(area: Map, colours: Raster) -> Raster:
    """The joints (height, width) between the slabs of the footways, where the ground is that bright and grey."""
    width, height = area.size
    pitch = area.scale * 0.9
    lines = np.minimum(np.arange(width) % pitch, 99.0)[None, :] < 1.2
    rows = np.minimum(np.arange(height) % pitch, 99.0)[:, None] < 1.2
    slabs = np.all(np.abs(colours * 255 - np.array(PAVING)) < 6, axis=-1)
    return np.asarray((lines | rows) & slabs, dtype=np.float32) * np.float32(0.16)
