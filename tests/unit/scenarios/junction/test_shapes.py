"""Convex hulls."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scenarios.junction.shapes import hull, hull_area

COORDINATES = st.tuples(st.integers(-50, 50), st.integers(-50, 50))


def test_the_hull_of_a_square_drops_what_lies_inside() -> None:
    """Inner points and points on an edge are no corners."""
    points = np.array([[0, 0], [4, 0], [4, 4], [0, 4], [2, 2], [2, 0]], dtype=float)
    np.testing.assert_array_equal([[0, 0], [4, 0], [4, 4], [0, 4]], hull(points))
    assert hull_area(hull(points)) == 16.0


@given(st.lists(COORDINATES, min_size=3, max_size=30, unique=True))
def test_no_point_lies_outside_the_hull(points: list[tuple[int, int]]) -> None:
    """Every point is left of, or on, every edge of its hull."""
    corners = hull(np.array(points, dtype=float))
    ahead = np.roll(corners, -1, axis=0) - corners
    for x, y in points:
        side = ahead[:, 0] * (y - corners[:, 1]) - ahead[:, 1] * (x - corners[:, 0])
        assert side.min() >= 0
