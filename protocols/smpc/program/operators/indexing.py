"""Elements picked by indices: public ones cost nothing, secret ones a comparison with every index there is."""

from __future__ import annotations

import math

import numpy as np

from protocols.smpc.program.mixed import hidden, moved, plus, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.operators.linear import matrix_product
from protocols.smpc.program.steps import Array, Kind
from protocols.smpc.replicated import arithmetic, comparison
from protocols.smpc.replicated.bits import to_ring
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["INDEXING"]


def gather(party: Party, node: Node, data: Operand, indices: Operand) -> Operand:
    """Slices along an axis. A secret index may be negative, and gives zeros where there is no such slice."""
    axis = node.axis(0)
    if not isinstance(indices, Secret):
        return moved(data, lambda array: np.asarray(np.take(array, indices, axis)))
    count, kind = data.shape[axis], node.kind
    marks = _marks(party, indices, count)
    rows = moved(data, lambda array: np.moveaxis(array, axis, 0)).reshape(count, -1)
    rest = (*data.shape[:axis], *data.shape[axis + 1 :])
    flat = marks.reshape(indices.size, count)
    if isinstance(rows, Secret) or kind != "number":
        found = matrix_product(party, flat, rows, "integer", (indices.size, math.prod(rest)))
    else:
        found = matrix_product(party, flat, party.fixed.encode(rows).view(np.int64), "integer", (
            indices.size, math.prod(rest),
        ))  # fmt: skip
    shaped = found.reshape(*indices.shape, *rest)
    rank = len(indices.shape)
    return shaped.map(lambda share: np.moveaxis(share, range(rank), range(axis, axis + rank)))


def _marks(party: Party, indices: Secret, count: int) -> Secret:
    """(..., count) integers: 1 where the index, or the index plus `count`, is this one."""
    places = np.concatenate([np.arange(count), np.arange(-count, 0)])
    shape = (*indices.shape, 2 * count)
    apart = plus(party, indices.map(lambda share: share[..., None]), -places, "integer", shape)
    found = to_ring(party, comparison.is_zero(party, apart))
    return found[..., :count] + found[..., count:]


def gather_elements(party: Party, node: Node, data: Operand, indices: Operand) -> Operand:
    """One element for each index, along an axis. A secret index as for `gather`."""
    axis = node.axis(0)
    if isinstance(indices, Secret):
        return _gathered(party, node, data, indices, axis)
    places = np.where(indices < 0, indices + data.shape[axis], indices)
    return moved(data, lambda array: np.asarray(_taken(array, places, axis)))


def _gathered(party: Party, node: Node, data: Operand, indices: Secret, axis: int) -> Secret:
    """By secret indices: the marks of each times what stands along the axis there, added up before anything is sent."""
    others = tuple(slice(0, size) for size in indices.shape)
    near = data[(*others[:axis], slice(None), *others[axis + 1 :])]
    lines = hidden(party, near, node.kind).map(lambda share: np.expand_dims(np.moveaxis(share, axis, -1), axis))
    return arithmetic.dot(party, _marks(party, indices, data.shape[axis]), lines, len(indices.shape), bits=0)


def _taken(array: Array, places: Array, axis: int) -> Array:
    """As `take_along_axis`, where the other axes of the indices may be shorter."""
    index = list(np.ogrid[tuple(slice(size) for size in places.shape)])
    index[axis] = places
    return np.asarray(array[tuple(index)])


def gather_many(party: Party, node: Node, data: Operand, indices: Operand) -> Operand:
    """Slices by tuples of indices."""
    batch, picked = node.integer("batch_dims"), node.known[1]
    lead = data.shape[:batch]
    outer = math.prod(lead)
    tuples = picked.reshape(outer, -1, picked.shape[-1])

    def found(array: Array) -> Array:
        flat = array.reshape(outer, *array.shape[batch:])
        rows = [flat[(row, *np.moveaxis(tuples[row], -1, 0))] for row in range(outer)]
        return np.stack(rows).reshape(node.makes.shape)

    return moved(data, found)


def scatter_elements(party: Party, node: Node, data: Operand, indices: Operand, updates: Operand) -> Secret:
    """Elements replaced, or added to, at public places along an axis."""
    axis, picked = node.axis(0), node.known[1]
    places = np.where(picked < 0, picked + data.shape[axis], picked)
    index = list(np.ogrid[tuple(slice(size) for size in places.shape)])
    index[axis] = places
    return _scattered(party, node, data, tuple(index), updates)


def scatter_many(party: Party, node: Node, data: Operand, indices: Operand, updates: Operand) -> Secret:
    """Slices replaced, or added to, at public tuples of indices."""
    picked = node.known[1]
    return _scattered(party, node, data, tuple(np.moveaxis(picked, -1, 0)), updates)


def _scattered(party: Party, node: Node, data: Operand, index: tuple[Array, ...], updates: Operand) -> Secret:
    """Set, or added: both are the same for each share."""
    into, new = hidden(party, data, node.kind), hidden(party, updates, node.kind)
    added = node.text("reduction", "none") == "add"

    def written(whole: Array, part: Array) -> Array:
        out = whole.copy()
        if added:
            np.add.at(out, index, part)
        else:
            out[index] = part
        return out

    return Secret(written(into.first, new.first), written(into.second, new.second))


def one_hot(party: Party, node: Node, indices: Operand, depth: Operand, values: Operand) -> Operand:
    """The second value where the index points, the first elsewhere."""
    count, axis = int(node.known[1].ravel()[0]), node.integer("axis", -1)
    kind: Kind = node.inputs[2].kind if node.inputs[2] else "number"
    low, high = values[0], values[1]
    if isinstance(indices, Secret):
        marks = _marks(party, indices, count)
    else:
        whole = np.where(indices < 0, indices + count, indices).astype(np.int64)
        marks = hidden(party, (whole[..., None] == np.arange(count)).astype(np.int64), "integer")
    step = plus(party, high, -low, kind, ())
    spread = times(party, marks, step.reshape(*[1] * len(marks.shape)), ("integer", kind), marks.shape)
    out = plus(party, spread, low, kind, marks.shape)
    target = axis % len(marks.shape)
    return out.map(lambda share: np.moveaxis(share, -1, target))


def compressed(party: Party, node: Node, x: Operand, condition: Operand) -> Operand:
    """The slices for which a public truth holds."""
    keep = np.flatnonzero(node.known[1])
    if node.attribute("axis") is None:
        return moved(x, lambda array: array.reshape(-1)[keep])
    axis = node.axis(0)
    return moved(x, lambda array: np.asarray(np.take(array, keep, axis)))


def _whole_indices(node: Node) -> str | None:
    return None if node.kind == "integer" else "with indices that are no integers"


def _reduction(node: Node) -> str | None:
    how = node.text("reduction", "none")
    return None if how in ("none", "add") else f"with the reduction {how}"


_ANY = frozenset[Kind](("number", "integer", "truth"))
_INDICES = frozenset({1})

INDEXING: Table = {
    "Compress": Operator(compressed, open=_INDICES, kinds=_ANY),
    "Gather": Operator(gather, kinds=_ANY),
    "GatherElements": Operator(gather_elements, kinds=_ANY),
    "GatherND": Operator(gather_many, open=_INDICES, kinds=_ANY),
    "OneHot": Operator(one_hot, open=_INDICES, check=_whole_indices, kinds=frozenset[Kind](("number", "integer"))),
    "Scatter": Operator(scatter_elements, open=_INDICES, kinds=_ANY),
    "ScatterElements": Operator(scatter_elements, open=_INDICES, check=_reduction, kinds=_ANY),
    "ScatterND": Operator(scatter_many, open=_INDICES, check=_reduction, kinds=_ANY),
}
