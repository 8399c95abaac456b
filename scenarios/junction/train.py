"""Teaches the junction's detector from rendered frames and writes it as ONNX, with what it was measured to be worth.

    python -m scenarios.junction.train --steps 3000 --out scenarios/junction/detector.onnx

Needs the extra `train`. Everything it learns from is rendered from seeds (`dataset.py`), so the recipe is the data.
"""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .boxes import Box
from .dataset import TAUGHT, rendered
from .detectors import JunctionDetector
from .examine import examined
from .grid import LABELS, STRIDE, write_grid
from .network import Network
from .view import HEIGHT, WIDTH

__all__ = ["main"]

Images = NDArray[np.uint8]
Sets = tuple[Images, list[tuple[tuple[Box, ...], tuple[Box, ...]]]]
BATCH = 16
BOX_WEIGHT = 2.0


@click.command()
@click.option("--steps", default=3000, show_default=True, help="Batches of 16 frames to learn from.")
@click.option("--rate", default=2.5e-3, show_default=True, help="Highest learning rate.")
@click.option("--threads", default=2, show_default=True, help="Processor threads to use.")
@click.option(
    "--scenes", default=TAUGHT.seeds, show_default=True, help="Rendered scenes to learn from, 12 frames each."
)
@click.option("--minutes", default=35.0, show_default=True, help="Stop learning after this long, at the rate reached.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/junction"), show_default=True,
              help="Where rendered frames and checkpoints are kept.")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("scenarios/junction/detector.onnx"), show_default=True
)
def main(steps: int, rate: float, threads: int, scenes: int, minutes: float, work: Path, out: Path) -> None:
    """Trains, exports and examines the junction's detector."""
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    work.mkdir(parents=True, exist_ok=True)
    images, boxes = _taught(work, scenes, threads)
    click.echo(f"{len(images)} frames with {sum(len(truth) for truth, _ in boxes)} things to learn from")
    network = Network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    done = _learn(network, (images, boxes), steps, rate, minutes * 60, work / "checkpoint.pt")
    _export(network, out)
    report = examined(out, JunctionDetector())
    recipe = {"taught": asdict(TAUGHT) | {"seeds": scenes}, "steps": done, "batch": BATCH, "rate": rate}
    describe(out, report, recipe)
    click.echo(json.dumps(report, indent=2))


def describe(model: Path, report: dict[str, object], recipe: dict[str, object]) -> None:
    """Writes `detector.json` beside the model: its contract, how it was made and what it is worth."""
    card = {
        "model": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "input": {"name": "frames", "dtype": "uint8", "shape": ["n", HEIGHT, WIDTH, 3], "layout": "rows, columns, RGB"},
        "output": {
            "name": "grid",
            "dtype": "float32",
            "shape": ["n", len(LABELS) + 4, HEIGHT // STRIDE, WIDTH // STRIDE],
            "channels": [
                *(f"logit {label}" for label in LABELS),
                *(f"log {edge}" for edge in ("left", "top", "right", "bottom")),
            ],
            "stride": STRIDE,
        },
        "labels": list(LABELS),
        "threshold": JunctionDetector().threshold,
        "overlap_limit": JunctionDetector().limit,
        "training": recipe,
        "examined": report,
    }
    model.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n")


def _taught(work: Path, scenes: int, processes: int) -> Sets:
    """The frames to learn from, rendered once and then read from `work`."""
    pictures, notes = work / f"taught-{scenes}.npy", work / f"taught-{scenes}.json"
    if not notes.exists():
        seeds = list(TAUGHT.scenes())[:scenes]
        with ProcessPoolExecutor(processes) as pool:
            parts = list(pool.map(_rendered_scene, seeds, chunksize=4))
        np.save(pictures, np.concatenate([images for images, _ in parts]))
        rows = [[[list(_row(box)) for box in group] for group in frame] for _, frames in parts for frame in frames]
        notes.write_text(json.dumps(rows))
    boxes = [tuple(tuple(Box(*row) for row in group) for group in frame) for frame in json.loads(notes.read_text())]
    return np.load(pictures, mmap_mode="r"), [(truth, unclear) for truth, unclear in boxes]


def _rendered_scene(seed: int) -> Sets:
    frames = list(rendered(TAUGHT, [seed]))
    return np.stack([frame.image for frame in frames]), [(frame.truth, frame.unclear) for frame in frames]


def _row(box: Box) -> tuple[str, float, float, float, float]:
    return box.label, box.left, box.top, box.right, box.bottom


def _learn(network: Network, taught: Sets, steps: int, rate: float, seconds: float, checkpoint: Path) -> int:
    """Runs up to `steps` batches within `seconds`; how many there were."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.12)
    rng = np.random.default_rng(7)
    order = np.concatenate([rng.permutation(len(taught[0])) for _ in range(steps * BATCH // len(taught[0]) + 1)])
    began = time.monotonic()
    network.train()
    for step in range(steps):
        frames, targets = _batch(taught, np.sort(order[step * BATCH : (step + 1) * BATCH]), rng)
        scores, edges = _losses(network(frames), targets)
        optimiser.zero_grad(set_to_none=True)
        (scores + BOX_WEIGHT * edges).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            spent = time.monotonic() - began
            click.echo(f"step {step} of {steps}, {spent:.0f} s: scores {scores.item():.3f}, boxes {edges.item():.3f}")
            torch.save(network.state_dict(), checkpoint)
            if spent > seconds:
                return step
    return steps


def _batch(taught: Sets, chosen: NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Frames, a little brighter or darker than rendered, and their targets."""
    images, boxes = taught
    gain = rng.uniform(0.85, 1.15, (len(chosen), 1, 1, 3)).astype(np.float32) * rng.uniform(0.9, 1.1)
    frames = np.clip(images[chosen].astype(np.float32) * gain, 0, 255).astype(np.uint8)
    written = [write_grid(*boxes[index], HEIGHT // STRIDE, WIDTH // STRIDE) for index in chosen.tolist()]
    parts = [np.stack([getattr(target, part) for target in written]) for part in ("heat", "edges", "weight", "asked")]
    return torch.from_numpy(frames), tuple(torch.from_numpy(part) for part in parts)


def _losses(grid: Tensor, targets: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The focal loss of the scores and the overlap loss of the boxes.

    Source: Law and Deng 2018, "CornerNet" (focal loss around peaks); Rezatofighi et al. 2019 (generalised overlap).
    """
    heat, edges, weight, asked = targets
    logits = grid[:, : len(LABELS)]
    score = torch.sigmoid(logits)
    peak = (heat > 0.999).float()
    hit = peak * (1 - score) ** 2 * torch.nn.functional.logsigmoid(logits)
    miss = (1 - peak) * (1 - heat) ** 4 * score**2 * torch.nn.functional.logsigmoid(-logits)
    scores = -((hit + miss) * asked).sum() / peak.sum().clamp(min=1.0)
    mine = weight > 0
    here, there = (torch.exp(part.permute(0, 2, 3, 1)[mine].clamp(-4, 6)) for part in (grid[:, len(LABELS) :], edges))
    return scores, (_apart(here, there) * weight[mine]).sum() / weight.sum().clamp(min=1.0)


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """1 minus the generalised overlap (n,) of boxes given as distances (n, 4) from a common point."""
    shared = torch.minimum(some, others)
    around = torch.maximum(some, others)
    inner = (shared[:, 0] + shared[:, 2]) * (shared[:, 1] + shared[:, 3])
    outer = (around[:, 0] + around[:, 2]) * (around[:, 1] + around[:, 3])
    areas = [(part[:, 0] + part[:, 2]) * (part[:, 1] + part[:, 3]) for part in (some, others)]
    union = areas[0] + areas[1] - inner
    return 1 - inner / union + (outer - union) / outer


def _export(network: Network, out: Path) -> None:
    """Writes the network as ONNX, its batch norms folded into the convolutions, with any number of frames a batch."""
    network.eval()
    frames = torch.zeros(1, HEIGHT, WIDTH, 3, dtype=torch.uint8)
    torch.onnx.export(
        network.to(memory_format=torch.contiguous_format),  # type: ignore[call-overload]
        (frames,),
        str(out),
        opset_version=17,
        dynamo=False,
        input_names=["frames"],
        output_names=["grid"],
        dynamic_axes={"frames": {0: "n"}, "grid": {0: "n"}},
    )


if __name__ == "__main__":
    main()
