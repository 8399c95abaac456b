"""Operators that only move elements about: they send nothing, and work on secrets and on public arrays alike."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protocols.smpc.program.mixed import hidden, moved, plus
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.steps import Array, Kind
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["MOVEMENT", "same"]

_MODES = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def same(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """What comes in goes out."""
    return x


def reshape(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """For every operator whose result has the same elements in the same order: its shape is known."""
    return x.reshape(*node.makes.shape)


def transpose(party: Party, node: Node, x: Operand) -> Operand:
    """Axes in another order."""
    return x.transpose(*node.integers("perm", tuple(range(len(x.shape)))[::-1]))


def concatenate(party: Party, node: Node, *values: Operand) -> Operand:
    """One behind the other, along an axis."""
    axis = node.axis(0)
    public = [value for value in values if not isinstance(value, Secret)]
    if len(public) == len(values):
        return np.concatenate(public, axis)
    return Secret.concatenate([hidden(party, value, node.kind) for value in values], axis)


def split(party: Party, node: Node, x: Operand, *rest: Operand) -> tuple[Operand, ...]:
    """Into pieces whose shapes are known."""
    axis, ends = node.axis(0), 0
    parts = []
    for tensor in node.step.outputs:
        size = tensor.shape[axis] if tensor.shape else 0
        parts.append(x[(*(slice(None),) * axis, slice(ends, ends + size))])
        ends += size
    return tuple(parts)


def cut(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """A part along each axis, with steps, forwards or backwards."""
    starts, ends = node.listed("starts", 1) or (), node.listed("ends", 2) or ()
    axes = node.counted(node.listed("axes", 3) or tuple(range(len(starts))), len(x.shape))
    index = [slice(None)] * len(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, node.listed("", 4) or (1,) * len(starts), strict=True):
        size = x.shape[axis]
        first, last = (value + size if value < 0 else value for value in (start, end))
        stop = max(last, -1) if step < 0 else min(max(last, 0), size)
        begin = min(max(first, 0), size - 1 if step < 0 else size)
        index[axis] = slice(begin, None if stop < 0 else stop, step)
    return x[tuple(index)]


def expand(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """Broadcast to a shape."""
    return moved(x, lambda array: np.broadcast_to(array, node.makes.shape))


def tile(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """Repeated along each axis."""
    repeats = node.listed("repeats", 1) or ()
    return moved(x, lambda array: np.tile(array, repeats))


def pad(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """With a number, or with what lies inside, around it; negative widths cut off."""
    pads = node.listed("pads", 1) or ()
    rank = len(x.shape)
    axes = node.counted(node.listed("axes", 3) or tuple(range(rank)), rank)
    widths = np.zeros((rank, 2), np.int64)
    for place, axis in enumerate(axes):
        widths[axis] = pads[place], pads[place + len(axes)]
    x = x[tuple(slice(max(-low, 0), size - max(-high, 0)) for (low, high), size in zip(widths, x.shape, strict=True))]
    around = [(max(int(low), 0), max(int(high), 0)) for low, high in widths]
    mode = node.text("mode", "constant")
    if mode != "constant":
        return moved(x, lambda array: np.asarray(np.pad(array, around, mode=_MODES[mode])))  # type: ignore[call-overload]
    fill = float(node.known[2].ravel()[0]) if 2 in node.known else node.number("value")
    return _filled(party, node, x, around, fill)


def _filled(party: Party, node: Node, x: Operand, around: list[tuple[int, int]], fill: float) -> Operand:
    if not isinstance(x, Secret):
        return np.pad(x, around, constant_values=fill)
    padded = x.pad(around)
    if fill == 0:
        return padded
    rim = np.pad(np.zeros(x.shape), around, constant_values=fill)
    return plus(party, padded, rim, node.kind, node.makes.shape)


def depth_to_space(party: Party, node: Node, x: Operand) -> Operand:
    """Channels laid out as blocks of pixels."""
    side = node.integer("blocksize", 1)
    batch, channels, height, width = x.shape
    if node.text("mode", "DCR") == "DCR":
        shape, order = (batch, side, side, channels // side**2, height, width), (0, 3, 4, 1, 5, 2)
    else:
        shape, order = (batch, channels // side**2, side, side, height, width), (0, 1, 4, 2, 5, 3)
    return x.reshape(*shape).transpose(*order).reshape(*node.makes.shape)


def space_to_depth(party: Party, node: Node, x: Operand) -> Operand:
    """Blocks of pixels laid out as channels."""
    side = node.integer("blocksize", 1)
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // side, side, width // side, side)
    return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(*node.makes.shape)


def triangle(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """The upper triangle, or the lower one; zeros elsewhere."""
    diagonal = int(node.known[1].ravel()[0]) if 1 in node.known else 0
    cut_out: Callable[..., Array] = np.triu if node.integer("upper", 1) else np.tril
    return moved(x, lambda array: cut_out(array, diagonal))


def cumulative_sum(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """Along an axis, from either end, with or without the element itself."""
    axis = node.counted((int(node.known[1].ravel()[0]),), len(x.shape))[0]
    back = bool(node.integer("reverse"))

    def running(array: Array) -> Array:
        turned = np.flip(array, axis) if back else array
        total = np.cumsum(turned, axis, dtype=array.dtype)
        total = total - turned if node.integer("exclusive") else total
        return np.flip(total, axis) if back else total

    return hidden(party, x, node.kind).map(running)


def reversed_sequences(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """The first elements of each sequence turned around; how many, everybody knows."""
    batch, time = node.integer("batch_axis", 1), node.integer("time_axis")

    def turned(array: Array) -> Array:
        lying = np.moveaxis(array, (batch, time), (0, 1)).copy()
        for row, length in zip(lying, node.known[1].ravel(), strict=True):
            row[:length] = row[:length][::-1]
        return np.moveaxis(lying, (0, 1), (batch, time))

    return moved(x, turned)


def shape_of(party: Party, node: Node, x: Operand) -> Operand:
    """Everybody knows it."""
    shape = x.shape
    start, stop, _ = slice(node.integer("start"), node.integer("end", len(shape))).indices(len(shape))
    return np.array(shape[start:stop], np.int64)


def size_of(party: Party, node: Node, x: Operand) -> Operand:
    """How many elements: everybody knows it."""
    return np.array(math.prod(x.shape), np.int64)


def _pad_mode(node: Node) -> str | None:
    mode = node.text("mode", "constant")
    return None if mode == "constant" or mode in _MODES else f"in mode {mode}"


_ANY = frozenset[Kind](("number", "integer", "truth"))
_TRAINING = frozenset({1, 2})


def _still(node: Node) -> str | None:
    training = 2 in node.known and bool(node.known[2].ravel()[0])
    return "in training" if training else "with its mask read" if node.reads(1) else None


MOVEMENT: Table = {
    "Concat": Operator(concatenate, kinds=_ANY),
    "CumSum": Operator(cumulative_sum, open=frozenset({1}), kinds=frozenset[Kind](("number", "integer"))),
    "DepthToSpace": Operator(depth_to_space, kinds=_ANY),
    "Dropout": Operator(same, open=_TRAINING, check=_still, kinds=_ANY),
    "Expand": Operator(expand, open=frozenset({1}), kinds=_ANY),
    "Flatten": Operator(reshape, kinds=_ANY),
    "Identity": Operator(same, kinds=_ANY),
    "Pad": Operator(pad, open=frozenset({1, 2, 3}), check=_pad_mode, kinds=_ANY),
    "Reshape": Operator(reshape, open=frozenset({1}), kinds=_ANY),
    "ReverseSequence": Operator(reversed_sequences, open=frozenset({1}), kinds=_ANY),
    "Shape": Operator(shape_of, kinds=_ANY),
    "Size": Operator(size_of, kinds=_ANY),
    "Slice": Operator(cut, open=frozenset({1, 2, 3, 4}), kinds=_ANY),
    "SpaceToDepth": Operator(space_to_depth, kinds=_ANY),
    "Split": Operator(split, open=frozenset({1}), kinds=_ANY),
    "Squeeze": Operator(reshape, open=frozenset({1}), kinds=_ANY),
    "Tile": Operator(tile, open=frozenset({1}), kinds=_ANY),
    "Transpose": Operator(transpose, kinds=_ANY),
    "Trilu": Operator(triangle, open=frozenset({1}), kinds=_ANY),
    "Unsqueeze": Operator(reshape, open=frozenset({1}), kinds=_ANY),
}
