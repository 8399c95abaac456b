"""How a kernel is laid over a plane, as ONNX says it: strides, dilations, and padding given or worked out."""

from __future__ import annotations

from protocols.smpc.program.node import Node
from protocols.smpc.replicated.kernels import Geometry

__all__ = ["Sides", "laid", "padding_of"]

Sides = tuple[tuple[int, ...], tuple[int, ...]]
"""Before and after, along every axis."""


def padding_of(node: Node, plane: tuple[int, ...], kernel: tuple[int, ...]) -> Sides:
    """Zeros around a plane, so that the windows end where ONNX says.

    With `ceil_mode` the last window may reach over the end by itself; `spill` is what is added for it.
    """
    rank = len(kernel)
    strides = node.integers("strides", (1,) * rank)
    dilations = node.integers("dilations", (1,) * rank)
    automatic = node.text("auto_pad", "NOTSET")
    if automatic in ("NOTSET", "VALID"):
        pads = node.integers("pads", (0,) * 2 * rank) if automatic == "NOTSET" else (0,) * 2 * rank
        return pads[:rank], pads[rank:]
    begin, after = [], []
    for size, side, step, apart in zip(plane, kernel, strides, dilations, strict=True):
        total = max((-(-size // step) - 1) * step + (side - 1) * apart + 1 - size, 0)
        small = total // 2
        begin.append(small if automatic == "SAME_UPPER" else total - small)
        after.append(total - begin[-1])
    return tuple(begin), tuple(after)


def laid(node: Node, kernel: tuple[int, ...], sides: Sides) -> Geometry:
    """In two dimensions: a row is a plane of height one."""
    rank = len(kernel)
    strides = node.integers("strides", (1,) * rank)
    dilations = node.integers("dilations", (1,) * rank)
    (top, left), (bottom, right) = _pair(sides[0], 0), _pair(sides[1], 0)
    groups = node.integer("group", 1)
    return Geometry(_pair(strides, 1), _pair(dilations, 1), (top, left, bottom, right), groups)


def _pair(values: tuple[int, ...], lacking: int) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) == 2 else (lacking, values[0])
