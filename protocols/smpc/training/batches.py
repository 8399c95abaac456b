"""Which rows make up which batch: a permutation of all rows for each epoch, from a seed that everybody knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.training.network import uniform

__all__ = ["Batches"]


@dataclass(frozen=True, slots=True)
class Batches:
    """The rows of every step. What does not fill a last batch sits out one epoch, another part in each.

    Attributes:
        rows: of the data, all owners together.
        size: rows a batch.
        seed: public: whoever knows it knows when which row was used, and nothing of what is in it.
    """

    rows: int
    size: int
    seed: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= self.rows:
            raise BadInput(f"A batch of {self.size} rows cannot be taken from {self.rows}: use 1 to {self.rows}.")

    @property
    def in_epoch(self) -> int:
        """Batches an epoch."""
        return self.rows // self.size

    def epoch(self, number: int) -> NDArray[np.intp]:
        """The permutation of an epoch, counted from 0: the same on every machine."""
        return np.argsort(uniform(b"epoch %d %d" % (self.seed, number), self.rows), kind="stable")

    def rows_of(self, step: int) -> NDArray[np.intp]:
        """(size,) row numbers of a step, counted from 0."""
        epoch, place = divmod(step, self.in_epoch)
        return self.epoch(epoch)[place * self.size : (place + 1) * self.size]
