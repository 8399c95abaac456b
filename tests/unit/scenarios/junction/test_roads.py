"""The junction's plan and its signals."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.junction.roads import ARMS, SPACING, STOP_LINE, Turn, corner, exit_arm, footway_end, lane_path, turned
from scenarios.junction.signals import CYCLE, Lamp, lamp, walk

ALL_PATHS = [(arm, turn) for arm in range(ARMS) for turn in Turn]


@pytest.mark.parametrize(("arm", "turn"), ALL_PATHS)
def test_a_path_has_no_gap(arm: int, turn: Turn) -> None:
    """Neighbouring points of a path lie `SPACING` apart, a little less in the bend."""
    steps = np.hypot(*np.diff(lane_path(arm, turn).points, axis=0).T)
    assert steps.max() < SPACING * 1.001
    assert steps.min() > SPACING * 0.98


@pytest.mark.parametrize(("arm", "turn"), ALL_PATHS)
def test_a_path_ends_on_the_arm_it_leaves_by(arm: int, turn: Turn) -> None:
    """The last point lies on the exit arm, right of its middle as one drives away from the junction."""
    x, y = turned(lane_path(arm, turn).points[-1], -exit_arm(arm, turn))
    assert y < -50
    assert -3.0 < x < -0.5


@pytest.mark.parametrize(("arm", "turn"), ALL_PATHS)
def test_the_stop_line_is_where_it_says(arm: int, turn: Turn) -> None:
    """At `stop` along the path a vehicle stands at its arm's stop line."""
    path = lane_path(arm, turn)
    x, y = turned(path.locate(np.array([path.stop]))[0], -arm)
    assert y == pytest.approx(-STOP_LINE, abs=0.01)
    assert x == pytest.approx(1.75)


def test_left_turns_pass_each_other() -> None:
    """Two vehicles that turn left from opposite arms keep more than a car's width between their middles."""
    some, others = (lane_path(arm, Turn.LEFT).points for arm in (0, 2))
    assert np.hypot(*(some[:, None] - others[None]).transpose(2, 0, 1)).min() > 2.5


def test_four_quarter_turns_lead_home() -> None:
    """Arm 4 is arm 0."""
    point = np.array([3.0, -7.0])
    np.testing.assert_array_equal(point, turned(point, ARMS))
    np.testing.assert_array_equal([7.0, 3.0], turned(point, 1))


@pytest.mark.parametrize("quarter", range(ARMS))
@pytest.mark.parametrize("side", [0, 1])
def test_a_corner_lies_on_its_footway(quarter: int, side: int) -> None:
    """Where people wait is no farther from the road than the footway that leads there is."""
    gap = corner(quarter, side) - footway_end(quarter, side)
    assert np.abs(gap).min() < 0.5


def test_crossing_roads_never_have_green_together() -> None:
    """At any moment one of the two roads has red."""
    for seconds in np.arange(0.0, CYCLE, 0.1):
        assert Lamp.RED in {lamp(0, seconds), lamp(1, seconds)}


def test_opposite_arms_go_together() -> None:
    """Arms 0 and 2 always show the same."""
    assert all(lamp(0, seconds) is lamp(2, seconds) for seconds in np.arange(0.0, CYCLE, 0.1))


@pytest.mark.parametrize("arm", range(ARMS))
def test_people_walk_only_while_their_arm_has_red(arm: int) -> None:
    """Nobody is sent across an arm whose traffic has green or amber."""
    assert all(lamp(arm, seconds) is Lamp.RED for seconds in np.arange(0.0, 2 * CYCLE, 0.1) if walk(arm, seconds))
    assert any(walk(arm, seconds) for seconds in np.arange(0.0, CYCLE, 0.1))
