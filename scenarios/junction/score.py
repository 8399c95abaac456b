"""How well boxes match the truth: precision and recall as frames come in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .boxes import Box, Floats, overlap

__all__ = ["Match", "Score", "Tally", "match"]

LEAST_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Match:
    """How one frame's boxes of one label fit its truth.

    Attributes:
        found: boxes that fit a thing.
        wrong: boxes that fit nothing.
        missed: things that no box fits.
    """

    found: int
    wrong: int
    missed: int


def match(
    boxes: Sequence[Box], truth: Sequence[Box], unclear: Sequence[Box] = (), least: float = LEAST_OVERLAP
) -> Match:
    """Matches the boxes of one label, best score first, each to the free thing that it overlaps most.

    A box that fits no thing but an unclear one counts neither as right nor as wrong.

    Args:
        least: the overlap from which a box fits.
    """
    ranked = sorted(boxes, key=lambda box: -box.score)
    shared = overlap(_corners(ranked), _corners(truth))
    excused = overlap(_corners(ranked), _corners(unclear)).max(axis=1, initial=0.0) >= least
    free = np.ones(len(truth), dtype=bool)
    found = wrong = 0
    for index in range(len(ranked)):
        candidates = np.where(free, shared[index], -1.0)
        nearest = int(candidates.argmax()) if len(truth) else -1
        if nearest >= 0 and candidates[nearest] >= least:
            free[nearest] = False
            found += 1
        elif not excused[index]:
            wrong += 1
    return Match(found, wrong, int(free.sum()))


@dataclass(slots=True)
class Tally:
    """A running count for one label."""

    found: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """Share of the boxes that fit; 1 while there are none."""
        return self.found / (self.found + self.wrong) if self.found + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """Share of the things that were found; 1 while there are none."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0


@dataclass(slots=True)
class Score:
    """Precision and recall over many frames, per label.

    Attributes:
        frames: how many were counted.
        labels: a `Tally` for each label met so far.
    """

    frames: int = 0
    labels: dict[str, Tally] = field(default_factory=dict)

    def add(self, boxes: Sequence[Box], truth: Sequence[Box], unclear: Sequence[Box] = ()) -> None:
        """Counts one frame."""
        self.frames += 1
        for label in sorted({box.label for box in (*boxes, *truth)}):
            mine, real, vague = ([box for box in group if box.label == label] for group in (boxes, truth, unclear))
            one = match(mine, real, vague)
            tally = self.labels.setdefault(label, Tally())
            tally.found += one.found
            tally.wrong += one.wrong
            tally.missed += one.missed

    @property
    def total(self) -> Tally:
        """All labels together."""
        tallies = self.labels.values()
        return Tally(*(sum(getattr(tally, part) for tally in tallies) for part in ("found", "wrong", "missed")))


def _corners(boxes: Sequence[Box]) -> Floats:
    return np.array([(box.left, box.top, box.right, box.bottom) for box in boxes], dtype=np.float32).reshape(-1, 4)
