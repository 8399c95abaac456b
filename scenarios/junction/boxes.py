"""Boxes around things: their overlap, and which of many overlapping ones to keep. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "boxed", "overlap", "suppress"]

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a picture around one thing.

    Attributes:
        label: what it is: `vehicle` or `person` for the junction, a COCO name for other detectors.
        left, top, right, bottom: edges in pixels of the picture.
        score: how sure the detector is, 0 to 1; 1 for ground truth.
    """

    label: str
    left: float
    top: float
    right: float
    bottom: float
    score: float = 1.0

    @property
    def area(self) -> float:
        """In square pixels; 0 for an empty or inverted box."""
        return max(0.0, self.right - self.left) * max(0.0, self.bottom - self.top)


def boxed(label: str, corners: Floats, score: float = 1.0) -> Box:
    """A box from its corners (4,): left, top, right, bottom."""
    left, top, right, bottom = corners.tolist()
    return Box(label, left, top, right, bottom, float(score))


def overlap(some: Floats, others: Floats) -> Floats:
    """Intersection over union (n, m) of the boxes (n, 4) and (m, 4), as left, top, right, bottom.

    Two boxes that only touch, and any box without area, overlap by 0.
    """
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    areas = [np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None).prod(axis=-1) for boxes in (some, others)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def suppress(corners: Floats, scores: Floats, labels: Sequence[int] | NDArray[np.intp], limit: float) -> list[int]:
    """Which boxes to keep, best first: each only if it overlaps no better one of its label by more than `limit`.

    Args:
        corners: (n, 4) as left, top, right, bottom.
        scores: (n,). Equal scores are taken in the order given.
        labels: (n,).
    """
    order = np.argsort(-scores, kind="stable")
    kinds = np.asarray(labels)
    shared = overlap(corners, corners) * (kinds[:, None] == kinds[None, :])
    kept: list[int] = []
    for index in order.tolist():
        if not kept or float(shared[index, kept].max()) <= limit:
            kept.append(index)
    return kept
