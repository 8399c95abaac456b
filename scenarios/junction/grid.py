"""The detector's output grid: how boxes are written on it for training, and read off it again. Pure.

A grid is (6, rows, columns) float32 with a cell every `STRIDE` pixels of the frame. Channels 0 and 1 hold, for each of
`LABELS`, the logit that a thing's middle lies in the cell; channels 2 to 5 the natural logarithms of the distances from
the cell's middle to the left, top, right and bottom edge of its box, in units of `STRIDE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .boxes import Box, Floats, boxed, suppress

__all__ = ["LABELS", "STRIDE", "Target", "read_grid", "write_grid"]

LABELS = ("vehicle", "person")
STRIDE = 4
NARROW, BROAD = 1.7, 3.0
"""Least widths in pixels of the bells that scores and boxes are learnt under. Scores are narrow, so that people who
stand together stay apart; boxes are broad, so that a neighbouring cell that does answer gives the same box."""
CORE = 0.3
"""Where the broad bell is higher than this, and the cell's middle is inside, the box is learnt."""
LEAST_SIDE = 0.5
"""Pixels; a shorter distance to an edge is written as this one, since there is no logarithm of nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What the detector should answer on one frame.

    Attributes:
        heat: (2, rows, columns) 1 on the middles of things, falling off like a bell around them.
        edges: (4, rows, columns) logarithms of distances, as in the grid.
        weight: (rows, columns) how much a cell's box counts; 0 where there is none.
        asked: (2, rows, columns) 0 where something unclear may be answered or not, else 1.
    """

    heat: Floats
    edges: Floats
    weight: Floats
    asked: Floats


def write_grid(truth: Sequence[Box], unclear: Sequence[Box], rows: int, columns: int) -> Target:
    """The target for a frame of `rows * STRIDE` by `columns * STRIDE` pixels.

    Where two things are near, a cell learns the box of the one whose bell is higher there.
    """
    heat = np.zeros((len(LABELS), rows, columns), dtype=np.float32)
    edges = np.zeros((4, rows, columns), dtype=np.float32)
    best = np.zeros((rows, columns), dtype=np.float32)
    asked = np.ones_like(heat)
    ys, xs = (np.arange(count, dtype=np.float32) * STRIDE + STRIDE / 2 for count in (rows, columns))
    for box in unclear:
        inside = _bell(box, xs, ys, BROAD) > 0.2
        asked[LABELS.index(box.label)][inside] = 0
    for box in truth:
        level = heat[LABELS.index(box.label)]
        np.maximum(level, _bell(box, xs, ys, NARROW), out=level)
        bell = _bell(box, xs, ys, BROAD)
        sides = (xs[None] - box.left, ys[:, None] - box.top, box.right - xs[None], box.bottom - ys[:, None])
        distances = np.stack(np.broadcast_arrays(*sides))
        within = (distances.min(axis=0) >= LEAST_SIDE) | (bell == 1)
        mine = (bell > CORE) & (bell > best) & within
        best[mine] = bell[mine]
        edges[:, mine] = np.log(np.maximum(distances[:, mine], LEAST_SIDE) / STRIDE)
    asked[heat >= 0.5] = 1
    return Target(heat, edges, best, asked)


def read_grid(grid: Floats, threshold: float, limit: float) -> list[Box]:
    """The boxes on a grid (6, rows, columns), best first.

    Args:
        threshold: least score, 0 to 1 exclusive.
        limit: overlap above which the weaker of two boxes of one label is dropped.
    """
    logits = grid[: len(LABELS)]
    labels, rows, columns = np.nonzero(logits >= np.float32(np.log(threshold / (1 - threshold))))
    scores = 1 / (1 + np.exp(-logits[labels, rows, columns]))
    distances = np.exp(np.clip(grid[2:, rows, columns].T, -8.0, 8.0)) * np.float32(STRIDE)
    middles = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE + np.float32(STRIDE / 2)
    corners = np.concatenate([middles - distances[:, :2], middles + distances[:, 2:]], axis=1)
    frame = np.array([grid.shape[2], grid.shape[1]] * 2, dtype=np.float32) * STRIDE
    corners = np.clip(corners, 0.0, frame)
    kept = suppress(corners, scores, labels, limit)
    return [boxed(LABELS[labels[index]], corners[index], scores[index]) for index in kept]


def _bell(box: Box, xs: Floats, ys: Floats, least: float) -> Floats:
    """A bell (rows, columns) shaped like the box, of at least that width; 1 in the cell of the box's middle."""
    middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    near_x, near_y = xs[np.abs(xs - middle_x).argmin()], ys[np.abs(ys - middle_y).argmin()]
    wide, high = max((box.right - box.left) / 5, least), max((box.bottom - box.top) / 5, least)
    across = np.exp(-((xs - near_x) ** 2) / (2 * wide**2))
    down = np.exp(-((ys - near_y) ** 2) / (2 * high**2))
    return np.asarray(down[:, None] * across[None, :], dtype=np.float32)
