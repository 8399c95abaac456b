"""Sums, means, extremes and norms along axes, and where the largest stands."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from protocols.smpc.program.mixed import hidden, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated import arithmetic, comparison, functions, scaling
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["REDUCTION"]

Row = Callable[[Party, Node, Secret], Secret]
"""Of rows (n, m), in the last axis, to (n,)."""


def _along(row: Row) -> Callable[..., Operand]:
    """A reduction along any axes of what works on the rows of a matrix."""

    def reduced(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
        rank = len(x.shape)
        axes = node.listed("axes", 1)
        if not axes and node.integer("noop_with_empty_axes"):
            return _elementwise(party, node, x, row)
        taken = node.counted(axes or tuple(range(rank)), rank)
        kept = [axis for axis in range(rank) if axis not in taken]
        width = math.prod(x.shape[axis] for axis in taken)
        rows = hidden(party, x, node.kind).transpose(*kept, *taken)
        return row(party, node, rows.reshape(math.prod(x.shape[axis] for axis in kept), width)).reshape(
            *node.makes.shape
        )

    return reduced


def _elementwise(party: Party, node: Node, x: Operand, row: Row) -> Operand:
    """No axes at all: each value is a row of its own."""
    return row(party, node, hidden(party, x, node.kind).reshape(-1, 1)).reshape(*node.makes.shape)


def _sum(party: Party, node: Node, rows: Secret) -> Secret:
    return rows.sum(1)


def _mean(party: Party, node: Node, rows: Secret) -> Secret:
    return arithmetic.mean(party, rows, 1)


def _largest(party: Party, node: Node, rows: Secret) -> Secret:
    return comparison.largest(party, rows, 1, bits=node.bits)


def _smallest(party: Party, node: Node, rows: Secret) -> Secret:
    return -comparison.largest(party, -rows, 1, bits=node.bits)


def _sizes(party: Party, node: Node, rows: Secret) -> Secret:
    return comparison.absolute(party, rows, bits=node.bits).sum(1)


def _squares(party: Party, node: Node, rows: Secret) -> Secret:
    """Rounded once, however long the rows are."""
    return arithmetic.dot(party, rows, rows, 1, bits=None if node.kind == "number" else 0)


def _norm(party: Party, node: Node, rows: Secret) -> Secret:
    return scaling.square_root(party, _squares(party, node, rows))


def _product(party: Party, node: Node, rows: Secret) -> Secret:
    """As a tree."""
    rows = rows.transpose(1, 0)
    while (length := rows.shape[0]) > 1:
        half = length // 2
        pairs = times(party, rows[:half], rows[half : 2 * half], (node.kind, node.kind), (half, rows.shape[1]))
        rows = Secret.concatenate([pairs, rows[2 * half :]]) if length % 2 else pairs
    return rows[0]


def _log_sum(party: Party, node: Node, rows: Secret) -> Secret:
    return scaling.logarithm(party, rows.sum(1))


def _log_sum_exp(party: Party, node: Node, rows: Secret) -> Secret:
    """The largest, and the logarithm of a sum that is between 1 and the number of values."""
    top = comparison.largest(party, rows, 1, bits=node.bits)
    grown = functions.exponential(party, rows - top.reshape(-1, 1), high=1.0, bits=node.bits)
    high = rows.shape[1].bit_length() + 1
    return top + scaling.logarithm(party, grown.sum(1), low=0, high=high)


def where_largest(party: Party, node: Node, x: Operand) -> Secret:
    """The place of the largest along an axis, as an integer."""
    return _place(party, node, hidden(party, x, node.kind))


def where_smallest(party: Party, node: Node, x: Operand) -> Secret:
    """The place of the smallest along an axis, as an integer."""
    return _place(party, node, -hidden(party, x, node.kind))


def _place(party: Party, node: Node, x: Secret) -> Secret:
    """Of equals the first, or the last if asked."""
    axis = node.axis(0)
    last = bool(node.integer("select_last_index"))
    if last:
        x = x.map(lambda share: np.flip(share, axis))
    place = comparison.argmax(party, x, axis, bits=node.bits)[1]
    if last:
        place = party.add(-place, np.full((1,) * len(place.shape), x.shape[axis] - 1, np.uint64))
    return place.reshape(*node.makes.shape)


def _not_empty(node: Node) -> str | None:
    return None if math.prod(node.shape()) else "of nothing"


_COUNTED = frozenset[Kind](("number", "integer"))
_AXES = frozenset({1})


def _counted(row: Row, check: Callable[[Node], str | None] | None = _not_empty) -> Operator:
    return Operator(_along(row), open=_AXES, kinds=_COUNTED, check=check)


def _real(row: Row) -> Operator:
    return Operator(_along(row), open=_AXES, check=_not_empty)


REDUCTION: Table = {
    "ArgMax": Operator(where_largest, kinds=_COUNTED, check=_not_empty),
    "ArgMin": Operator(where_smallest, kinds=_COUNTED, check=_not_empty),
    "ReduceL1": _counted(_sizes),
    "ReduceL2": _real(_norm),
    "ReduceLogSum": _real(_log_sum),
    "ReduceLogSumExp": _real(_log_sum_exp),
    "ReduceMax": _counted(_largest),
    "ReduceMean": _real(_mean),
    "ReduceMin": _counted(_smallest),
    "ReduceProd": _counted(_product),
    "ReduceSum": _counted(_sum, None),
    "ReduceSumSquare": _counted(_squares, None),
}
