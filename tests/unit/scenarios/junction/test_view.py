"""The pinhole camera and the light."""

from __future__ import annotations

import numpy as np
import pytest

from scenarios.junction.light import Light
from scenarios.junction.view import HEIGHT, WIDTH, View


def test_ground_and_project_undo_each_other() -> None:
    """The ground seen at a pixel is seen at that pixel."""
    view = View()
    pixels = np.array([[0.0, 0.0], [WIDTH, 0.0], [17.0, 130.0], [WIDTH, HEIGHT]])
    ground = view.ground(pixels)
    np.testing.assert_allclose(pixels, view.project(np.column_stack([ground, np.zeros(4)])), atol=1e-8)


def test_up_in_the_world_is_up_in_the_picture() -> None:
    """A point above another is drawn above it, with a smaller y."""
    (_, low), (_, high) = View().project(np.array([[2.0, 3.0, 0.0], [2.0, 3.0, 1.8]]))
    assert high < low


def test_a_scaled_view_shows_the_same() -> None:
    """Twice the picture, twice the pixels."""
    point = np.array([[4.0, -3.0, 1.0]])
    np.testing.assert_allclose(2 * View(sway=(0.2, 0.1)).project(point), View(sway=(0.2, 0.1)).scaled(2).project(point))


@pytest.mark.parametrize("name", ["noon", "evening", "overcast", "dusk"])
def test_the_sun_is_above_the_ground(name: str) -> None:
    """In every light the sun's direction is a unit vector that points up."""
    light = Light.named(name, np.random.default_rng(1))
    assert np.linalg.norm(light.towards) == pytest.approx(1.0)
    assert light.towards[2] > 0.2


def test_a_shadow_falls_away_from_the_sun() -> None:
    """What stands on the ground keeps its foot, and its head's shadow falls on the side away from the sun."""
    light = Light.named("evening", np.random.default_rng(1))
    foot, head = light.cast(np.array([[1.0, 2.0, 0.0], [1.0, 2.0, 2.0]]))
    np.testing.assert_array_equal([1.0, 2.0], foot)
    assert (head - foot) @ light.towards[:2] < 0
