"""Where the demo's frames come from: the simulated junction, or a clip."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocols.clips import frames_of
from scenarios.junction.boxes import Box
from scenarios.junction.camera import Camera

__all__ = ["Clip", "Shot", "junction"]


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame.

    Attributes:
        image: (height, width, 3) uint8, red, green, blue.
        truth: what is really to be seen, where that is known; None for a clip.
        unclear: what a detector may find or miss.
    """

    image: NDArray[np.uint8]
    truth: tuple[Box, ...] | None = None
    unclear: tuple[Box, ...] = ()


def junction(seed: int, frames: int) -> Iterator[Shot]:
    """Frames of the simulated camera. The detector was trained on other seeds."""
    for frame in itertools.islice(Camera(seed).frames(), frames):
        yield Shot(frame.image, frame.truth, frame.unclear)


class Clip:
    """The first frames of a video, decoded anew each time it is gone through.

    Attributes:
        frames: how many there are, at most as many as were asked for.
        size: height and width of each.

    Raises:
        ConfigError: reading videos is not installed.
        BadInput: the file cannot be read.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self.frames = 0
        for shot in self:
            self.frames += 1
            self.size: tuple[int, int] = (shot.image.shape[0], shot.image.shape[1])

    def __iter__(self) -> Iterator[Shot]:
        for image in itertools.islice(frames_of(self._path), self._most):
            yield Shot(image)
