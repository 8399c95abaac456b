"""Products and convolutions of ring elements on one core, beside numpy's and torch's integers.

    python -m tests.bench.kernels [NAME ...]

A JSON line for each piece of work: thousand million multiply-adds a CPU second, the best of some repetitions, by the
compiled kernels for words of 64 and of 32 bits, by the portable path, by numpy's own integer product, and by torch's
int64 (null where torch is missing, or has no such kernel). `bytes` is what is read and written at least once, for the
64-bit words: where that over the seconds nears what the memory gives, no kernel can be faster.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from protocols.smpc.replicated import kernels, portable
from protocols.smpc.replicated.kernels import Geometry
from protocols.smpc.replicated.native.library import library

BUDGET = 0.3
"""CPU seconds spent on each figure, and at least two repetitions."""

MATRICES: dict[str, tuple[int, int, int]] = {
    "matmul 512 x 512 x 512": (512, 512, 512),
    "matmul 128 x 784 x 128": (128, 784, 128),
    "matmul 1 x 784 x 128": (1, 784, 128),
    "matmul 64 x 64 x 64": (64, 64, 64),
}
"""Rows, terms, columns."""

SAME = (1, 1, 1, 1)
PLANES: dict[str, tuple[tuple[int, ...], tuple[int, ...], Geometry]] = {
    "LeNet-5, first, batch 32": ((32, 1, 28, 28), (6, 1, 5, 5), Geometry(padding=(2, 2, 2, 2))),
    "LeNet-5, second, batch 32": ((32, 6, 14, 14), (16, 6, 5, 5), Geometry()),
    "ResNet-18, stem": ((1, 3, 224, 224), (64, 3, 7, 7), Geometry((2, 2), padding=(3, 3, 3, 3))),
    "ResNet-18, 64 x 56 x 56": ((1, 64, 56, 56), (64, 64, 3, 3), Geometry(padding=SAME)),
    "ResNet-18, 128 x 28 x 28": ((1, 128, 28, 28), (128, 128, 3, 3), Geometry(padding=SAME)),
    "ResNet-18, 256 x 14 x 14": ((1, 256, 14, 14), (256, 256, 3, 3), Geometry(padding=SAME)),
    "ResNet-18, 512 x 7 x 7": ((1, 512, 7, 7), (512, 512, 3, 3), Geometry(padding=SAME)),
    "ResNet-18, 512 x 4 x 4": ((1, 512, 4, 4), (512, 512, 3, 3), Geometry(padding=SAME)),
    "depthwise 128 x 28 x 28": ((1, 128, 28, 28), (128, 1, 3, 3), Geometry(padding=SAME, groups=128)),
}


def main() -> None:
    wanted = sys.argv[1:]
    for name, (rows, terms, columns) in MATRICES.items():
        if not wanted or any(word in name for word in wanted):
            report(name, rows * terms * columns, matrices((rows, terms), (terms, columns)))
    for name, (planes, weights, geometry) in PLANES.items():
        if not wanted or any(word in name for word in wanted):
            report(name, *convolutions(planes, weights, geometry))


def report(name: str, products: int, ways: dict[str, tuple[Callable[[], Any], int] | None]) -> None:
    line = {
        way: round(products / seconds(found[0]) / 1e9, 2) if found is not None else None for way, found in ways.items()
    }
    size = max(found[1] for found in ways.values() if found is not None)
    print(json.dumps({"bench": "kernels", "work": name, "products": products, "bytes": size, **line}), flush=True)


def matrices(left: tuple[int, ...], right: tuple[int, ...]) -> dict[str, tuple[Callable[[], Any], int] | None]:
    a, b = drawn(left), drawn(right)
    a32, b32 = a.astype(np.uint32), b.astype(np.uint32)
    size = 8 * (a.size + b.size + left[0] * right[1])
    return {
        "words of 64 bits": (lambda: kernels.matmul(a, b), size) if library() else None,
        "words of 32 bits": (lambda: kernels.matmul(a32, b32), size) if library() else None,
        "portable": (lambda: portable.matmul(a, b), size),
        "numpy": (lambda: a @ b, size),
        "torch int64": by_torch("matmul", a, b, size, {}),
    }


def convolutions(
    planes: tuple[int, ...], weights: tuple[int, ...], geometry: Geometry
) -> tuple[int, dict[str, tuple[Callable[[], Any], int] | None]]:
    x, w = drawn(planes), drawn(weights)
    x32, w32 = x.astype(np.uint32), w.astype(np.uint32)
    out = kernels.convolve(x, w, geometry)
    size = 8 * (x.size + w.size + out.size)
    told = {"stride": geometry.stride, "padding": geometry.padding[:2], "groups": geometry.groups}
    return out.size * int(np.prod(weights[1:])), {
        "words of 64 bits": (lambda: kernels.convolve(x, w, geometry), size) if library() else None,
        "words of 32 bits": (lambda: kernels.convolve(x32, w32, geometry), size) if library() else None,
        "portable": (lambda: kernels.convolve_portably(x, w, geometry), size),
        "numpy": None,
        "torch int64": by_torch("conv2d", x, w, size, told),
    }


def by_torch(
    operation: str, left: Any, right: Any, size: int, told: dict[str, Any]
) -> tuple[Callable[[], Any], int] | None:
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    a, b = (torch.from_numpy(side.view(np.int64)) for side in (left, right))
    return (lambda: getattr(torch, operation)(a, b, **told)), size


def drawn(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(0).integers(0, 2**64, shape, np.uint64)


def seconds(work: Callable[[], Any]) -> float:
    best, spent, count = float("inf"), 0.0, 0
    while spent < BUDGET or count < 2:
        start = time.thread_time()
        work()
        took = time.thread_time() - start
        best, spent, count = min(best, took), spent + took, count + 1
    return best


if __name__ == "__main__":
    main()
