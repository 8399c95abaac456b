"""Normalisation: of layers, groups, instances, batches, by the root mean square, and across channels."""

from __future__ import annotations

import math

import numpy as np

from protocols.smpc.program.mixed import hidden, joined, plus, scaled, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.operators.elementwise import inverse
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated import arithmetic, comparison, functions, scaling
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["NORMAL"]

_REALS: tuple[Kind, Kind] = ("number", "number")


def layer_norm(party: Party, node: Node, x: Operand, weight: Operand, bias: Operand | None = None) -> Secret:
    """Over all axes from one on. See `functions.layer_norm` for ranges and errors."""
    axes = tuple(range(node.axis(-1), len(x.shape)))
    out = functions.layer_norm(party, hidden(party, x, "number"), axes, epsilon=node.number("epsilon", 1e-5))
    return _affine(party, out, weight, bias)


def group_norm(party: Party, node: Node, x: Operand, weight: Operand, bias: Operand) -> Secret:
    """Over each group of channels."""
    groups, shape = node.integer("num_groups", 1), x.shape
    rows = hidden(party, x, "number").reshape(shape[0], groups, -1)
    out = functions.layer_norm(party, rows, 2, epsilon=node.number("epsilon", 1e-5))
    per_group = weight.size == groups != shape[1]
    parts = out if per_group else out.reshape(shape[0], shape[1], -1)
    return _affine(party, parts, weight.reshape(-1, 1), bias.reshape(-1, 1)).reshape(*shape)


def instance_norm(party: Party, node: Node, x: Operand, weight: Operand, bias: Operand) -> Secret:
    """Over each channel of each picture."""
    rows = hidden(party, x, "number").reshape(*x.shape[:2], -1)
    out = functions.layer_norm(party, rows, 2, epsilon=node.number("epsilon", 1e-5))
    return _affine(party, out, weight.reshape(-1, 1), bias.reshape(-1, 1)).reshape(*x.shape)


def batch_norm(party: Party, node: Node, x: Operand, *learnt: Operand) -> Secret:
    """With statistics that are secret. Constant ones have become a product and a sum long before."""
    scale, bias, mean, variance = learnt
    raised = hidden(party, variance, "number")
    raised = party.add(raised, party.fixed.encode([node.number("epsilon", 1e-5)]))
    root = scaling.inverse_root(party, raised)
    factor = times(party, root, scale, _REALS, root.shape)
    lane = (-1, *[1] * (len(x.shape) - 2))
    centred = plus(party, x, _minus(mean).reshape(*lane), "number", x.shape)
    return _affine(party, centred, factor.reshape(*lane), bias.reshape(*lane))


def root_mean_square_norm(party: Party, node: Node, x: Operand, weight: Operand) -> Secret:
    """x over the root of its mean square, times `weight`."""
    secret, axis = hidden(party, x, "number"), node.axis(-1)
    rows = secret.reshape(math.prod(x.shape[:axis]), -1)
    mean = scaled(party, arithmetic.dot(party, rows, rows, 1), 1 / rows.shape[1], rows.shape[:1])
    raised = party.add(mean, party.fixed.encode([node.number("epsilon", 1e-5)]))
    root = scaling.inverse_root(party, raised, low=-16, high=16).reshape(-1, 1)
    return _affine(party, times(party, rows, root, _REALS, rows.shape).reshape(*x.shape), weight, None)


def mean_variance_norm(party: Party, node: Node, x: Operand) -> Secret:
    """x less its mean, over its deviation, along axes."""
    axes = node.counted(node.integers("axes", (0, 2, 3)), len(x.shape))
    return functions.layer_norm(party, hidden(party, x, "number"), axes, epsilon=1e-9)


def response_norm(party: Party, node: Node, x: Operand) -> Secret:
    """x / (bias + alpha / size * sum of squares across neighbouring channels) ** beta, by way of the logarithm."""
    secret, size = hidden(party, x, "number"), node.integer("size", 1)
    squares = times(party, secret, secret, _REALS, secret.shape)
    before = (size - 1) // 2
    around = [(0, 0), (before, size - 1 - before), *[(0, 0)] * (len(x.shape) - 2)]
    padded, count = squares.pad(around), x.shape[1]
    total = padded[:, :count]
    for shift in range(1, size):
        total = total + padded[:, shift : shift + count]
    level = joined(party, [(total, node.number("alpha", 1e-4) / size)], node.number("bias", 1.0))
    power = scaled(party, scaling.logarithm(party, level), -node.number("beta", 0.75), x.shape)
    return times(party, secret, functions.exponential(party, power, bits=node.bits), _REALS, x.shape)


def unit_norm(party: Party, node: Node, x: Operand) -> Secret:
    """x over the sum of sizes, or over the root of the sum of squares, along an axis."""
    secret, axis = hidden(party, x, "number"), node.axis(-1)
    if node.integer("p", 2) == 1:
        total = comparison.absolute(party, secret, bits=node.bits).sum(axis, keepdims=True)
        factor = inverse(party, total)
    else:
        total = arithmetic.dot(party, secret, secret, axis)
        factor = scaling.inverse_root(party, total).map(lambda share: np.expand_dims(share, axis))
    return times(party, secret, factor, _REALS, x.shape)


def _affine(party: Party, x: Secret, weight: Operand, bias: Operand | None) -> Secret:
    out = times(party, x, weight, _REALS, x.shape)
    return out if bias is None else plus(party, out, bias, "number", x.shape)


def _minus(value: Operand) -> Operand:
    return -value


def _only_result(node: Node) -> str | None:
    return "with its statistics read" if node.reads(1) or node.reads(2) else None


def _inference(node: Node) -> str | None:
    return "in training" if node.integer("training_mode") else _only_result(node)


def _power(node: Node) -> str | None:
    return None if node.integer("p", 2) in (1, 2) else f"with p = {node.integer('p', 2)}"


NORMAL: Table = {
    "BatchNormalization": Operator(batch_norm, check=_inference),
    "GroupNormalization": Operator(group_norm),
    "InstanceNormalization": Operator(instance_norm),
    "LRN": Operator(response_norm),
    "LayerNormalization": Operator(layer_norm, check=_only_result),
    "LpNormalization": Operator(unit_norm, check=_power),
    "MeanVarianceNormalization": Operator(mean_variance_norm),
    "RMSNormalization": Operator(root_mean_square_norm),
}
