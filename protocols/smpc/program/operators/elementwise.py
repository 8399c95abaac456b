"""Arithmetic element by element: sums, products, quotients, powers, roots, exponentials and logarithms."""

from __future__ import annotations

from functools import partial

import numpy as np

from protocols.smpc.program.mixed import hidden, plus, scaled, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated import comparison, functions, scaling
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import Rounding, truncate

__all__ = ["ELEMENTWISE", "floor", "inverse", "kinds_of", "negative"]

_POWERS = (-2.0, -1.0, -0.5, 0.0, 0.5)
_HIGHEST = 16


def kinds_of(node: Node) -> tuple[Kind, Kind]:
    """Of a node's first two inputs."""
    left, right = node.inputs[:2]
    return (left.kind if left else "number", right.kind if right else "number")


def negative(value: Operand) -> Operand:
    """The negative of a secret or of a public array."""
    return -value


def add(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left + right."""
    return plus(party, left, right, node.kind, node.makes.shape)


def subtract(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left - right."""
    return plus(party, left, negative(right), node.kind, node.makes.shape)


def multiply(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """left times right."""
    return times(party, left, right, kinds_of(node), node.makes.shape)


def divide(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """For divisors of 2**-8 to 2**16 in size, and public ones of any size but zero."""
    shape = node.makes.shape
    if isinstance(left, Secret) and not isinstance(right, Secret):
        return scaled(party, left, 1 / right, shape)
    if 1 in node.known or 0 not in node.known or node.known[0].size > 1:
        above, below = (hidden(party, side, "number").broadcast_to(shape) for side in (left, right))
        return scaling.divide(party, above, below)
    return scaled(party, inverse(party, hidden(party, right, "number")), node.known[0], shape)


def inverse(party: Party, x: Secret) -> Secret:
    """1 / x for |x| from 2**-8 to 2**24; nearer to zero, what the end of the range gives."""
    below = comparison.is_negative(party, x)
    size = scaling.reciprocal(party, x - select(party, below, x.times(2)))
    return size - select(party, below, size.times(2))


def reciprocal(party: Party, node: Node, x: Operand) -> Secret:
    """1 / x; see `inverse`."""
    return inverse(party, hidden(party, x, "number"))


def negate(party: Party, node: Node, x: Operand) -> Operand:
    """-x."""
    return negative(x)


def absolute(party: Party, node: Node, x: Operand) -> Secret:
    """|x|, exactly."""
    return comparison.absolute(party, hidden(party, x, node.kind), bits=node.bits)


def sign(party: Party, node: Node, x: Operand) -> Secret:
    """1, 0 or -1: whether -x is under zero, less whether x is."""
    secret = hidden(party, x, node.kind)
    both = comparison.is_negative(party, Secret.stack([secret, -secret]), bits=node.bits)
    one = party.public(np.full(both.shape, _one(party, node), np.uint64))
    found = select(party, both, one)
    return found[1] - found[0]


def square_root(party: Party, node: Node, x: Operand) -> Secret:
    """For x up to 2**22; zero under 2**-18."""
    return scaling.square_root(party, hidden(party, x, "number"))


def exponential(party: Party, node: Node, x: Operand) -> Secret:
    """For x up to 14; what is larger counts as 14."""
    return functions.exponential(party, hidden(party, x, "number"), bits=node.bits)


def logarithm(party: Party, node: Node, x: Operand) -> Secret:
    """For x from 2**-16 to 2**16."""
    return scaling.logarithm(party, hidden(party, x, "number"))


def power(party: Party, node: Node, x: Operand, exponent: Operand) -> Secret:
    """Whole powers by squaring; 1 / x, 1 / x**2, and roots over the ranges of `scaling`."""
    secret, wanted = hidden(party, x, node.kind), float(node.known[1].ravel()[0])
    shape = node.makes.shape
    if wanted == 0.0:
        return party.public(np.full(shape, _one(party, node), np.uint64))
    if wanted == 0.5:
        return scaling.square_root(party, secret).broadcast_to(shape)
    if wanted == -0.5:
        return scaling.inverse_root(party, secret).broadcast_to(shape)
    if wanted < 0:
        secret = inverse(party, secret)
    return _whole_power(party, node, secret, abs(int(wanted))).broadcast_to(shape)


def _whole_power(party: Party, node: Node, base: Secret, exponent: int) -> Secret:
    found: Secret | None = None
    product = partial(times, party, kinds=(node.kind, node.kind), shape=base.shape)
    while True:
        if exponent % 2:
            found = base if found is None else product(found, base)
        exponent //= 2
        if not exponent:
            return base if found is None else found
        base = product(base, base)


def sums(party: Party, node: Node, *values: Operand) -> Secret:
    """The sum of all inputs."""
    shape, total = node.makes.shape, values[0]
    for value in values[1:]:
        total = plus(party, total, value, node.kind, shape)
    return hidden(party, total, node.kind).broadcast_to(shape)


def average(party: Party, node: Node, *values: Operand) -> Secret:
    """The mean of all inputs."""
    return scaled(party, sums(party, node, *values), 1 / len(values), node.makes.shape)


def floor(party: Party, x: Secret) -> Secret:
    """The largest integer that is not above x, as an integer. Exact."""
    half = np.full((1,) * len(x.shape), 1 << (party.fixed.fraction - 1), np.uint64)
    return truncate(party, party.add(x, np.negative(half)), party.fixed.fraction, Rounding.EXACT)


def round_down(party: Party, node: Node, x: Operand) -> Secret:
    """The largest whole number not above x. Exact."""
    return floor(party, hidden(party, x, "number")).times(1 << party.fixed.fraction)


def round_up(party: Party, node: Node, x: Operand) -> Secret:
    """The smallest whole number not under x. Exact."""
    return -floor(party, -hidden(party, x, "number")).times(1 << party.fixed.fraction)


def _one(party: Party, node: Node) -> int:
    return 1 << party.fixed.fraction if node.kind == "number" else 1


def _exponents(node: Node) -> str | None:
    if node.known[1].size != 1:
        return "with several exponents"
    exponent = float(node.known[1].ravel()[0])
    if exponent in _POWERS or (exponent == round(exponent) and 0 < exponent <= _HIGHEST):
        return None
    return f"with the exponent {exponent:g}"


_ANY = frozenset[Kind](("number", "integer", "truth"))
_COUNTED = frozenset[Kind](("number", "integer"))

ELEMENTWISE: Table = {
    "Abs": Operator(absolute, kinds=_COUNTED),
    "Add": Operator(add, kinds=_COUNTED),
    "Ceil": Operator(round_up),
    "Div": Operator(divide),
    "Exp": Operator(exponential),
    "Floor": Operator(round_down),
    "Log": Operator(logarithm),
    "Mean": Operator(average),
    "Mul": Operator(multiply, kinds=_COUNTED),
    "Neg": Operator(negate, kinds=_COUNTED),
    "Pow": Operator(power, open=frozenset({1}), check=_exponents, kinds=_COUNTED),
    "Reciprocal": Operator(reciprocal),
    "Sign": Operator(sign, kinds=_COUNTED),
    "Sqrt": Operator(square_root),
    "Sub": Operator(subtract, kinds=_COUNTED),
    "Sum": Operator(sums, kinds=_COUNTED),
}
