"""What is measured: the rows of the table, and the numbers that every system is given for each of them.

Imports nothing but numpy, because three environments with little else in common read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUICK", "ROWS", "STRIDES", "Row", "encoder_weights", "numbers", "weights"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        title: for people.
        aim: seconds that ours is to take at most, on the machine of the anchors; it is the ratios that count.
        net: which weights it takes, if it is a network; see `weights`.
        shape: of its input.
        spread: the input is uniform between minus this and this.
    """

    title: str
    aim: float
    shape: tuple[int, ...]
    net: str = ""
    spread: float = 1.0


ROWS: dict[str, Row] = {
    "relu": Row("ReLU of 1,048,576 values on 64 bits", 0.15, (1 << 20,), spread=10),
    "matmul": Row("matmul 512 x 512 x 512, both secret", 0.04, (512, 512)),
    "maxpool": Row("max-pooling 2 x 2 of 1 x 64 x 64 x 64", 0.15, (1, 64, 64, 64), spread=10),
    "softmax": Row("softmax 64 x 1000", 0.08, (64, 1000), spread=6),
    "mlp-1": Row("MLP 784-128-128-10, batch 1", 0.005, (1, 784), "mlp"),
    "mlp-128": Row("MLP 784-128-128-10, batch 128", 0.011, (128, 784), "mlp"),
    "lenet-1": Row("LeNet-5, batch 1", 0.012, (1, 1, 28, 28), "lenet"),
    "lenet-32": Row("LeNet-5, batch 32", 0.06, (32, 1, 28, 28), "lenet"),
    "resnet18-32": Row("ResNet-18, 3 x 32 x 32", 0.30, (1, 3, 32, 32), "resnet"),
    "resnet18-224": Row("ResNet-18, 3 x 224 x 224", 1.0, (1, 3, 224, 224), "resnet-large"),
    "encoder": Row("encoder of 2 layers, width 128, 64 tokens", 0.25, (64, 128), "encoder"),
    "logistic-step": Row("logistic regression, training step, batch 128", 0.01, (128, 784), "logistic"),
    "mlp-step": Row("MLP 784-128-128-10, training step, batch 128", 0.06, (128, 784), "mlp"),
}

QUICK = ("matmul", "mlp-1", "mlp-128", "lenet-1")
"""Rows of a look that takes less than a minute."""

STRIDES = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))
"""The residual blocks of ResNet-18: channels, and stride of the first convolution."""


def numbers(name: str) -> list[Array]:
    """The inputs of a row, float32: one, or two for a product; a training step has its targets besides."""
    row, random = ROWS[name], np.random.default_rng(1)
    drawn = [random.uniform(-row.spread, row.spread, row.shape).astype(np.float32)]
    if name == "matmul":
        drawn.append(random.uniform(-1, 1, row.shape).astype(np.float32))
    if name == "logistic-step":
        drawn.append((random.random((row.shape[0], 1)) > 0.5).astype(np.float32))
    if name == "mlp-step":
        drawn.append(np.eye(10, dtype=np.float32)[random.integers(0, 10, row.shape[0])])
    return drawn


def weights(net: str) -> list[tuple[Array, Array]]:
    """Weight and bias of every layer in order: (inputs, outputs), or (outputs, inputs, height, width)."""
    random = np.random.default_rng(2)

    def layer(*shape: int) -> tuple[Array, Array]:
        fan = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
        outputs = shape[0] if len(shape) == 4 else shape[1]
        weight = random.uniform(-1, 1, shape) * np.sqrt(3 / fan)
        return weight.astype(np.float32), random.uniform(-0.1, 0.1, outputs).astype(np.float32)

    return [layer(*shape) for shape in _SHAPES[net]]


def _resnet(*, large: bool) -> tuple[tuple[int, ...], ...]:
    side = 7 if large else 3
    shapes: list[tuple[int, ...]] = [(64, 3, side, side)]
    before = 64
    for after, stride in STRIDES:
        shapes += [(after, before, 3, 3), (after, after, 3, 3)]
        if stride > 1:
            shapes.append((after, before, 1, 1))
        before = after
    return (*shapes, (512, 1000 if large else 10))


_SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "logistic": ((784, 1),),
    "mlp": ((784, 128), (128, 128), (128, 10)),
    "lenet": ((6, 1, 5, 5), (16, 6, 5, 5), (400, 120), (120, 84), (84, 10)),
    "resnet": _resnet(large=False),
    "resnet-large": _resnet(large=True),
}


def encoder_weights() -> list[dict[str, Array]]:
    """By layer: wq wk wv wo w1 w2, their biases, and the scale and offset of two layer norms."""
    random, width, inner = np.random.default_rng(3), 128, 512
    shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width)}
    shapes |= {"1": (width, inner), "2": (inner, width)}
    layers = []
    for _ in range(2):
        layer = {f"w{name}": random.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
        layer |= {f"b{name}": random.normal(0, 0.05, shape[1]).astype(np.float32) for name, shape in shapes.items()}
        for norm in ("1", "2"):
            layer[f"g{norm}"], layer[f"e{norm}"] = np.ones(width, np.float32), np.zeros(width, np.float32)
        layers.append(layer)
    return layers
