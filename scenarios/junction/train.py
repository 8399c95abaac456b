"""Teaches the junction's detector from rendered frames and writes it as ONNX, with what it was measured to be worth.

    python -m scenarios.junction.train --steps 3000 --out scenarios/junction/detector.onnx

Needs the extra `train`. Everything it learns from is rendered from seeds (`dataset.py`), so the recipe is the data, as
long as the renderer stays; the card written beside the model says what it is worth on frames of the renderer as it is.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray

from .boxes import Box
from .dataset import TAUGHT, rendered
from .detectors import DEFAULT_MODEL, JunctionDetector
from .examine import examined
from .grid import LABELS, STRIDE
from .learn import Lesson, Taught, learn
from .network import Network
from .view import HEIGHT, WIDTH

__all__ = ["main"]

Row = tuple[str, float, float, float, float]


@click.command()
@click.option("--steps", default=3000, show_default=True, help="Batches to learn from, at most.")
@click.option("--minutes", default=35.0, show_default=True, help="Time to learn, at most.")
@click.option("--rate", default=2.5e-3, show_default=True, help="Highest learning rate.")
@click.option("--threads", default=2, show_default=True, help="Processor threads to use.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/junction"), help="Keeps rendered frames.")
@click.option("--out", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="The ONNX file to write.")
@click.option("--again", type=click.Path(path_type=Path), help="Go on from the weights.pt of an earlier run.")
def main(*, steps: int, minutes: float, rate: float, threads: int, work: Path, out: Path, again: Path | None) -> None:
    """Trains, exports and examines the junction's detector.

    Example: python -m scenarios.junction.train --minutes 30 --out build/detector.onnx
    """
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    work.mkdir(parents=True, exist_ok=True)
    taught = _taught(work, threads)
    click.echo(f"{len(taught.images)} frames with {sum(map(len, taught.truth))} things to learn from")
    network = Network().to(memory_format=torch.channels_last)
    recipe: dict[str, object] = {"frames": asdict(TAUGHT)}
    if again is not None:
        network.load_state_dict(torch.load(again, weights_only=True))
        recipe["after"] = json.loads(again.with_suffix(".json").read_text())
    lesson = Lesson(steps, minutes * 60, rate=rate)
    recipe |= {"batches": learn(network, taught, lesson, click.echo), "batch": lesson.batch, "rate": rate}
    torch.save(network.state_dict(), work / "weights.pt")
    (work / "weights.json").write_text(json.dumps(recipe))
    _export(network, out)
    report = examined(out, JunctionDetector())
    _describe(out, report, recipe)
    click.echo(json.dumps(report, indent=2))


def _taught(work: Path, processes: int) -> Taught:
    """The frames to learn from, rendered once and then read from `work`."""
    pictures, notes = work / f"taught-{TAUGHT.seeds}.npy", work / f"taught-{TAUGHT.seeds}.json"
    if not notes.exists():
        with ProcessPoolExecutor(processes) as pool:
            scenes = list(pool.map(_scene, TAUGHT.scenes(), chunksize=4))
        np.save(pictures, np.concatenate([images for images, _ in scenes]))
        notes.write_text(json.dumps([frame for _, frames in scenes for frame in frames]))
    frames = json.loads(notes.read_text())
    truth, unclear = ([tuple(Box(*row) for row in frame[part]) for frame in frames] for part in (0, 1))
    return Taught(np.load(pictures, mmap_mode="r"), truth, unclear)


def _scene(seed: int) -> tuple[NDArray[np.uint8], list[tuple[list[Row], list[Row]]]]:
    frames = list(rendered(TAUGHT, [seed]))
    boxes = [([_row(box) for box in frame.truth], [_row(box) for box in frame.unclear]) for frame in frames]
    return np.stack([frame.image for frame in frames]), boxes


def _row(box: Box) -> Row:
    return box.label, box.left, box.top, box.right, box.bottom


def _export(network: Network, out: Path) -> None:
    """Writes the network as ONNX, its batch norms folded into the convolutions, with any number of frames a batch."""
    network.eval()
    torch.onnx.export(
        network.to(memory_format=torch.contiguous_format),
        (torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8),),
        str(out),
        opset_version=17,
        dynamo=False,
        input_names=["frames"],
        output_names=["grid"],
        dynamic_axes={"frames": {0: "n"}, "grid": {0: "n"}},
    )


def _describe(model: Path, report: dict[str, object], recipe: dict[str, object]) -> None:
    """Writes a card beside the model: its contract, how it was made and what it is worth."""
    detector = JunctionDetector()
    logits, edges = [f"logit {label}" for label in LABELS], ["log left", "log top", "log right", "log bottom"]
    card = {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
        "input": {"name": "frames", "dtype": "uint8", "shape": ["n", HEIGHT, WIDTH, 3], "channels": "red, green, blue"},
        "output": {
            "name": "grid",
            "dtype": "float32",
            "shape": ["n", len(LABELS) + 4, HEIGHT // STRIDE, WIDTH // STRIDE],
            "channels": logits + edges,
        },
        "labels": LABELS,
        "stride": STRIDE,
        "threshold": detector.threshold,
        "overlap_limit": detector.limit,
        "training": recipe,
        "examined": report,
    }
    model.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
