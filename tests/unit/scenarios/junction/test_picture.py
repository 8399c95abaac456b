"""Annotated pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenarios.junction.boxes import Box
from scenarios.junction.picture import AMBER, CYAN, annotated, save_png, sheet

FRAME = np.full((60, 100, 3), 90, dtype=np.uint8)


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}


def test_small_frames_are_enlarged_by_a_whole_factor() -> None:
    """The picture is a whole multiple of the frame, with the legend below."""
    picture = annotated(FRAME, [], title="still")
    assert picture.width == 1000
    assert picture.height > 600


def test_each_label_has_its_colour() -> None:
    """Vehicles are amber and people cyan, on the picture and in the legend."""
    boxes = [Box("vehicle", 5, 20, 40, 50, 0.9), Box("person", 60, 20, 70, 50, 0.8)]
    assert {AMBER, CYAN} <= colours(annotated(FRAME, boxes, title="still"))


def test_without_boxes_there_is_no_colour() -> None:
    """An empty frame gets a legend and nothing else."""
    assert not {AMBER, CYAN} & colours(annotated(FRAME, [], title="still"))


@pytest.mark.parametrize("edges", [(-20, -20, 400, 400), (50, 50, 50, 50), (60, 30, 20, 10)])
def test_odd_boxes_do_no_harm(edges: tuple[float, float, float, float]) -> None:
    """Boxes beyond the frame, without area or inverted are drawn as far as they can be."""
    annotated(FRAME, [Box("vehicle", *edges, 0.5)], title="still", truth=[Box("vehicle", *edges)])


def test_a_sheet_holds_every_picture() -> None:
    """Three pictures in two columns make two rows."""
    pictures = [Image.new("RGB", (400, 200), ink) for ink in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    whole = sheet(pictures, columns=2, width=100)
    assert whole.size == (2 * 108 + 8, 2 * 58 + 8)
    assert {(250, 0, 0), (0, 250, 0), (0, 0, 250)} <= colours(whole)


def test_a_png_is_written_where_there_was_no_folder(tmp_path: Path) -> None:
    """The folder is made, and the file reads back as it was."""
    path = tmp_path / "new" / "still.png"
    picture = annotated(FRAME, [Box("person", 10, 10, 30, 50, 0.5)], title="still")
    save_png(picture, path)
    with Image.open(path) as read:
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(read))
