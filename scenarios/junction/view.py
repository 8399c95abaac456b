"""The camera's eye: a pinhole high on a wall, looking down at the junction. Pure geometry."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .roads import Points

__all__ = ["HEIGHT", "WIDTH", "View"]

WIDTH, HEIGHT = 384, 224
"""Of a camera frame, in pixels."""
EYE = (-15.5, -31.0, 21.5)
TARGET = (1.3, 0.6, 0.0)
FIELD = 46.0
"""Horizontal field of view, in degrees."""


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera.

    Attributes:
        width, height: of the picture, in pixels.
        sway: (east, north) shift of the point looked at, in metres: no two mountings are quite the same.
        eye: (3,) position in metres.
        axes: (3, 3) rows: right, down and forward, unit vectors.
        focal: focal length in pixels.
    """

    width: int = WIDTH
    height: int = HEIGHT
    sway: tuple[float, float] = (0.0, 0.0)
    eye: Points = field(init=False)
    axes: Points = field(init=False)
    focal: float = field(init=False)

    def __post_init__(self) -> None:
        eye = np.array(EYE)
        forward = np.array(TARGET) + np.array([*self.sway, 0.0]) - eye
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        object.__setattr__(self, "eye", eye)
        object.__setattr__(self, "axes", np.stack([right, np.cross(forward, right), forward]))
        object.__setattr__(self, "focal", self.width / 2 / float(np.tan(np.radians(FIELD) / 2)))

    def project(self, points: Points) -> Points:
        """Pixels (..., 2), x to the right and y down, of the world points (..., 3)."""
        seen = (points - self.eye) @ self.axes.T
        return np.asarray(seen[..., :2] * (self.focal / seen[..., 2:]) + np.array([self.width / 2, self.height / 2]))

    def distance(self, points: Points) -> Points:
        """Metres (...,) from the eye to the world points (..., 3)."""
        return np.asarray(np.sqrt(((points - self.eye) ** 2).sum(axis=-1)))

    def ground(self, pixels: Points) -> Points:
        """The points (..., 2) of the ground that are seen at `pixels` (..., 2)."""
        plane = (pixels - (self.width / 2, self.height / 2)) / self.focal
        rays = np.concatenate([plane, np.ones((*plane.shape[:-1], 1))], axis=-1) @ self.axes
        return np.asarray(self.eye[:2] - rays[..., :2] * (self.eye[2] / rays[..., 2:]))

    def scaled(self, factor: int) -> View:
        """The same view in a picture `factor` times as large."""
        return View(self.width * factor, self.height * factor, self.sway)
