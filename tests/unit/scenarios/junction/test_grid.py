"""The detector's output grid, written and read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.junction.boxes import Box, overlap
from scenarios.junction.grid import LABELS, STRIDE, read_grid, write_grid

ROWS, COLUMNS = 20, 30


def as_answer(truth: list[Box]) -> np.ndarray:
    """The grid that a perfect detector would give: sure where the target's heat is 1."""
    target = write_grid(truth, [], ROWS, COLUMNS)
    logits = np.where(target.heat > 0.999, 8.0, -8.0)
    return np.concatenate([logits, target.edges]).astype(np.float32)


def as_corners(boxes: list[Box]) -> np.ndarray:
    return np.array([(box.left, box.top, box.right, box.bottom) for box in boxes], dtype=np.float32)


@given(
    left=st.floats(0, 60),
    top=st.floats(0, 30),
    wide=st.floats(6, 50),
    high=st.floats(6, 40),
    label=st.sampled_from(LABELS),
)
def test_what_is_written_is_read_again(left: float, top: float, wide: float, high: float, label: str) -> None:
    """A perfect answer to one box is that box."""
    box = Box(label, left, top, left + wide, top + high)
    (read,) = read_grid(as_answer([box]), 0.4, 0.6)
    assert read.label == label
    assert read.score == pytest.approx(1 / (1 + np.exp(-8.0)))
    assert overlap(as_corners([box]), as_corners([read]))[0, 0] > 0.999


def test_neighbours_are_read_apart() -> None:
    """Two people side by side stay two."""
    two = [Box("person", 10, 10, 18, 34), Box("person", 20, 10, 28, 34)]
    read = sorted(read_grid(as_answer(two), 0.4, 0.6), key=lambda box: box.left)
    np.testing.assert_allclose(as_corners(two), as_corners(read), atol=1e-3)


def test_people_in_neighbouring_cells_are_read_apart() -> None:
    """Two people whose middles lie one cell apart stay two: only boxes that overlap too much are dropped."""
    two = [Box("person", 11, 10, 16, 34), Box("person", 15, 12, 20, 36)]
    assert len(read_grid(as_answer(two), 0.4, 0.4)) == 2


def test_two_cells_that_answer_for_one_thing_give_one_box() -> None:
    """A neighbouring cell learns the box of the same thing, so that the weaker answer is dropped."""
    box = Box("vehicle", 20, 20, 60, 50)
    grid = as_answer([box])
    row, column = np.argwhere(grid[0] > 0)[0]
    grid[0, row, column + 1] = 2.0
    (read,) = read_grid(grid, 0.4, 0.4)
    np.testing.assert_allclose(as_corners([box]), as_corners([read]), atol=1e-3)


def test_a_lower_score_than_the_threshold_is_no_box() -> None:
    """A logit below that of the threshold is not read; one at or above it is."""
    grid = np.full((6, ROWS, COLUMNS), -9.0, dtype=np.float32)
    grid[0, 5, 5] = 0.0
    assert len(read_grid(grid, 0.49, 0.6)) == 1
    assert read_grid(grid, 0.51, 0.6) == []


def test_boxes_stay_on_the_frame() -> None:
    """Edges beyond the frame are brought back to it, however far they reach."""
    grid = np.full((6, ROWS, COLUMNS), -9.0, dtype=np.float32)
    grid[0, 0, 0] = 5.0
    grid[2:, 0, 0] = 50.0
    (box,) = read_grid(grid, 0.4, 0.6)
    assert (box.left, box.top, box.right, box.bottom) == (0.0, 0.0, COLUMNS * STRIDE, ROWS * STRIDE)


def test_an_empty_frame_asks_for_silence() -> None:
    """Without things the target is cold everywhere, and all of it is asked for."""
    target = write_grid([], [], ROWS, COLUMNS)
    assert (target.heat.max(), target.weight.max(), target.asked.min()) == (0.0, 0.0, 1.0)


def test_an_unclear_thing_is_not_asked_for() -> None:
    """Around an unclear thing its label may be answered or not; the other label is asked for as ever."""
    target = write_grid([], [Box("person", 40, 40, 50, 60)], ROWS, COLUMNS)
    assert target.asked[LABELS.index("person"), 12, 11] == 0.0
    assert target.asked[LABELS.index("vehicle")].min() == 1.0


def test_a_clear_thing_on_an_unclear_one_is_asked_for() -> None:
    """The middle of what is clear counts, whatever lies around it."""
    both = Box("person", 40, 40, 50, 60)
    target = write_grid([both], [both], ROWS, COLUMNS)
    assert target.asked[LABELS.index("person")][target.heat[LABELS.index("person")] == 1.0].min() == 1.0
