"""Matching detections with the truth, and counting."""

from __future__ import annotations

from scenarios.junction.boxes import Box
from scenarios.junction.score import Match, Score, Tally, match


def person(left: float, score: float = 1.0, label: str = "person") -> Box:
    return Box(label, left, 0.0, left + 10.0, 10.0, score)


def test_a_box_on_a_thing_is_found() -> None:
    """An overlap of a half or more counts."""
    assert match([person(1)], [person(0)]) == Match(found=1, wrong=0, missed=0)


def test_an_overlap_of_exactly_half_counts() -> None:
    """The limit itself is enough."""
    half = Box("person", 0.0, 0.0, 10.0, 5.0)
    assert match([half], [person(0)]) == Match(found=1, wrong=0, missed=0)


def test_a_box_beside_a_thing_is_wrong_and_the_thing_missed() -> None:
    """Too little overlap costs twice."""
    assert match([person(6)], [person(0)]) == Match(found=0, wrong=1, missed=1)


def test_a_second_box_on_one_thing_is_wrong() -> None:
    """Each thing is found once."""
    assert match([person(0, 0.9), person(1, 0.8)], [person(0)]) == Match(found=1, wrong=1, missed=0)


def test_the_surer_box_chooses_first() -> None:
    """A weak box that fits better does not take the thing from a sure one that has no other."""
    sure, weak = person(2, 0.9), person(0, 0.3)
    assert match([weak, sure], [person(1), person(-2)]) == Match(found=2, wrong=0, missed=0)


def test_an_unclear_thing_excuses_a_box_and_is_never_missed() -> None:
    """What is too hidden to be asked for counts neither way."""
    assert match([person(0)], [], [person(1)]) == Match(found=0, wrong=0, missed=0)
    assert match([], [], [person(1)]) == Match(found=0, wrong=0, missed=0)


def test_a_clear_thing_comes_before_an_unclear_one() -> None:
    """A box that fits both counts as found."""
    assert match([person(0)], [person(1)], [person(0)]) == Match(found=1, wrong=0, missed=0)


def test_nothing_to_match() -> None:
    """No boxes and no truth give zeros."""
    assert match([], []) == Match(found=0, wrong=0, missed=0)


def test_labels_are_counted_apart() -> None:
    """A vehicle's box on a person is wrong for the one and missing for the other."""
    score = Score()
    score.add([person(0, label="vehicle")], [person(0)])
    assert score.labels == {"person": Tally(missed=1), "vehicle": Tally(wrong=1)}
    assert score.total == Tally(found=0, wrong=1, missed=1)


def test_a_score_runs_over_frames() -> None:
    """Precision is the share of boxes that fit, recall that of things found, over all frames."""
    score = Score()
    score.add([person(0), person(40)], [person(0)])
    score.add([person(0)], [person(0), person(40), person(80)])
    assert (score.frames, score.total.precision, score.total.recall) == (2, 2 / 3, 0.5)


def test_an_empty_score_is_faultless() -> None:
    """Before anything came, nothing was wrong and nothing missed."""
    assert (Score().total.precision, Score().total.recall) == (1.0, 1.0)


def test_an_excused_box_leaves_its_label_without_counts() -> None:
    """A frame with only unclear things changes no share."""
    score = Score()
    score.add([person(0)], [], [person(0)])
    assert score.total == Tally()
