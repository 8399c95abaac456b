"""How the junction's detector learns: batches, losses and the loop. Needs torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .boxes import Box
from .grid import LABELS, STRIDE, write_grid

__all__ = ["Lesson", "Taught", "learn"]

BOX_WEIGHT = 2.0
WARM_UP = 0.08
"""Share of the lesson in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Taught:
    """Frames and their truth.

    Attributes:
        images: (n, height, width, 3) uint8.
        truth, unclear: for each frame, its boxes.
    """

    images: NDArray[np.uint8]
    truth: list[tuple[Box, ...]]
    unclear: list[tuple[Box, ...]]


@dataclass(frozen=True, slots=True)
class Lesson:
    """How long and how fast to learn: at most `steps` batches and at most `seconds`, whichever ends first."""

    steps: int
    seconds: float
    batch: int = 16
    rate: float = 2.5e-3
    seed: int = 7


def learn(network: nn.Module, taught: Taught, lesson: Lesson, report: Callable[[str], None]) -> int:
    """Teaches the network in place; how many batches there were.

    The learning rate rises, then falls along a cosine that ends when the steps or the seconds do, so that a slow
    machine gets a finished network too, though not the same one.
    """
    optimiser = torch.optim.AdamW(network.parameters(), lr=lesson.rate, weight_decay=1e-4)
    rng = np.random.default_rng(lesson.seed)
    began = time.monotonic()
    network.train()
    order = np.zeros(0, dtype=np.intp)
    for step in range(lesson.steps):
        spent = time.monotonic() - began
        done = max(step / lesson.steps, spent / lesson.seconds)
        if done >= 1:
            return step
        for group in optimiser.param_groups:
            group["lr"] = lesson.rate * _pace(done)
        if len(order) < lesson.batch:
            order = rng.permutation(len(taught.images))
        chosen, order = np.sort(order[: lesson.batch]), order[lesson.batch :]
        frames, targets = _batch(taught, chosen, rng)
        scores, edges = _losses(network(frames), targets)
        optimiser.zero_grad(set_to_none=True)
        (scores + BOX_WEIGHT * edges).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimiser.step()
        if step % 50 == 0:
            report(f"batch {step}, {done:.0%}, {spent:.0f} s: scores {scores.item():.3f}, boxes {edges.item():.3f}")
    return lesson.steps


def _pace(done: float) -> float:
    """The learning rate as a share of the highest, when `done` of the lesson is over."""
    if done < WARM_UP:
        return max(done / WARM_UP, 0.02)
    return 0.005 + 0.995 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


def _batch(taught: Taught, chosen: NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Frames, a little brighter or darker than rendered, and their targets."""
    images = taught.images[chosen].astype(np.float32)
    images *= rng.uniform(0.88, 1.12, (len(chosen), 1, 1, 3)) * rng.uniform(0.9, 1.1, (len(chosen), 1, 1, 1))
    frames = np.clip(images, 0, 255, out=images).astype(np.uint8)
    rows, columns = (side // STRIDE for side in frames.shape[1:3])
    written = [write_grid(taught.truth[one], taught.unclear[one], rows, columns) for one in chosen.tolist()]
    parts = [np.stack([getattr(target, part) for target in written]) for part in ("heat", "edges", "weight", "asked")]
    return torch.from_numpy(frames), tuple(torch.from_numpy(part) for part in parts)


def _losses(grid: Tensor, targets: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The focal loss of the scores and the overlap loss of the boxes.

    Source: Law and Deng 2018, "CornerNet" (focal loss around peaks); Rezatofighi et al. 2019, "Generalized
    intersection over union".
    """
    heat, edges, weight, asked = targets
    logits = grid[:, : len(LABELS)]
    score = torch.sigmoid(logits)
    peak = (heat > 0.999).float()
    hit = peak * (1 - score) ** 2 * nn.functional.logsigmoid(logits)
    miss = (1 - peak) * (1 - heat) ** 4 * score**2 * nn.functional.logsigmoid(-logits)
    scores = -((hit + miss) * asked).sum() / peak.sum().clamp(min=1.0)
    mine = weight > 0
    here, there = (torch.exp(part.permute(0, 2, 3, 1)[mine].clamp(-4, 6)) for part in (grid[:, len(LABELS) :], edges))
    return scores, (_apart(here, there) * weight[mine]).sum() / weight.sum().clamp(min=1.0)


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """1 minus the generalised overlap (n,) of boxes given as distances (n, 4) from a common point."""
    shared, around = torch.minimum(some, others), torch.maximum(some, others)
    inner, outer, one, two = (
        (part[:, 0] + part[:, 2]) * (part[:, 1] + part[:, 3]) for part in (shared, around, some, others)
    )
    union = one + two - inner
    return 1 - inner / union + (outer - union) / outer
