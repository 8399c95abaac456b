"""Draws solids, people and bicycles on a picture, as a view and a light make them look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .fleet import Paint
from .light import Light
from .roads import Points
from .solids import Solid
from .view import View

__all__ = ["Limb", "Painter"]

Ink = tuple[int, int, int]
KNEE = 0.75
"""Brightness above which more light adds ever less, as in a camera."""


@dataclass(frozen=True, slots=True)
class Limb:
    """A part of a figure between numbered points: one point is a ball, several are a rod or, if filled, a patch.

    `width` is its thickness in metres; `shine` how bright its side is.
    """

    points: tuple[int, ...]
    width: float
    paint: Paint
    shine: float = 1.0
    filled: bool = False


class Painter:
    """A brush for pictures of one view in one light."""

    def __init__(self, view: View, light: Light) -> None:
        self.view = view
        self._light = light
        self._inks: dict[tuple[Paint, float], Ink] = {}
        self._half_sun: list[float] = (light.sun * 0.62 + light.sky * 0.9).tolist()
        self._draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))

    def turn_to(self, picture: Image.Image) -> None:
        """What follows is drawn on this picture."""
        self._draw = ImageDraw.Draw(picture)

    def solid(self, solid: Solid) -> None:
        """Draws the faces that look at the camera, in their order."""
        pixels = self.view.project(solid.points).tolist()
        starts = [0, *solid.ends[:-1]]
        seen = ((self.view.eye - solid.points[starts]) * solid.normals).sum(axis=1) > 0
        shades = np.where(solid.glows[:, None], solid.paints, solid.paints * self._light.on(solid.normals))
        inks = _levels(shades).tolist()
        for face in np.flatnonzero(seen).tolist():
            corners = [(x, y) for x, y in pixels[starts[face] : solid.ends[face]]]
            self._draw.polygon(corners, fill=tuple(inks[face]))

    def limbs(self, points: Points, limbs: Sequence[Limb]) -> None:
        """Draws rods, balls and patches between the world points (n, 3), all about as far away, in their order."""
        pixels = [(x, y) for x, y in self.view.project(points).tolist()]
        scale = self.view.focal / float(self.view.distance(points[0]))
        for limb in limbs:
            ink = self._ink(limb.paint, limb.shine)
            ends = [pixels[index] for index in limb.points]
            if limb.filled:
                self._draw.polygon(ends, fill=ink)
            elif len(ends) > 1:
                self._draw.line(ends, fill=ink, width=max(1, round(limb.width * scale)))
            else:
                (x, y), reach = ends[0], limb.width * scale / 2
                self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=ink)

    def glow(self, centre: Points, radius: float, paint: Paint) -> None:
        """A lamp around the world point `centre` (3,), as bright by night as by day."""
        x, y = self.view.project(centre).tolist()
        reach = max(1.0, self.view.focal / float(self.view.distance(centre)) * radius)
        red, green, blue = (int(part * 255) for part in paint)
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(red, green, blue))

    def _ink(self, paint: Paint, shine: float) -> Ink:
        """The colour of a paint in half sun, `shine` times as bright."""
        known = self._inks.get((paint, shine))
        if known is None:
            red, green, blue = (
                round(255 * _pressed(part * by * shine)) for part, by in zip(paint, self._half_sun, strict=True)
            )
            known = self._inks[paint, shine] = (red, green, blue)
        return known


def _pressed(shade: float) -> float:
    """Light 0 to 1 of light 0 and above, with bright light pressed together instead of cut off."""
    return shade if shade < KNEE else KNEE + (1 - KNEE) * math.tanh((shade - KNEE) / (1 - KNEE))


def _levels(shades: Points) -> NDArray[np.intp]:
    """Levels 0 to 255 of light 0 and above, pressed alike."""
    pressed = np.where(shades < KNEE, shades, KNEE + (1 - KNEE) * np.tanh((shades - KNEE) / (1 - KNEE)))
    return (pressed * 255).astype(np.intp)
