"""Whether bytes look random: chi-square, with bounds that a right program misses once in a million runs."""

from __future__ import annotations

import math

import numpy as np

_BOUND = 377.1  # chi-square with 255 degrees of freedom exceeds this once in a million
_SIGMAS = 5.0  # and a normal variable this


def uniform(data: bytes) -> bool:
    """Whether the bytes could be uniform: chi-square over 256 classes."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    expected = len(data) / 256
    return bool(((counts - expected) ** 2 / expected).sum() < _BOUND)


def alike(one: bytes, other: bytes) -> bool:
    """Whether two samples of bytes could come from one distribution: chi-square of a table of 2 by 256."""
    counts = np.stack([np.bincount(np.frombuffer(data, np.uint8), minlength=256) for data in (one, other)])
    expected = counts.sum(0) * counts.sum(1, keepdims=True) / counts.sum()
    return bool(((counts - expected) ** 2 / np.maximum(expected, 1)).sum() < _BOUND)


def as_often_as(chance: float, hits: int, tries: int) -> bool:
    """Whether so many hits could come from independent tries of that chance."""
    return abs(hits - tries * chance) <= _SIGMAS * math.sqrt(tries * chance * (1 - chance))
