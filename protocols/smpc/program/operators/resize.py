"""Images made larger or smaller: every mode is a known matrix along each axis."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from protocols.smpc.program.mixed import hidden, moved, weighted
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.steps import Array
from protocols.smpc.replicated.kernels import matmul
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party

__all__ = ["RESIZE"]

_BITS = 20  # fractional bits of the interpolation's weights


def resize(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """Nearest neighbours, linear and cubic interpolation, along every axis whose size changes."""
    for axis, (size, wanted) in enumerate(zip(node.shape(), node.makes.shape, strict=True)):
        scale = _scale(node, axis)
        if size == wanted and scale == 1.0:
            continue
        places = _sources(node, size, wanted, scale)
        if node.text("mode", "nearest") == "nearest":
            picked = _nearest(node, places, size)
            x = moved(x, lambda array, axis=axis, picked=picked: np.asarray(np.take(array, picked, axis)))  # type: ignore[misc]
            continue
        known = party.fixed.encode(_matrix(node, places, size), fraction=_BITS)
        shape = (*x.shape[:axis], wanted, *x.shape[axis + 1 :])
        x = weighted(party, partial(_along, axis=axis), hidden(party, x, "number"), known, shape, bits=_BITS)
    return x


def _along(share: Words, known: Words, *, axis: int) -> Words:
    front = np.moveaxis(share, axis, 0)
    out = matmul(known, np.ascontiguousarray(front).reshape(front.shape[0], -1))
    return np.moveaxis(out.reshape(-1, *front.shape[1:]), 0, axis)


def _axes(node: Node) -> tuple[int, ...]:
    rank = len(node.shape())
    return node.counted(node.integers("axes", tuple(range(rank))), rank)


def _scale(node: Node, axis: int) -> float:
    """How much larger an axis becomes, as the graph says it or as the sizes do."""
    ratio = node.makes.shape[axis] / node.shape()[axis]
    old = node.step.operator == "Upsample" or len(node.inputs) == 2
    position = 1 if old else 2
    if node.attribute("scales") is not None:
        return float(node.attribute("scales")[axis])
    if position not in node.known or not node.known[position].size:
        return _kept(node, axis, ratio)
    axes = _axes(node)
    return float(node.known[position][axes.index(axis)]) if axis in axes else 1.0


def _kept(node: Node, axis: int, ratio: float) -> float:
    """Where sizes are given and the aspect ratio is kept, one scale for all axes."""
    policy, axes = node.text("keep_aspect_ratio_policy", "stretch"), _axes(node)
    if policy == "stretch" or axis not in axes:
        return ratio
    ratios = [float(want) / node.shape()[each] for want, each in zip(node.known[3], axes, strict=True)]
    return min(ratios) if policy == "not_larger" else max(ratios)


def _sources(node: Node, size: int, wanted: int, scale: float) -> Array:
    """Where each result lies in the original."""
    at = np.arange(wanted, dtype=np.float64)
    length = scale * size
    match node.text("coordinate_transformation_mode", "half_pixel"):
        case "align_corners":
            return at * (size - 1) / (length - 1) if length > 1 else np.zeros(wanted)
        case "asymmetric":
            return at / scale
        case "pytorch_half_pixel":
            return (at + 0.5) / scale - 0.5 if length > 1 else np.zeros(wanted)
        case "half_pixel_symmetric":
            offset = size / 2 * (1 - wanted / length)
            return offset + (at + 0.5) / scale - 0.5
        case _:
            if node.step.operator == "Upsample" or node.opset < 11:
                return at / scale
            return (at + 0.5) / scale - 0.5


def _nearest(node: Node, places: Array, size: int) -> Array:
    if node.step.operator == "Upsample" or node.opset < 11:
        picked = np.floor(places)
    else:
        match node.text("nearest_mode", "round_prefer_floor"):
            case "round_prefer_floor":
                picked = np.ceil(places - 0.5)
            case "round_prefer_ceil":
                picked = np.floor(places + 0.5)
            case "floor":
                picked = np.floor(places)
            case _:
                picked = np.ceil(places)
    return np.clip(picked, 0, size - 1).astype(np.int64)


def _matrix(node: Node, places: Array, size: int) -> Array:
    """(results, originals): how much of each original is in each result."""
    cubic = node.text("mode", "nearest") == "cubic"
    low = np.floor(places).astype(np.int64)
    rest = places - low
    taps = _cubic(rest, node.number("cubic_coeff_a", -0.75)) if cubic else np.stack([1 - rest, rest], 1)
    offsets = np.arange(-1, 3) if cubic else np.arange(2)
    columns = low[:, None] + offsets
    if node.integer("exclude_outside"):
        taps = np.where((columns < 0) | (columns >= size), 0.0, taps)
        taps = taps / taps.sum(1, keepdims=True)
    out = np.zeros((len(places), size))
    for column, weight in zip(np.clip(columns, 0, size - 1).T, taps.T, strict=True):
        np.add.at(out, (np.arange(len(places)), column), weight)
    return out


def _cubic(rest: Array, a: float) -> Array:
    """Keys' kernel at the four neighbours."""
    near, far = [], []
    for t in (rest, 1 - rest):
        near.append(((a + 2) * t - (a + 3)) * t * t + 1)
        s = t + 1
        far.append(((a * s - 5 * a) * s + 8 * a) * s - 4 * a)
    return np.stack([far[0], near[0], near[1], far[1]], 1)


def _possible(node: Node) -> str | None:
    if node.text("coordinate_transformation_mode") == "tf_crop_and_resize":
        return "with a region cut out"
    if node.integer("antialias"):
        return "with antialiasing"
    if not math.prod(node.shape()):
        return "of nothing"
    mode = node.text("mode", "nearest")
    return None if mode in ("nearest", "linear", "bilinear", "cubic") else f"in mode {mode}"


RESIZE: Table = {
    "Resize": Operator(resize, open=frozenset({1, 2, 3}), check=_possible),
    "Upsample": Operator(resize, open=frozenset({1}), check=_possible),
}
