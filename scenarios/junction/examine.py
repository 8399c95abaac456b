"""Examines the junction's detector on frames it has never learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from .dataset import EXAMINED, Recipe, rendered
from .grid import read_grid
from .score import Score

__all__ = ["LIMIT", "THRESHOLD", "examined"]

THRESHOLD = 0.4
LIMIT = 0.6


def examined(model: Path, recipe: Recipe = EXAMINED, threshold: float = THRESHOLD) -> dict[str, object]:
    """Precision and recall at an overlap of 0.5, per label and in all, with the counts behind them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    score = Score()
    for frame in rendered(recipe):
        (grid,) = session.run(None, {"frames": frame.image[None]})
        score.add(read_grid(np.asarray(grid)[0], threshold, LIMIT), frame.truth, frame.unclear)
    tallies = {**score.labels, "all": score.total}
    return {
        "overlap": 0.5,
        "frames": score.frames,
        "seeds": [recipe.first, recipe.first + recipe.seeds - 1],
        "labels": {
            label: {
                "precision": round(tally.precision, 4),
                "recall": round(tally.recall, 4),
                "found": tally.found,
                "wrong": tally.wrong,
                "missed": tally.missed,
            }
            for label, tally in tallies.items()
        },
    }
