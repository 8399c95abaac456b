"""Pooling over windows and over whole planes."""

from __future__ import annotations

import numpy as np

from protocols.smpc.program.merge import AT_LEAST_ZERO
from protocols.smpc.program.mixed import hidden, scaled, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.operators.windows import Sides, laid, padding_of
from protocols.smpc.program.steps import Array
from protocols.smpc.replicated import arithmetic, comparison, scaling
from protocols.smpc.replicated.kernels import Geometry, patches
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["POOLING"]


def max_pool(party: Party, node: Node, x: Operand) -> Secret:
    """The largest of each window. What pads is under everything."""
    kernel, layout = _windows(node)
    planes = hidden(party, x, "number").reshape(*_plane(node.shape()))
    raised = bool(node.integer(AT_LEAST_ZERO))
    found = comparison.max_pool(party, planes, kernel, layout, at_least_zero=raised, bits=node.bits)
    return _fitted(found, node)


def average_pool(party: Party, node: Node, x: Operand) -> Secret:
    """The mean of each window: its sum, which costs nothing, times a number that everybody knows."""
    kernel, layout = _windows(node)
    planes = hidden(party, x, "number").reshape(*_plane(node.shape()))
    total = _fitted(_sums(planes, kernel, layout), node)
    return scaled(party, total, _shares_of_one(node, kernel, layout), node.makes.shape)


def power_pool(party: Party, node: Node, x: Operand) -> Secret:
    """The sum of sizes in each window, or the root of the sum of squares."""
    kernel, layout = _windows(node)
    planes = _powers(party, node, hidden(party, x, "number")).reshape(*_plane(node.shape()))
    total = _fitted(_sums(planes, kernel, layout), node)
    return total if node.integer("p", 2) == 1 else scaling.square_root(party, total)


def global_average_pool(party: Party, node: Node, x: Operand) -> Secret:
    """The mean of each plane."""
    return arithmetic.mean(party, hidden(party, x, "number"), _planar(node), keepdims=True)


def global_max_pool(party: Party, node: Node, x: Operand) -> Secret:
    """The largest of each plane."""
    rows = hidden(party, x, "number").reshape(*node.shape()[:2], -1)
    return comparison.largest(party, rows, 2, bits=node.bits).reshape(*node.makes.shape)


def global_power_pool(party: Party, node: Node, x: Operand) -> Secret:
    """As `power_pool`, of each plane."""
    total = _powers(party, node, hidden(party, x, "number")).sum(_planar(node), keepdims=True)
    return total if node.integer("p", 2) == 1 else scaling.square_root(party, total)


def _powers(party: Party, node: Node, x: Secret) -> Secret:
    if node.integer("p", 2) == 1:
        return comparison.absolute(party, x, bits=node.bits)
    return times(party, x, x, ("number", "number"), x.shape)


def _planar(node: Node) -> tuple[int, ...]:
    return tuple(range(2, len(node.shape())))


def _plane(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:2], 1, *shape[2:]) if len(shape) == 3 else shape


def _windows(node: Node) -> tuple[tuple[int, int], Geometry]:
    """The kernel, and how it is laid so that there are as many windows as the program says."""
    kernel = node.integers("kernel_shape")
    begin, after = padding_of(node, node.shape()[2:], kernel)
    layout = laid(node, kernel, (begin, _reaching(node, kernel, (begin, after))))
    return ((1, kernel[0]) if len(kernel) == 1 else (kernel[0], kernel[1])), layout


def _reaching(node: Node, kernel: tuple[int, ...], sides: Sides) -> tuple[int, ...]:
    """Padding after, with what the last window needs where `ceil_mode` lets it reach over the end."""
    strides = node.integers("strides", (1,) * len(kernel))
    dilations = node.integers("dilations", (1,) * len(kernel))
    needed = [
        (count - 1) * step + (side - 1) * apart + 1 - size - before
        for count, step, side, apart, size, before in zip(
            node.makes.shape[2:], strides, kernel, dilations, node.shape()[2:], sides[0], strict=True
        )
    ]
    return tuple(max(need, given) for need, given in zip(needed, sides[1], strict=True))


def _sums(planes: Secret, kernel: tuple[int, int], layout: Geometry) -> Secret:
    return planes.map(lambda share: np.asarray(patches(share, kernel, layout).sum((-2, -1), dtype=np.uint64)))


def _fitted(found: Secret, node: Node) -> Secret:
    """Without the windows that begin beyond the end."""
    rows, columns = _plane(node.makes.shape)[2:]
    return found[:, :, :rows, :columns].reshape(*node.makes.shape)


def _shares_of_one(node: Node, kernel: tuple[int, int], layout: Geometry) -> Array:
    """1 / the number of values that count in each window."""
    counted = np.ones((1, 1, *_plane(node.shape())[2:]), np.uint64)
    if node.integer("count_include_pad"):
        begin, after = padding_of(node, node.shape()[2:], node.integers("kernel_shape"))
        around = Geometry(padding=laid(node, begin, (begin, after)).padding)
        top, left, bottom, right = around.padding
        counted = np.pad(counted, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=1)
        over = [whole - own for whole, own in zip(layout.padding, around.padding, strict=True)]
        layout = Geometry(layout.stride, layout.dilation, (over[0], over[1], over[2], over[3]))
    rows, columns = _plane(node.makes.shape)[2:]
    windows = patches(counted, kernel, layout).sum((-2, -1))[:, :, :rows, :columns]
    return np.asarray(1 / windows.reshape(1, 1, *node.makes.shape[2:]))


def _dimensions(node: Node) -> str | None:
    rank = len(node.shape()) - 2
    if rank not in (1, 2):
        return f"in {rank} dimensions"
    return "with its indices read" if node.reads(1) else None


def _powers_only(node: Node) -> str | None:
    return _dimensions(node) if node.integer("p", 2) in (1, 2) else f"with p = {node.integer('p', 2)}"


def _power_only(node: Node) -> str | None:
    return None if node.integer("p", 2) in (1, 2) else f"with p = {node.integer('p', 2)}"


POOLING: Table = {
    "AveragePool": Operator(average_pool, check=_dimensions),
    "GlobalAveragePool": Operator(global_average_pool),
    "GlobalLpPool": Operator(global_power_pool, check=_power_only),
    "GlobalMaxPool": Operator(global_max_pool),
    "LpPool": Operator(power_pool, check=_powers_only),
    "MaxPool": Operator(max_pool, check=_dimensions),
}
