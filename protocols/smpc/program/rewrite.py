"""What a model's owner works out in plain, so that nobody else need: a batch norm's factors, a divisor's inverse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import NodeProto

from protocols.smpc.program.fold import Folded
from protocols.smpc.program.steps import Array

__all__ = ["rewritten"]

_LARGE = 2.0**10  # the inverse of a divisor larger than this would lose its last bits


def rewritten(folded: Folded) -> Folded:
    """Batch norms with constant statistics as a product and a sum; a division by a weight as a product."""
    constants, examples = dict(folded.constants), dict(folded.examples)
    nodes: list[NodeProto] = []
    for node in folded.nodes:
        instead = tuple(_instead(node, folded, constants))
        examples.update((name, folded.examples[node.output[0]]) for new in instead[:-1] for name in new.output)
        nodes.extend(instead)
    return replace(folded, nodes=tuple(nodes), constants=constants, examples=examples)


def _instead(node: NodeProto, folded: Folded, constants: dict[str, Array]) -> Iterator[NodeProto]:
    if node.op_type == "BatchNormalization" and all(name in constants for name in node.input[1:5]):
        yield from _scaled(node, folded, constants)
    elif node.op_type == "Div" and _divisor(node, folded):
        inverse = f"{node.input[1]}\0inverse"
        constants[inverse] = 1 / folded.constants[node.input[1]]
        yield onnx.helper.make_node("Mul", [node.input[0], inverse], list(node.output))
    else:
        yield node


def _divisor(node: NodeProto, folded: Folded) -> bool:
    """Whether it is a weight. A literal is divided by as it is."""
    name = node.input[1]
    array = folded.constants.get(name)
    if array is None or name in folded.open or array.dtype.kind != "f" or not array.size:
        return False
    return bool(np.abs(array).min() > 1 / _LARGE and np.abs(array).max() < _LARGE)


def _scaled(node: NodeProto, folded: Folded, constants: dict[str, Array]) -> Iterator[NodeProto]:
    epsilon = next((each.f for each in node.attribute if each.name == "epsilon"), 1e-5)
    scale, bias, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:5])
    rank = folded.examples[node.input[0]].ndim
    factor = scale / np.sqrt(variance + epsilon)
    made, between = node.output[0], f"{node.output[0]}\0scaled"
    names = f"{made}\0factor", f"{made}\0offset"
    for name, values in zip(names, (factor, bias - mean * factor), strict=True):
        constants[name] = values.reshape(-1, *[1] * (rank - 2))
    yield onnx.helper.make_node("Mul", [node.input[0], names[0]], [between])
    yield onnx.helper.make_node("Add", [between, names[1]], [made])
