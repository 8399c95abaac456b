"""A picture becomes a model's input by a recipe that is settled when the model is added."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mesh.errors import BadInput
from mesh.store.catalogue import Port
from protocols.pictures import PADDING, Picture, Recipe, open_picture, recipe_for

FLOATS = Port("images", "float32", (1, 3, 4, 6))
BYTES = Port("images", "uint8", (-1, 4, 6, 3))
GREY = Port("digit", "float32", (1, 1, 28, 28))
OTHER = Port("ids", "int64", (1, 7))


def painted(height: int, width: int, colour: tuple[int, int, int] = (255, 0, 51)) -> Picture:
    return np.full((height, width, 3), colour, np.uint8)


def recipe(port: Port, **options: str) -> Recipe:
    found = recipe_for([OTHER, port], options)
    assert found is not None
    return found


def test_by_default_a_picture_is_what_the_input_declares() -> None:
    """Whole numbers stay 0 to 255, others are 0 to 1; channels lie where the shape says."""
    floats, bytes_ = recipe(FLOATS)(painted(4, 6)), recipe(BYTES)(painted(4, 6))
    assert ((1, 3, 4, 6), np.float32) == (floats["images"].shape, floats["images"].dtype)
    np.testing.assert_allclose([1.0, 0.0, 0.2], floats["images"][0, :, 0, 0], rtol=1e-6)
    assert ((1, 4, 6, 3), np.uint8) == (bytes_["images"].shape, bytes_["images"].dtype)
    assert [255, 0, 51] == bytes_["images"][0, 0, 0].tolist()


def test_scale_mean_and_std_are_applied_to_each_channel() -> None:
    """(value * scale - mean) / std, in the order of the model's colours."""
    made = recipe(FLOATS, image="bgr", scale="1/255", mean="0.2,0,0.5", std="1,1,0.5")(painted(4, 6))["images"]
    np.testing.assert_allclose([0.0, 0.0, 1.0], made[0, :, 0, 0], atol=1e-6)


def test_a_grey_model_gets_grey() -> None:
    """By how bright each colour is to the eye."""
    made = recipe(GREY, scale="1")(painted(28, 28, (255, 255, 255)))["digit"]
    assert ((1, 1, 28, 28), 255.0) == (made.shape, float(made.max()))


@pytest.mark.parametrize(
    ("fit", "rows"),
    [("stretch", [10, 10, 10, 10]), ("letterbox", [PADDING, 10, 10, PADDING]), ("corner", [10, 10, PADDING, PADDING])],
)
def test_a_picture_of_another_shape_is_made_to_fit(fit: str, rows: list[int]) -> None:
    """Stretched; or kept in shape, with grey on both sides or at the end."""
    made = recipe(Port("x", "uint8", (1, 4, 4, 3)), fit=fit)(painted(3, 6, (10, 10, 10)))["x"]
    assert rows == made[0, :, 0, 0].tolist()


def test_free_sides_are_the_pictures_own_unless_they_are_said() -> None:
    """A model that takes any size takes each picture as it is."""
    free = Port("x", "float32", (1, 3, -1, -1))
    assert (1, 3, 5, 7) == recipe(free)(painted(5, 7))["x"].shape
    assert (1, 3, 8, 9) == recipe(free, size="8x9")(painted(5, 7))["x"].shape


@pytest.mark.parametrize(
    "options",
    [
        {"image": "pink"},
        {"image": "gray"},
        {"scale": "big"},
        {"scale": "1/0"},
        {"mean": "1,2"},
        {"std": "0"},
        {"fit": "squeeze"},
        {"size": "12"},
        {"layout": "nhwc"},
    ],
)
def test_an_option_that_cannot_be_is_refused(options: Mapping[str, str]) -> None:
    """Before the model is added, and not when its first picture comes."""
    with pytest.raises(BadInput):
        recipe_for([FLOATS], options)


def test_a_model_without_pictures_has_no_recipe() -> None:
    """And whoever says that it has one is told."""
    assert recipe_for([OTHER], {}) is None
    with pytest.raises(BadInput, match="no input of this model is a picture"):
        recipe_for([OTHER], {"scale": "1"})


def test_a_picture_is_opened_as_its_camera_was_held(tmp_path: Path) -> None:
    """A JPEG says which side was up."""
    image = Image.fromarray(painted(4, 6))
    turned = image.getexif()
    turned[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=turned)
    image.save(tmp_path / "a.png")
    assert (6, 4, 3) == open_picture(tmp_path / "a.jpg").shape
    np.testing.assert_array_equal(painted(4, 6), open_picture(tmp_path / "a.png"))


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    """A missing file, a broken one, and one that would unpack to gigabytes."""
    with pytest.raises(BadInput, match="No such file"):
        open_picture(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(BadInput, match="no picture"):
        open_picture(tmp_path / "text.png")
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(BadInput):
        open_picture(tmp_path / "bomb.png")
