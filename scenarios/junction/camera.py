"""The junction's camera: frames that follow one another, each with what is really to be seen on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .boxes import Box
from .light import Light
from .render import Renderer
from .view import HEIGHT, WIDTH, View
from .world import World

__all__ = ["HEIGHT", "WIDTH", "Camera", "Frame"]

FRAMES_PER_SECOND = 10


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture and its ground truth.

    Attributes:
        number: 0 for the first.
        seconds: the junction's time.
        image: (HEIGHT, WIDTH, 3) uint8, red, green, blue.
        truth: what a detector has to find.
        unclear: what it may find or miss: things too small, too hidden or too far off the picture to be asked for.
    """

    number: int
    seconds: float
    image: NDArray[np.uint8]
    truth: tuple[Box, ...]
    unclear: tuple[Box, ...]


class Camera:
    """A simulated camera over a simulated junction.

    The same seed gives the same frames, byte by byte on the same machine. Traffic, people, light, the look of the
    street and the sensor's noise draw from independent streams of that seed.

    Args:
        seed: 0 or more.
        light: the name of a `Light`; drawn from the seed if None.
        scale: renders pictures `scale` times as wide and high, for people to look at.
    """

    def __init__(self, seed: int, *, light: str | None = None, scale: int = 1) -> None:
        streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)]
        traffic, people, sky, look, noise = streams
        self.light = Light.drawn(sky) if light is None else Light.named(light, sky)
        self._world = World(traffic, people)
        sway = look.uniform(-0.5, 0.5, 2)
        view = View(WIDTH * scale, HEIGHT * scale, (float(sway[0]), float(sway[1])))
        self._renderer = Renderer(view, self.light, look, noise)
        self._number = 0

    def frame(self, elapsed: float = 1 / FRAMES_PER_SECOND) -> Frame:
        """The next frame, `elapsed` seconds after the one before."""
        self._world.advance(elapsed)
        image, truth, unclear = self._renderer.render(self._world)
        self._number += 1
        return Frame(self._number - 1, self._world.seconds, image, truth, unclear)

    def frames(self) -> Iterator[Frame]:
        """Frames without end, `FRAMES_PER_SECOND` of them for each second of the junction's time."""
        while True:
            yield self.frame()
