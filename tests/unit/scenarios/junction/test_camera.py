"""The simulated camera: determinism, ground truth and what a frame looks like."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.junction.camera import Camera, Frame
from scenarios.junction.view import HEIGHT, WIDTH


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    camera = Camera(11, light="noon")
    return [camera.frame() for _ in range(3)]


def test_the_same_seed_gives_the_same_bytes(frames: list[Frame]) -> None:
    """A second camera with the same seed sees the same, byte by byte, with the same truth."""
    again = Camera(11, light="noon")
    for frame in frames:
        other = again.frame()
        np.testing.assert_array_equal(frame.image, other.image)
        assert (frame.truth, frame.unclear) == (other.truth, other.unclear)


def test_frames_are_numbered_and_a_tenth_of_a_second_apart(frames: list[Frame]) -> None:
    """Frames count from 0 and follow one another in the junction's time."""
    assert [frame.number for frame in frames] == [0, 1, 2]
    assert np.diff([frame.seconds for frame in frames]) == pytest.approx([0.1, 0.1])


def test_a_frame_is_what_the_detector_takes(frames: list[Frame]) -> None:
    """Frames are (HEIGHT, WIDTH, 3) uint8, neither black nor white, and never quite the same."""
    for frame in frames:
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert 60 < frame.image.mean() < 200
    assert (frames[0].image != frames[1].image).mean() > 0.3


def test_the_truth_lies_on_the_picture(frames: list[Frame]) -> None:
    """Every box to find has a known label, lies within the frame and is large enough to be seen."""
    boxes = [box for frame in frames for box in frame.truth]
    assert {box.label for box in boxes} == {"vehicle", "person"}
    for box in boxes:
        assert 0 <= box.left < box.right <= WIDTH
        assert 0 <= box.top < box.bottom <= HEIGHT
        assert box.bottom - box.top >= 8


def test_a_larger_picture_shows_the_same_things(frames: list[Frame]) -> None:
    """At twice the scale everything to find is there too, at twice the pixels, if perhaps judged unclear."""
    large = Camera(11, light="noon", scale=2).frame()
    assert large.image.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    there = {(box.label, round(box.left), round(box.bottom)) for box in (*large.truth, *large.unclear)}
    assert {(box.label, round(2 * box.left), round(2 * box.bottom)) for box in frames[0].truth} <= there
