"""Flat shapes: the convex hull of points and its area. Pure."""

from __future__ import annotations

import numpy as np

from .roads import Points

__all__ = ["hull", "hull_area"]


def hull(points: Points) -> Points:
    """The convex hull (m, 2) of points (n, 2), counter-clockwise with y up.

    Source: Andrew 1979, the monotone chain.
    """
    ordered = sorted(map(tuple, points.tolist()))
    return np.array(_chain(ordered) + _chain(ordered[::-1]))


def hull_area(points: Points) -> float:
    """The area of a polygon (n, 2) whose corners are in order."""
    x, y = points[:, 0], points[:, 1]
    return abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1])) / 2


def _chain(ordered: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """One side of the hull, without its last point."""
    out: list[tuple[float, ...]] = []
    for x, y in ordered:
        while len(out) > 1:
            (x1, y1), (x2, y2) = out[-2], out[-1]
            if (x2 - x1) * (y - y1) > (y2 - y1) * (x - x1):
                break
            out.pop()
        out.append((x, y))
    return out[:-1]
