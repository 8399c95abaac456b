"""Comparisons, truths and choices. A secret truth is the integer 0 or 1."""

from __future__ import annotations

from functools import partial

import numpy as np

from protocols.smpc.program.mixed import hidden, plus, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.operators.elementwise import floor, negative
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated import comparison
from protocols.smpc.replicated.bits import to_ring
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits

__all__ = ["LOGIC"]

_TRUTHS: tuple[Kind, Kind] = ("truth", "truth")


def less(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left < right."""
    return to_ring(party, _under(party, node, left, right))


def greater(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left > right."""
    return to_ring(party, _under(party, node, right, left))


def at_most(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left <= right."""
    return to_ring(party, party.flip(_under(party, node, right, left)))


def at_least(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left >= right."""
    return to_ring(party, party.flip(_under(party, node, left, right)))


def equal(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """As the format holds them: to the last fractional bit."""
    if node.kind == "truth":
        return opposite(party, node, exclusive(party, node, left, right))
    return to_ring(party, comparison.is_zero(party, _difference(party, node, left, right)))


def _under(party: Party, node: Node, left: Operand, right: Operand) -> SecretBits:
    return comparison.is_negative(party, _difference(party, node, left, right), bits=node.bits)


def _difference(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    return plus(party, left, negative(right), node.kind, node.makes.shape)


def both(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """And: a product."""
    return times(party, left, right, _TRUTHS, node.makes.shape)


def either(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """Or: the sum less the product."""
    return _sum(party, node, left, right) - both(party, node, left, right)


def exclusive(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """Exclusive or: the sum less twice the product."""
    return _sum(party, node, left, right) - both(party, node, left, right).times(2)


def opposite(party: Party, node: Node, x: Operand) -> Secret:
    """1 - x."""
    secret = hidden(party, x, "truth")
    return party.add(-secret, np.ones((1,) * len(secret.shape), np.uint64))


def _sum(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    return plus(party, left, right, "truth", node.makes.shape)


def where(party: Party, node: Node, condition: Operand, left: Operand, right: Operand) -> Operand:
    """A public condition costs nothing, a secret one a product."""
    shape = node.makes.shape
    kind = node.inputs[1].kind if node.inputs[1] else "number"
    if isinstance(condition, Secret):
        difference = plus(party, left, negative(_whole(right)), kind, shape)
        return times(party, condition, difference, ("truth", "integer"), shape) + hidden(party, right, kind)
    if not isinstance(left, Secret) and not isinstance(right, Secret):
        return np.where(condition, left, right)
    taken, other = hidden(party, left, kind), hidden(party, right, kind)
    return Secret(np.where(condition, taken.first, other.first), np.where(condition, taken.second, other.second))


def _whole(value: Operand) -> Operand:
    """A truth that everybody knows, as a number that has a negative."""
    return value.astype(np.int64) if not isinstance(value, Secret) and value.dtype == np.bool_ else value


def largest_of(party: Party, node: Node, *values: Operand) -> Secret:
    """The largest of all inputs, element by element."""
    return _chosen(party, node, values, lowest=False)


def smallest_of(party: Party, node: Node, *values: Operand) -> Secret:
    """The smallest of all inputs, element by element."""
    return _chosen(party, node, values, lowest=True)


def _chosen(party: Party, node: Node, values: tuple[Operand, ...], *, lowest: bool) -> Secret:
    """As a tree: comparisons of one level share their rounds."""
    shape, kind = node.makes.shape, node.kind
    level = Secret.stack([hidden(party, value, kind).broadcast_to(shape) for value in values])
    level = -level if lowest else level
    out = comparison.largest(party, level, 0, bits=node.bits)
    return -out if lowest else out


def cast(party: Party, node: Node, x: Operand, *rest: Operand) -> Operand:
    """Between number formats nothing changes; to integers, towards zero; to truths, whether it is not zero."""
    source, target = node.kind, node.makes.kind
    if source == target:
        return x
    if not isinstance(x, Secret):
        return x.astype({"number": np.float64, "integer": np.int64, "truth": np.bool_}[target])
    if target == "number":
        return x.times(1 << party.fixed.fraction)
    if target == "truth":
        return to_ring(party, party.flip(comparison.is_zero(party, x)))
    if source == "truth":
        return x
    size = floor(party, comparison.absolute(party, x, bits=node.bits))
    below = to_ring(party, comparison.is_negative(party, x, bits=node.bits))
    product = times(party, below, size, ("truth", "integer"), x.shape)
    return size - product.times(2)


_ANY = frozenset[Kind](("number", "integer", "truth"))
_COUNTED = frozenset[Kind](("number", "integer"))
_TRUE = frozenset[Kind](("truth",))
_counted = partial(Operator, kinds=_COUNTED)
_true = partial(Operator, kinds=_TRUE)

LOGIC: Table = {
    "And": _true(both),
    "Cast": Operator(cast, kinds=_ANY),
    "CastLike": Operator(cast, kinds=_ANY),
    "Equal": Operator(equal, kinds=_ANY),
    "Greater": _counted(greater),
    "GreaterOrEqual": _counted(at_least),
    "Less": _counted(less),
    "LessOrEqual": _counted(at_most),
    "Max": _counted(largest_of),
    "Min": _counted(smallest_of),
    "Not": _true(opposite),
    "Or": _true(either),
    "Where": Operator(where, kinds=_ANY),
    "Xor": _true(exclusive),
}
