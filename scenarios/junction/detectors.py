"""The detectors that a camera can be given: what each wants as input and how its output becomes boxes. Pure.

A detector is recognised by the names, types and shapes of its model's inputs and outputs, never by its file's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image

from mesh.errors import BadInput

from .boxes import Box, Floats, boxed, suppress
from .coco import COCO
from .grid import LABELS, STRIDE, read_grid
from .view import HEIGHT, WIDTH

__all__ = ["DEFAULT_MODEL", "Detector", "Port", "ports", "recognise", "recognised_file"]

DEFAULT_MODEL = Path(__file__).with_name("detector.onnx")
"""The junction's own detector."""
Picture = NDArray[np.uint8]
Tensors = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a model: `dtype` as numpy names it; a size that is not fixed is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Detector(Protocol):
    """What turns frames into a model's input and its output into boxes."""

    @property
    def name(self) -> str:
        """What to call it on a screen."""

    @property
    def labels(self) -> Sequence[str]:
        """Every label a box of it can have."""

    def prepare(self, frame: Picture) -> dict[str, NDArray[np.generic]]:
        """The model's input for one frame (height, width, 3) uint8 RGB of any size: a batch of one."""

    def decode(self, outputs: Tensors, height: int, width: int, row: int = 0) -> list[Box]:
        """The boxes in the model's answer, best first, in pixels of the frame it was asked about.

        Args:
            outputs: the answer, by output name.
            height, width: of that frame.
            row: which of the batch's answers.
        """


def ports(model: Path) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The inputs and outputs of an ONNX file.

    Raises:
        BadInput: it is missing or no ONNX model.
    """
    try:
        graph = onnx.ModelProto.FromString(model.read_bytes()).graph
    except OSError as error:
        raise BadInput(f"{model} cannot be read ({error.strerror}): give the path of an .onnx file") from error
    except DecodeError as error:
        raise BadInput(f"{model} is no ONNX model: give the path of an .onnx file") from error
    weights = {tensor.name for tensor in graph.initializer}
    return tuple(_port(value) for value in graph.input if value.name not in weights), tuple(map(_port, graph.output))


def recognised_file(model: Path) -> Detector:
    """The detector that an ONNX file is.

    Raises:
        BadInput: it is missing, no ONNX model, or no detector that is known.
    """
    return recognise(*ports(model))


def recognise(inputs: Sequence[Port], outputs: Sequence[Port]) -> Detector:
    """The detector that a model with these inputs and outputs is.

    Raises:
        BadInput: none that is known.
    """
    if len(inputs) == 1 and outputs:
        seen = (inputs[0].dtype, inputs[0].shape[1:], outputs[0].shape[1:])
        for kind in (JunctionDetector, FastestDet, YoloxNano):
            if seen == kind.SHAPES:
                return kind(inputs[0].name, outputs[0].name)
    known = "; ".join(f"{kind.__name__}: {_told(kind.SHAPES)}" for kind in (JunctionDetector, FastestDet, YoloxNano))
    given = ", ".join(f"{port.name} {port.dtype} {list(port.shape)}" for port in (*inputs, *outputs))
    raise BadInput(
        f"this model is no detector whose boxes can be read: its inputs and outputs are {given}. Known are {known}. "
        "Any other model runs with `mesh infer`, which gives its raw output"
    )


@dataclass(frozen=True, slots=True)
class JunctionDetector:
    """The small network trained on the simulated junction; see `grid.py` for its output."""

    SHAPES: ClassVar = ("uint8", (HEIGHT, WIDTH, 3), (len(LABELS) + 4, HEIGHT // STRIDE, WIDTH // STRIDE))

    input: str = "frames"
    output: str = "grid"
    threshold: float = 0.4
    limit: float = 0.4

    @property
    def name(self) -> str:
        return "junction detector"

    @property
    def labels(self) -> Sequence[str]:
        return LABELS

    def prepare(self, frame: Picture) -> dict[str, NDArray[np.generic]]:
        if frame.shape != (HEIGHT, WIDTH, 3):
            frame = _stretched(frame, WIDTH, HEIGHT)
        return {self.input: np.ascontiguousarray(frame)[None]}

    def decode(self, outputs: Tensors, height: int, width: int, row: int = 0) -> list[Box]:
        boxes = read_grid(np.asarray(outputs[self.output][row], dtype=np.float32), self.threshold, self.limit)
        return (
            boxes
            if (height, width) == (HEIGHT, WIDTH)
            else [_scaled(box, width / WIDTH, height / HEIGHT) for box in boxes]
        )


@dataclass(frozen=True, slots=True)
class FastestDet:
    """FastestDet on COCO. Source: github.com/dog-qiuqiu/FastestDet, its ONNX Runtime example."""

    SHAPES: ClassVar = ("float32", (3, 352, 352), (85, 22, 22))

    input: str
    output: str
    threshold: float = 0.5
    limit: float = 0.45

    @property
    def name(self) -> str:
        return "FastestDet"

    @property
    def labels(self) -> Sequence[str]:
        return COCO

    def prepare(self, frame: Picture) -> dict[str, NDArray[np.generic]]:
        small = _stretched(frame, 352, 352)[..., ::-1].astype(np.float32) / np.float32(255)
        return {self.input: np.ascontiguousarray(small.transpose(2, 0, 1))[None]}

    def decode(self, outputs: Tensors, height: int, width: int, row: int = 0) -> list[Box]:
        answer = np.asarray(outputs[self.output][row], dtype=np.float32).reshape(85, -1).T
        cells = np.stack(np.meshgrid(np.arange(22), np.arange(22)), axis=-1).reshape(-1, 2).astype(np.float32)
        scores = answer[:, 0] ** np.float32(0.6) * answer[:, 5:].max(axis=1) ** np.float32(0.4)
        middles = (cells + np.tanh(answer[:, 1:3])) / np.float32(22)
        sizes = 1 / (1 + np.exp(-answer[:, 3:5]))
        frame = np.array([width, height], dtype=np.float32)
        return _kept(
            _around(middles * frame, sizes * frame), scores, answer[:, 5:].argmax(axis=1), self.threshold, self.limit
        )


@dataclass(frozen=True, slots=True)
class YoloxNano:
    """YOLOX-Nano on COCO, its output not yet decoded.

    Source: github.com/Megvii-BaseDetection/YOLOX, `yolox/utils/demo_utils.py`.
    """

    SHAPES: ClassVar = ("float32", (3, 416, 416), (3549, 85))

    input: str
    output: str
    threshold: float = 0.4
    limit: float = 0.45

    @property
    def name(self) -> str:
        return "YOLOX-Nano"

    @property
    def labels(self) -> Sequence[str]:
        return COCO

    def prepare(self, frame: Picture) -> dict[str, NDArray[np.generic]]:
        ratio = min(416 / frame.shape[0], 416 / frame.shape[1])
        small = _stretched(frame, max(1, int(frame.shape[1] * ratio)), max(1, int(frame.shape[0] * ratio)))
        padded = np.full((416, 416, 3), 114, dtype=np.float32)
        padded[: small.shape[0], : small.shape[1]] = small[..., ::-1]
        return {self.input: np.ascontiguousarray(padded.transpose(2, 0, 1))[None]}

    def decode(self, outputs: Tensors, height: int, width: int, row: int = 0) -> list[Box]:
        answer = np.asarray(outputs[self.output][row], dtype=np.float32)
        cells, strides = _yolox_cells()
        scores = answer[:, 4] * answer[:, 5:].max(axis=1)
        ratio = np.float32(min(416 / height, 416 / width))
        middles = (answer[:, :2] + cells) * strides / ratio
        sizes = np.exp(np.clip(answer[:, 2:4], -8, 8)) * strides / ratio
        boxes = _kept(_around(middles, sizes), scores, answer[:, 5:].argmax(axis=1), self.threshold, self.limit)
        return [_clipped(box, width, height) for box in boxes]


def _around(middles: Floats, sizes: Floats) -> Floats:
    """Corners (n, 4) of boxes given by their middles and sizes (n, 2)."""
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)


def _yolox_cells() -> tuple[Floats, Floats]:
    """For each of the 3549 answers its cell (3549, 2) and its stride (3549, 1)."""
    cells, strides = [], []
    for stride in (8, 16, 32):
        side = 416 // stride
        cells.append(np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2))
        strides.append(np.full((side * side, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _kept(corners: Floats, scores: Floats, labels: NDArray[np.intp], threshold: float, limit: float) -> list[Box]:
    """COCO boxes above the threshold, without the weaker of those that overlap."""
    chosen = np.flatnonzero(scores >= threshold)
    corners = corners[chosen]
    kept = suppress(corners, scores[chosen], labels[chosen], limit)
    return [boxed(COCO[labels[chosen[one]]], corners[one], scores[chosen[one]]) for one in kept]


def _stretched(frame: Picture, width: int, height: int) -> Picture:
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))


def _scaled(box: Box, wide: float, high: float) -> Box:
    return Box(box.label, box.left * wide, box.top * high, box.right * wide, box.bottom * high, box.score)


def _clipped(box: Box, width: int, height: int) -> Box:
    left, right = (min(max(edge, 0.0), float(width)) for edge in (box.left, box.right))
    top, bottom = (min(max(edge, 0.0), float(height)) for edge in (box.top, box.bottom))
    return Box(box.label, left, top, right, bottom, box.score)


def _port(value: onnx.ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    sizes = tuple(one.dim_value if one.HasField("dim_value") else None for one in tensor.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if tensor.elem_type else "nothing"
    return Port(value.name, dtype, sizes)


def _told(shapes: tuple[str, tuple[int, ...], tuple[int, ...]]) -> str:
    dtype, given, answered = shapes
    return f"{dtype} [n, {', '.join(map(str, given))}] to [n, {', '.join(map(str, answered))}]"
