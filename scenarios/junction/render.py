"""Turns the junction's present moment into a picture and its ground truth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .bodies import vehicle_body, vehicle_outline
from .boxes import Box
from .figures import cyclist_outline, draw_cyclist, draw_walker, walker_outline
from .light import Light
from .painter import Painter
from .posts import draw_post, posts
from .roads import Points
from .shapes import hull, hull_area
from .solids import Solid, turning
from .street import build_street
from .traffic import Vehicle
from .view import WIDTH, View
from .walkers import Walker
from .world import World

__all__ = ["Renderer"]

SHARP = 2
"""Everything is drawn this many times as large and then made smaller: smooth edges."""
LEAST_SEEN = 0.45
"""Share of a thing's outline that must be on the picture and not hidden, for the thing to be asked for."""
LEAST_HEIGHT, LEAST_WIDTH = 8.0, 3.0
"""Pixels of a frame `WIDTH` wide, below which a thing is too small to be asked for."""
LEAST_UNCLEAR = 0.06
NOISE_FRAMES = 7
Pose = tuple[float, float, float]
Seen = tuple[NDArray[np.uint8], tuple[Box, ...], tuple[Box, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class _Thing:
    """Something that moves, where it is now.

    Attributes:
        pose: x, y and heading.
        distance: metres along the ground from the camera.
        outline: (n, 3) points around it.
        edge: (m, 2) its convex outline on the picture, in pixels.
    """

    what: Vehicle | Walker
    pose: Pose
    distance: float
    outline: Points
    edge: Points


class Renderer:
    """Draws one scene, frame after frame.

    Args:
        view: what the pictures show and how large they are.
        look: draws how the street looks.
        noise: draws the sensor's noise.
    """

    def __init__(self, view: View, light: Light, look: np.random.Generator, noise: np.random.Generator) -> None:
        self._view = view
        self._sharp = view.scaled(SHARP)
        self._light = light
        self._painter = Painter(self._sharp, light)
        self._street = build_street(self._sharp, light, look)
        self._posts = posts()
        self._noise = noise
        size = (NOISE_FRAMES, view.height, view.width, 3)
        self._grain = np.round(noise.normal(0.0, light.noise, size)).astype(np.int16)
        self._bodies: dict[tuple[int, bool], Solid] = {}

    def render(self, world: World) -> Seen:
        """A picture (height, width, 3) uint8, what a detector has to find on it, and what is too unclear to ask for."""
        things = sorted(self._met([*world.vehicles, *world.walkers]), key=lambda thing: -thing.distance)
        picture = self._ground(things)
        self._painter.turn_to(picture)
        waiting = list(self._posts)
        for thing in things:
            while waiting and waiting[0].distance(self._view) > thing.distance:
                draw_post(self._painter, waiting.pop(0), world.seconds)
            self._draw(thing)
        for post in waiting:
            draw_post(self._painter, post, world.seconds)
        self._forget(world)
        return self._developed(picture), *self._truth(things)

    def _met(self, moving: Sequence[Vehicle | Walker]) -> Iterator[_Thing]:
        """Those that are on the picture, as the camera meets them."""
        poses = [what.pose() for what in moving]
        outlines = [_outline(what, pose) for what, pose in zip(moving, poses, strict=True)]
        pixels = self._view.project(np.concatenate([np.zeros((0, 3)), *outlines]))
        margin = self._view.width // 12
        start = 0
        for what, pose, outline in zip(moving, poses, outlines, strict=True):
            around = pixels[start : start + len(outline)]
            start += len(outline)
            (left, top), (right, bottom) = around.min(axis=0).tolist(), around.max(axis=0).tolist()
            if min(right, bottom) < -margin or left > self._view.width + margin or top > self._view.height + margin:
                continue
            distance = math.hypot(pose[0] - self._view.eye[0], pose[1] - self._view.eye[1])
            edge = _rounded(left, top, right, bottom) if isinstance(what, Walker) else hull(around)
            yield _Thing(what, pose, distance, outline, edge)

    def _draw(self, thing: _Thing) -> None:
        if isinstance(thing.what, Walker):
            draw_walker(self._painter, thing.what, thing.pose)
        elif thing.what.kind.name == "bicycle":
            draw_cyclist(self._painter, thing.what, thing.pose)
        else:
            self._painter.solid(self._body(thing.what).placed(*thing.pose))

    def _body(self, vehicle: Vehicle) -> Solid:
        key = (vehicle.number, vehicle.acceleration < -0.6 or vehicle.speed < 0.3)
        if key not in self._bodies:
            self._bodies[key] = vehicle_body(vehicle.kind, vehicle.paint, braking=key[1], lamps=self._light.lamps)
        return self._bodies[key]

    def _ground(self, things: list[_Thing]) -> Image.Image:
        """The street with the shadows, and at dusk the headlights, of all that is on it."""
        shadows = [_spread(t) if self._light.diffuse else self._fallen(t) for t in things]
        shade = self._mask(shadows, *((190, 2.2) if self._light.diffuse else (255, 0.6)))
        ground = Image.composite(self._street.shaded, self._street.lit, shade)
        if self._street.glared is None:
            return ground
        beams = [_beam(thing.what, thing.pose) for thing in things if isinstance(thing.what, Vehicle)]
        return Image.composite(self._street.glared, ground, self._mask(beams, 120, 8.0))

    def _fallen(self, thing: _Thing) -> Points:
        """The ground (n, 2) that a thing's shadow falls on: a strip for people, who are thin."""
        if not isinstance(thing.what, Walker):
            return hull(self._light.cast(thing.outline))
        foot = np.array(thing.pose[:2])
        head = self._light.cast(np.array([*foot, thing.what.look.height]))
        side = (head - foot)[::-1] * (-0.2, 0.2) / max(math.hypot(*(head - foot)), 0.1)
        return np.stack([foot - side, foot + side, head + side, head - side])

    def _mask(self, patches: list[Points], level: int, blur: float) -> Image.Image:
        """A mask at the sharp size with patches of ground (n, 2) each, blurred by `blur` pixels of a small frame."""
        mask = Image.new("L", (self._view.width, self._view.height), 0)
        draw = ImageDraw.Draw(mask)
        ends = np.cumsum([len(patch) for patch in patches]).tolist()
        ground = np.concatenate([np.zeros((0, 2)), *patches])
        points = list(map(tuple, self._view.project(np.column_stack([ground, np.zeros(len(ground))])).tolist()))
        for start, end in zip([0, *ends], ends, strict=False):
            draw.polygon(points[start:end], fill=level)
        soft = mask.filter(ImageFilter.BoxBlur(blur * self._view.width / WIDTH))
        return soft.resize(self._street.lit.size, Image.Resampling.NEAREST)

    def _truth(self, things: list[_Thing]) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """Boxes to be found, and boxes too unclear to ask for. Near things hide far ones."""
        owners = Image.new("I", (self._view.width, self._view.height), 0)
        draw = ImageDraw.Draw(owners)
        for number, thing in enumerate(things, start=1):
            draw.polygon([(x, y) for x, y in thing.edge.tolist()], fill=number)
        seen = np.bincount(np.asarray(owners).ravel(), minlength=len(things) + 1)[1:]
        truth, unclear = [], []
        enlarged = self._view.width / WIDTH
        for thing, pixels in zip(things, seen.tolist(), strict=True):
            box = self._box(thing)
            share = pixels / max(hull_area(thing.edge), 1.0)
            large = box.bottom - box.top >= LEAST_HEIGHT * enlarged and box.right - box.left >= LEAST_WIDTH * enlarged
            if share >= LEAST_SEEN and large:
                truth.append(box)
            elif share >= LEAST_UNCLEAR and box.area > 0:
                unclear.append(box)
        return tuple(truth), tuple(unclear)

    def _box(self, thing: _Thing) -> Box:
        limits = (self._view.width, self._view.height)
        left, top = np.clip(thing.edge.min(axis=0), 0, limits).tolist()
        right, bottom = np.clip(thing.edge.max(axis=0), 0, limits).tolist()
        return Box("person" if isinstance(thing.what, Walker) else "vehicle", left, top, right, bottom)

    def _developed(self, picture: Image.Image) -> NDArray[np.uint8]:
        """The picture at the camera's size, with the sensor's noise."""
        small = np.asarray(picture.reduce(SHARP)).astype(np.int16)
        grain = self._grain[int(self._noise.integers(NOISE_FRAMES))]
        split = int(self._noise.integers(1, self._view.height))
        small[split:] += grain[:-split]
        small[:split] += grain[-split:]
        return np.clip(small, 0, 255, out=small).astype(np.uint8)

    def _forget(self, world: World) -> None:
        """Drops the bodies of vehicles that have left."""
        here = {vehicle.number for vehicle in world.vehicles}
        for key in [key for key in self._bodies if key[0] not in here]:
            del self._bodies[key]


def _outline(what: Vehicle | Walker, pose: Pose) -> Points:
    if isinstance(what, Walker):
        return walker_outline(what, pose)
    if what.kind.name == "bicycle":
        return cyclist_outline(pose)
    x, y, heading = pose
    return np.asarray(vehicle_outline(what.kind) @ turning(heading) + (x, y, 0.0))


def _rounded(left: float, top: float, right: float, bottom: float) -> Points:
    """A rectangle (8, 2) with its corners cut off: the outline of somebody upright."""
    wide, high = (right - left) * 0.3, (bottom - top) * 0.2
    xs = (left + wide, right - wide, right, right, right - wide, left + wide, left, left)
    ys = (top, top, top + high, bottom - high, bottom, bottom, bottom - high, top + high)
    return np.column_stack([xs, ys])


def _spread(thing: _Thing) -> Points:
    """The ground (n, 2) that a thing darkens under a grey sky: below it and a little around."""
    if isinstance(thing.what, Walker):
        low = thing.outline[:4, :2]
    elif thing.what.kind.name == "bicycle":
        low = hull(thing.outline[:6, :2])
    else:
        low = thing.outline[:8, :2]
    middle = low.mean(axis=0)
    return np.asarray(middle + (low - middle) * 1.12)


def _beam(vehicle: Vehicle, pose: Pose) -> Points:
    """The patch of ground (4, 2) that a vehicle's headlights reach."""
    x, y, heading = pose
    forward = np.array([math.cos(heading), math.sin(heading)])
    side = np.array([-forward[1], forward[0]])
    nose = np.array([x, y]) + forward * (vehicle.kind.length / 2 + 0.3)
    end = nose + forward * (7.5 if vehicle.kind.name != "bicycle" else 3.0)
    wide = vehicle.kind.width / 2
    return np.stack([nose - side * wide, nose + side * wide, end + side * wide * 2.4, end - side * wide * 2.4])
