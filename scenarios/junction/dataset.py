"""Frames to learn from and frames to be examined on, rendered from seeds that never mix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .camera import Camera, Frame

__all__ = ["EXAMINED", "TAUGHT", "Recipe", "rendered"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which frames make a set: `frames` frames from each of the seeds, `apart` seconds of the junction's time apart."""

    first: int
    seeds: int
    frames: int
    apart: float

    def scenes(self) -> range:
        """The seeds, in order."""
        return range(self.first, self.first + self.seeds)


TAUGHT = Recipe(first=100_000, seeds=300, frames=12, apart=2.7)
EXAMINED = Recipe(first=0, seeds=40, frames=10, apart=3.1)
"""Seeds below 100000 are for looking at and measuring: no network has learnt from any of them."""


def rendered(recipe: Recipe, scenes: Iterable[int] | None = None) -> Iterator[Frame]:
    """The frames of a recipe, scene by scene; only those of `scenes` if given."""
    for seed in recipe.scenes() if scenes is None else scenes:
        camera = Camera(seed)
        for _ in range(recipe.frames):
            yield camera.frame(recipe.apart)
