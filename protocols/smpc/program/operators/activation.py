"""Activations: the family of Relu, the smooth ones, and softmax."""

from __future__ import annotations

import math

import numpy as np

from protocols.smpc.program.mixed import hidden, joined, plus, scaled, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated import comparison, functions, scaling
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["ACTIVATION"]

_REALS: tuple[Kind, Kind] = ("number", "number")
_NOWHERE = 2.0**20  # a bound of a Clip that is farther away than this bounds nothing


def relu(party: Party, node: Node, x: Operand) -> Secret:
    """max(x, 0), exactly."""
    return comparison.relu(party, hidden(party, x, node.kind), bits=node.bits)


def leaky_relu(party: Party, node: Node, x: Operand) -> Secret:
    """x, or `alpha` x under zero."""
    slope, secret = node.number("alpha", 0.01), hidden(party, x, "number")
    return joined(party, [(secret, slope), (_positive(party, node, secret), 1 - slope)])


def sloped_relu(party: Party, node: Node, x: Operand, slope: Operand) -> Secret:
    """x, or x times a learnt slope under zero."""
    secret = hidden(party, x, "number")
    positive = _positive(party, node, secret)
    return positive + times(party, secret - positive, slope, _REALS, node.makes.shape)


def thresholded_relu(party: Party, node: Node, x: Operand) -> Secret:
    """x where it is over `alpha`, zero elsewhere."""
    return _beyond(party, node, hidden(party, x, "number"), node.number("alpha", 1.0))


def shrink(party: Party, node: Node, x: Operand) -> Secret:
    """x + bias under -lambd, x - bias over lambd, and zero between them."""
    edge, bias, secret = node.number("lambd", 0.5), node.number("bias"), hidden(party, x, "number")
    shifted = party.fixed.encode([bias])
    over = party.add(Secret.stack([secret, -secret]), np.negative(shifted))
    beyond = comparison.is_negative(party, -_less(party, Secret.stack([secret, -secret]), edge), bits=node.bits)
    both = select(party, beyond, over)
    return both[0] - both[1]


def elu(party: Party, node: Node, x: Operand) -> Secret:
    """x, or alpha (e**x - 1) under zero."""
    return _bent(party, node, x, below=node.number("alpha", 1.0))


def selu(party: Party, node: Node, x: Operand) -> Secret:
    """`elu`, scaled by `gamma`."""
    gamma = node.number("gamma", 1.0507010221481323)
    return _bent(party, node, x, below=gamma * node.number("alpha", 1.6732631921768188), above=gamma)


def celu(party: Party, node: Node, x: Operand) -> Secret:
    """x, or alpha (e**(x / alpha) - 1) under zero."""
    alpha = node.number("alpha", 1.0)
    return _bent(party, node, x, below=alpha, width=alpha)


def _bent(party: Party, node: Node, x: Operand, *, below: float, above: float = 1.0, width: float = 1.0) -> Secret:
    """above * x over zero, and below * (e**(x / width) - 1) under it."""
    secret = hidden(party, x, "number")
    positive = _positive(party, node, secret)
    under = secret - positive
    if width != 1.0:
        under = scaled(party, under, 1 / width, under.shape)
    grown = functions.exponential(party, under, high=1.0, bits=node.bits)
    return joined(party, [(positive, above), (grown, below)], -below)


def clip(party: Party, node: Node, x: Operand, low: Operand | None = None, high: Operand | None = None) -> Secret:
    """With bounds that everybody knows; both comparisons share their rounds."""
    secret = hidden(party, x, node.kind)
    floor, ceiling = _bound(node, "min", 1, -math.inf), _bound(node, "max", 2, math.inf)
    if node.kind == "number" and -_NOWHERE < floor <= ceiling < _NOWHERE:
        return comparison.clamp(party, secret, floor, ceiling, bits=node.bits)
    if floor > -_NOWHERE:
        least = _level(party, node, floor)
        secret = party.add(comparison.relu(party, party.add(secret, np.negative(least)), bits=node.bits), least)
    if ceiling < _NOWHERE:
        most = _level(party, node, ceiling)
        secret = party.add(-comparison.relu(party, party.add(-secret, most), bits=node.bits), most)
    return secret


def _bound(node: Node, name: str, position: int, default: float) -> float:
    if position in node.known:
        return float(node.known[position].ravel()[0])
    return node.number(name, default)


def _level(party: Party, node: Node, number: float) -> Words:
    if node.kind == "number":
        return party.fixed.encode([number])
    return np.array([int(number)], np.int64).view(np.uint64)


def hard_sigmoid(party: Party, node: Node, x: Operand) -> Secret:
    """alpha x + beta, between 0 and 1."""
    return _ramp(party, node, hidden(party, x, "number"), node.number("alpha", 0.2), node.number("beta", 0.5))


def hard_swish(party: Party, node: Node, x: Operand) -> Secret:
    """x times (x + 3) / 6, which stays between 0 and 1."""
    secret = hidden(party, x, "number")
    return times(party, secret, _ramp(party, node, secret, 1 / 6, 0.5), _REALS, secret.shape)


def _ramp(party: Party, node: Node, x: Secret, slope: float, offset: float) -> Secret:
    """slope * x + offset between 0 and 1. Clamped first, where x may be large."""
    ends = sorted((-offset / slope, (1 - offset) / slope)) if slope else [0.0, 0.0]
    return joined(party, [(comparison.clamp(party, x, *ends, bits=node.bits), slope)], offset)


def sigmoid(party: Party, node: Node, x: Operand) -> Secret:
    """1 / (1 + e**-x)."""
    return functions.sigmoid(party, hidden(party, x, "number"), bits=node.bits)


def hyperbolic_tangent(party: Party, node: Node, x: Operand) -> Secret:
    """tanh(x)."""
    return functions.hyperbolic_tangent(party, hidden(party, x, "number"), bits=node.bits)


def erf(party: Party, node: Node, x: Operand) -> Secret:
    """The error function."""
    return functions.erf(party, hidden(party, x, "number"), bits=node.bits)


def gelu(party: Party, node: Node, x: Operand) -> Secret:
    """x Phi(x), or its usual approximation by tanh if asked."""
    secret = hidden(party, x, "number")
    if node.text("approximate", "none") != "tanh":
        return functions.gelu(party, secret, bits=node.bits)
    near = comparison.clamp(party, secret, -8.0, 8.0, bits=node.bits)
    cube = times(party, times(party, near, near, _REALS, near.shape), near, _REALS, near.shape)
    root = math.sqrt(2 / math.pi)
    bent = functions.hyperbolic_tangent(party, joined(party, [(near, root), (cube, 0.044715 * root)]), bits=node.bits)
    product = times(party, secret, bent, _REALS, secret.shape)
    return joined(party, [(secret, 0.5), (product, 0.5)])


def swish(party: Party, node: Node, x: Operand) -> Secret:
    """x sigmoid(alpha x)."""
    secret, alpha = hidden(party, x, "number"), node.number("alpha", 1.0)
    if alpha == 1.0:
        return functions.silu(party, secret, bits=node.bits)
    gate = functions.sigmoid(party, scaled(party, secret, alpha, secret.shape), bits=node.bits)
    return times(party, secret, gate, _REALS, secret.shape)


def softplus(party: Party, node: Node, x: Operand) -> Secret:
    """max(x, 0) + log(1 + e**-|x|), which is large nowhere."""
    return _softplus(party, node, hidden(party, x, "number"))


def mish(party: Party, node: Node, x: Operand) -> Secret:
    """x tanh(softplus(x))."""
    secret = hidden(party, x, "number")
    gate = functions.hyperbolic_tangent(party, _softplus(party, node, secret), bits=node.bits)
    return times(party, secret, gate, _REALS, secret.shape)


def _softplus(party: Party, node: Node, x: Secret) -> Secret:
    positive = _positive(party, node, x)
    fallen = functions.exponential(party, x - positive.times(2), high=1.0, bits=node.bits)
    one = np.full((1,) * max(len(x.shape), 1), 1 << party.fixed.fraction, np.uint64).reshape((1,) * len(x.shape))
    return positive + scaling.logarithm(party, party.add(fallen, one), low=0, high=2)


def softsign(party: Party, node: Node, x: Operand) -> Secret:
    """x / (1 + |x|)."""
    secret = hidden(party, x, "number")
    size = comparison.absolute(party, secret, bits=node.bits)
    one = np.full((1,) * len(x.shape), 1 << party.fixed.fraction, np.uint64)
    return times(party, secret, scaling.reciprocal(party, party.add(size, one), low=0, high=20), _REALS, secret.shape)


def softmax(party: Party, node: Node, x: Operand) -> Secret:
    """Along an axis; see `functions.softmax`."""
    secret, axis = _rows(party, node, x)
    return functions.softmax(party, secret, axis, bits=node.bits).reshape(*node.makes.shape)


def log_softmax(party: Party, node: Node, x: Operand) -> Secret:
    """The logarithm of softmax; see `functions.log_softmax`."""
    secret, axis = _rows(party, node, x)
    return functions.log_softmax(party, secret, axis, bits=node.bits).reshape(*node.makes.shape)


def hardmax(party: Party, node: Node, x: Operand) -> Secret:
    """One where the first of the largest stands, zero elsewhere."""
    secret, axis = _rows(party, node, x)
    place = comparison.argmax(party, secret, axis, bits=node.bits)[1]
    numbers = np.arange(secret.shape[axis], dtype=np.uint64).reshape(-1, *[1] * (len(secret.shape) - axis - 1))
    apart = plus(
        party, place.map(lambda share: np.expand_dims(share, axis)), -numbers.view(np.int64), "integer", secret.shape
    )
    one = party.public(np.full(secret.shape, 1 << party.fixed.fraction, np.uint64))
    return select(party, comparison.is_zero(party, apart), one).reshape(*node.makes.shape)


def _rows(party: Party, node: Node, x: Operand) -> tuple[Secret, int]:
    """Along which axis; before operator set 13, all dimensions from it on are one."""
    secret = hidden(party, x, "number")
    if node.opset >= 13:
        return secret, node.axis(-1)
    axis = node.axis(1)
    return secret.reshape(math.prod(secret.shape[:axis]), math.prod(secret.shape[axis:])), 1


def _positive(party: Party, node: Node, x: Secret) -> Secret:
    return comparison.relu(party, x, bits=node.bits)


def _less(party: Party, x: Secret, number: float) -> Secret:
    return party.add(x, party.fixed.encode([-number]))


def _beyond(party: Party, node: Node, x: Secret, edge: float) -> Secret:
    """x where it is over the edge, zero elsewhere."""
    return select(party, comparison.is_negative(party, -_less(party, x, edge), bits=node.bits), x)


_COUNTED = frozenset[Kind](("number", "integer"))

ACTIVATION: Table = {
    "Celu": Operator(celu),
    "Clip": Operator(clip, open=frozenset({1, 2}), kinds=_COUNTED),
    "Elu": Operator(elu),
    "Erf": Operator(erf),
    "Gelu": Operator(gelu),
    "HardSigmoid": Operator(hard_sigmoid),
    "HardSwish": Operator(hard_swish),
    "Hardmax": Operator(hardmax),
    "LeakyRelu": Operator(leaky_relu),
    "LogSoftmax": Operator(log_softmax),
    "Mish": Operator(mish),
    "PRelu": Operator(sloped_relu),
    "Relu": Operator(relu, kinds=_COUNTED),
    "Selu": Operator(selu),
    "Shrink": Operator(shrink),
    "Sigmoid": Operator(sigmoid),
    "Softmax": Operator(softmax),
    "Softplus": Operator(softplus),
    "Softsign": Operator(softsign),
    "Swish": Operator(swish),
    "Tanh": Operator(hyperbolic_tangent),
    "ThresholdedRelu": Operator(thresholded_relu),
}
