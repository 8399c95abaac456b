"""A small classifier of the light that the junction stands in, made on the spot: random convolutions, a fitted layer.

Good enough to be right most of the time, and made in seconds without a training framework. Its weights are new numbers
that nobody has seen, which is what a search for them needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

from scenarios.junction.camera import Camera

__all__ = ["CLASSES", "Classifier", "Shot", "fitted", "shots"]

Array = NDArray[Any]

CLASSES = ("noon", "evening", "overcast", "dusk")

_HEIGHT, _WIDTH = 56, 96
_STRIDE = 2.0  # seconds between frames, for them to differ
_RIDGE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame as the classifier takes it, (56, 96, 3) uint8, and the number of its class."""

    picture: NDArray[np.uint8]
    label: int


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A model from pictures (1, 3, 56, 96), 0 to 1, to (1, 4) scores.

    Attributes:
        weights: every number in it that is secret.
    """

    model: ModelProto
    weights: tuple[Array, ...]

    def scores(self, picture: NDArray[np.uint8]) -> Array:
        """In the clear, by ONNX Runtime."""
        scores: Array = _run(self.model, [picture])[0]
        return scores


def shots(seeds: Sequence[int], frames: int) -> Iterator[Shot]:
    """So many frames of every light, at each of these seeds."""
    for seed in seeds:
        for label, light in enumerate(CLASSES):
            camera = Camera(seed, light=light)
            for _ in range(frames):
                small = Image.fromarray(camera.frame(_STRIDE).image).resize((_WIDTH, _HEIGHT), Image.Resampling.BOX)
                yield Shot(np.asarray(small), label)


def fitted(taught: Sequence[Shot], random: np.random.Generator) -> Classifier:
    """The last layer by ridge regression on what the convolutions make of the shots, and of their mirror images."""
    taught = [*taught, *(Shot(np.ascontiguousarray(shot.picture[:, ::-1]), shot.label) for shot in taught)]
    first = _layer(random, 12, 3, 5), _layer(random, 16, 12, 3)
    seen = _run(_network(first, None), [shot.picture for shot in taught]).astype(np.float64)
    mean, spread = seen.mean(0), seen.std(0) + 1e-3
    ordered = (seen - mean) / spread
    wanted = np.eye(len(CLASSES))[[shot.label for shot in taught]]
    inner = ordered @ ordered.T + _RIDGE * len(taught) * np.eye(len(taught))
    slope = ordered.T @ np.linalg.solve(inner, wanted - wanted.mean(0)) / spread[:, None]
    last = (4 * slope).astype(np.float32), (4 * (wanted.mean(0) - mean @ slope)).astype(np.float32)
    return Classifier(_network(first, last), tuple(part for layer in (*first, last) for part in layer))


def _layer(random: np.random.Generator, outputs: int, inputs: int, side: int) -> tuple[Array, Array]:
    weight = random.standard_normal((outputs, inputs, side, side)) / np.sqrt(inputs * side * side)
    return weight.astype(np.float32), random.uniform(-0.1, 0.1, outputs).astype(np.float32)


def _network(convolutions: Sequence[tuple[Array, Array]], last: tuple[Array, Array] | None) -> ModelProto:
    nodes, constants, x = [], [], "x"
    for number, (weight, bias) in enumerate(convolutions):
        constants += [numpy_helper.from_array(weight, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        given = [x, f"w{number}", f"b{number}"]
        nodes += [
            helper.make_node("Conv", given, [f"c{number}"], strides=[2, 2], pads=[weight.shape[2] // 2] * 4),
            helper.make_node("Relu", [f"c{number}"], [f"r{number}"]),
        ]
        x = f"r{number}"
    nodes += [
        helper.make_node("MaxPool", [x], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f" if last else "y"]),
    ]
    if last:
        constants += [numpy_helper.from_array(last[0], "w"), numpy_helper.from_array(last[1], "b")]
        nodes.append(helper.make_node("Gemm", ["f", "w", "b"], ["y"]))
    given_x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, _HEIGHT, _WIDTH])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])
    graph = helper.make_graph(nodes, "light", [given_x], [made], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _run(model: ModelProto, pictures: Sequence[NDArray[np.uint8]]) -> Array:
    given = np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made: Array = session.run(["y"], {"x": given})[0]
    return made
