"""Examines the junction's detector on frames it has never learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from .dataset import EXAMINED, Recipe, rendered
from .detectors import JunctionDetector
from .score import Score

__all__ = ["examined"]


def examined(model: Path, detector: JunctionDetector, recipe: Recipe = EXAMINED) -> dict[str, object]:
    """Precision and recall at an overlap of 0.5, per label and in all, with the counts behind them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    score = Score()
    for frame in rendered(recipe):
        (grid,) = session.run([detector.output], detector.prepare(frame.image))
        boxes = detector.decode({detector.output: np.asarray(grid)}, *frame.image.shape[:2])
        score.add(boxes, frame.truth, frame.unclear)
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
