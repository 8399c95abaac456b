"""Boxes: overlap and suppression."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.junction.boxes import Box, boxed, overlap, suppress


def corners(*boxes: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(boxes, dtype=np.float32).reshape(-1, 4)


def test_a_box_overlaps_itself_wholly() -> None:
    """The overlap of a box with itself is 1."""
    np.testing.assert_array_equal([[1.0]], overlap(corners((2, 3, 8, 9)), corners((2, 3, 8, 9))))


def test_half_a_box_shared_is_a_third_of_the_union() -> None:
    """Two equal boxes shifted by half their width share a third of what they cover together."""
    np.testing.assert_allclose([[1 / 3]], overlap(corners((0, 0, 4, 4)), corners((2, 0, 6, 4))), rtol=1e-6)


@pytest.mark.parametrize(
    "other", [(4, 0, 8, 4), (9, 9, 12, 12), (1, 1, 1, 3), (3, 3, 1, 1)], ids=["touching", "apart", "empty", "inverted"]
)
def test_what_shares_no_area_does_not_overlap(other: tuple[float, float, float, float]) -> None:
    """Boxes that touch, lie apart, or have no area overlap by 0, and nothing is divided by zero."""
    np.testing.assert_array_equal([[0.0]], overlap(corners((0, 0, 4, 4)), corners(other)))


def test_two_empty_boxes_do_not_overlap() -> None:
    """0 of 0 is 0, not a warning."""
    np.testing.assert_array_equal([[0.0]], overlap(corners((1, 1, 1, 1)), corners((1, 1, 1, 1))))


def test_overlap_of_none_is_an_empty_table() -> None:
    """No boxes on one side give a table without rows or columns."""
    assert overlap(corners(), corners((0, 0, 1, 1))).shape == (0, 1)


def test_an_inverted_box_has_no_area() -> None:
    """A box whose right edge lies left of its left edge has area 0."""
    assert Box("person", 5, 0, 1, 4).area == 0.0


def test_boxed_takes_corners_in_order() -> None:
    """The four corners become left, top, right and bottom, as plain numbers."""
    assert boxed("person", np.array([1, 2, 3, 4], dtype=np.float32), 0.5) == Box("person", 1.0, 2.0, 3.0, 4.0, 0.5)


def test_the_better_of_two_that_overlap_is_kept() -> None:
    """Of two boxes of one label on the same thing the one with the higher score stays."""
    both = corners((0, 0, 10, 10), (1, 0, 11, 10))
    assert suppress(both, np.array([0.4, 0.9]), [0, 0], 0.5) == [1]


def test_different_labels_do_not_suppress_each_other() -> None:
    """A person in front of a vehicle hides none of it."""
    both = corners((0, 0, 10, 10), (0, 0, 10, 10))
    assert suppress(both, np.array([0.4, 0.9]), [0, 1], 0.5) == [1, 0]


def test_a_dropped_box_drops_no_other() -> None:
    """A chain a-b-c keeps a and c: b is gone before it could suppress c."""
    chain = corners((0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10))
    assert suppress(chain, np.array([0.9, 0.8, 0.7]), [0, 0, 0], 0.4) == [0, 2]


def test_equal_scores_are_taken_in_order() -> None:
    """Ties fall to the first given, so the outcome never depends on chance."""
    both = corners((0, 0, 10, 10), (0, 0, 10, 10))
    assert suppress(both, np.array([0.5, 0.5]), [0, 0], 0.5) == [0]


def test_overlap_equal_to_the_limit_is_allowed() -> None:
    """Only an overlap above the limit drops a box."""
    both = corners((0, 0, 4, 4), (0, 0, 4, 2))
    assert suppress(both, np.array([0.9, 0.8]), [0, 0], 0.5) == [0, 1]


def test_nothing_in_nothing_out() -> None:
    """No boxes, none kept."""
    assert suppress(corners(), np.zeros(0), [], 0.5) == []
