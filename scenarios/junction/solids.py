"""Solid shapes made of flat faces: what buildings and vehicles are built from. Metres, no light, no picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fleet import Paint
from .roads import Points

__all__ = ["Face", "Solid", "box", "flat", "frustum", "turning", "upright"]


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A flat polygon.

    Attributes:
        points: (n, 3) corners, in order.
        paint: its reflectance.
        normal: (3,) outward unit vector. A decal, such as a window, has the normal of what it lies on.
        glow: whether it shines by itself, whatever the light.
    """

    points: Points
    paint: Paint
    normal: Points
    glow: bool = False


def frustum(base: Points, low: float, top: Points, high: float, paint: Paint) -> list[Face]:
    """The sides and the top of a solid between two outlines of as many corners, counter-clockwise seen from above.

    Args:
        base, top: (n, 2) outlines at the heights `low` and `high`.
    """
    below = np.column_stack([base, np.full(len(base), low)])
    above = np.column_stack([top, np.full(len(top), high)])
    faces = []
    for one in range(len(base)):
        two = (one + 1) % len(base)
        faces.append(flat(np.stack([below[one], below[two], above[two], above[one]]), paint))
    return [*faces, flat(above, paint)]


def flat(points: Points, paint: Paint, *, glow: bool = False) -> Face:
    """A face whose normal follows from its corners, counter-clockwise seen from outside."""
    normal = np.cross(points[1] - points[0], points[2] - points[1])
    return Face(points, paint, normal / max(float(np.linalg.norm(normal)), 1e-9), glow)


def box(west: float, south: float, east: float, north: float) -> Points:
    """A rectangle's outline (4, 2), counter-clockwise."""
    return np.array([[west, south], [east, south], [east, north], [west, north]])


def upright(start: Points, end: Points, low: float, high: float, paint: Paint) -> Face:
    """A vertical rectangle between two ground points (2,), between two heights; it faces to the right of that way."""
    ends = np.stack([start, end, end, start])
    return flat(np.column_stack([ends, [low, low, high, high]]), paint)


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """Many faces in a few arrays, so that moving, lighting and projecting them is a handful of operations.

    Attributes:
        points: (n, 3) the corners of all faces, one face after the other.
        ends: for each face, where its corners end.
        normals: (f, 3).
        paints: (f, 3).
        glows: (f,).
    """

    points: Points
    ends: tuple[int, ...]
    normals: Points
    paints: Points
    glows: NDArray[np.bool_]

    @classmethod
    def of(cls, faces: Sequence[Face]) -> Solid:
        """The faces, to be painted in this order."""
        return cls(
            points=np.concatenate([face.points for face in faces]),
            ends=tuple(int(end) for end in np.cumsum([len(face.points) for face in faces])),
            normals=np.stack([face.normal for face in faces]),
            paints=np.array([face.paint for face in faces]),
            glows=np.array([face.glow for face in faces]),
        )

    def placed(self, x: float, y: float, heading: float) -> Solid:
        """This solid, built around the origin facing east, moved to (x, y) and turned to `heading` radians."""
        turn = turning(heading)
        return Solid(self.points @ turn + (x, y, 0.0), self.ends, self.normals @ turn, self.paints, self.glows)


def turning(heading: float) -> Points:
    """The matrix (3, 3) that turns rows of points to `heading` radians when multiplied from the right."""
    cos, sin = float(np.cos(heading)), float(np.sin(heading))
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
