"""What a model's owner rewrites in plain, so that the parties have less to do and nothing more to learn.

Batch norms with constant statistics become a product and a sum, a division by a weight a product, a GELU written out
with the error function one operator, and what Relu does to windows it does after their maximum is taken.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import NodeProto

from protocols.runtimes.models import reads
from protocols.smpc.program.fold import Folded
from protocols.smpc.program.steps import Array

__all__ = ["rewritten"]

_LARGE = 2.0**10  # the inverse of a divisor larger than this would lose its last bits


def rewritten(folded: Folded) -> Folded:
    """The same model, written for three parties."""
    return _with_late_relus(_with_gelus(_with_plain_factors(folded)))


def _with_plain_factors(folded: Folded) -> Folded:
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


def _with_gelus(folded: Folded) -> Folded:
    """x / sqrt(2), its error function plus 1, times x, times a half: in the orders in which exporters write it."""
    makers = {name: node for node in folded.nodes for name in node.output}
    readers = _readers(folded)
    gone: set[str] = set()
    instead: dict[str, NodeProto] = {}
    for node in folded.nodes:
        source = _gelu_of(node, makers, folded)
        if source is None:
            continue
        x, inner = source
        if all(readers[name] == 1 for name in inner):
            gone.update(inner)
            instead[node.output[0]] = onnx.helper.make_node("Gelu", [x], list(node.output))
    kept = (node for node in folded.nodes if not gone & set(node.output))
    return replace(folded, nodes=tuple(instead.get(node.output[0], node) for node in kept))


def _gelu_of(last: NodeProto, makers: dict[str, NodeProto], folded: Folded) -> tuple[str, list[str]] | None:
    """What the GELU that ends here is of, and the values on the way to it."""
    factors, inner = _factors(last, makers, folded)
    bells = [name for name in factors if _is(makers.get(name), "Add")]
    if len(factors) != 3 or len(bells) != 1 or not any(_number(folded, name) == 0.5 for name in factors):
        return None
    rest = [name for name in factors if name != bells[0] and _number(folded, name) is None]
    bend = [name for name in makers[bells[0]].input if _number(folded, name) != 1.0]
    if len(rest) != 1 or len(bend) != 1 or not _is(makers.get(bend[0]), "Erf"):
        return None
    scaled = makers[bend[0]].input[0]
    node = makers.get(scaled)
    if node is None or node.op_type not in ("Div", "Mul") or node.input[0] != rest[0]:
        return None
    wanted = math.sqrt(2) if node.op_type == "Div" else math.sqrt(0.5)
    factor = _number(folded, node.input[1])
    if factor is None or not math.isclose(factor, wanted, rel_tol=1e-5):
        return None
    return rest[0], [*inner, bells[0], bend[0], scaled]


def _factors(last: NodeProto, makers: dict[str, NodeProto], folded: Folded) -> tuple[list[str], list[str]]:
    """The three factors of a product of products, and the product between."""
    if last.op_type != "Mul":
        return [], []
    for place, name in enumerate(last.input):
        if _is(makers.get(name), "Mul"):
            return [last.input[1 - place], *makers[name].input], [name]
    return [], []


def _is(node: NodeProto | None, operator: str) -> bool:
    return node is not None and node.op_type == operator


def _number(folded: Folded, name: str) -> float | None:
    """A literal of one element. Weights are not looked at: what is fused would say something about them."""
    array = folded.constants.get(name)
    if array is None or array.size != 1 or name not in folded.open:
        return None
    return float(array.ravel()[0])


def _with_late_relus(folded: Folded) -> Folded:
    """Relu after max-pooling instead of before it: the same values, and a quarter of the comparisons."""
    readers = _readers(folded)
    relus = {node.output[0]: node for node in folded.nodes if node.op_type == "Relu" and readers[node.output[0]] == 1}
    pooled = {
        node.input[0]: node
        for node in folded.nodes
        if node.op_type == "MaxPool" and node.input[0] in relus and len([name for name in node.output if name]) == 1
    }
    examples, nodes = dict(folded.examples), []
    for node in folded.nodes:
        if node.output[0] in pooled:
            continue
        if node.op_type != "MaxPool" or node.input[0] not in pooled:
            nodes.append(node)
            continue
        between = f"{node.output[0]}\0pooled"
        examples[between] = folded.examples[node.output[0]]
        pool = NodeProto()
        pool.CopyFrom(node)
        pool.input[0], pool.output[0] = relus[node.input[0]].input[0], between
        nodes += [pool, onnx.helper.make_node("Relu", [between], [node.output[0]])]
    return replace(folded, nodes=tuple(nodes), examples=examples)


def _readers(folded: Folded) -> Counter[str]:
    """How many nodes read each value; an output is read once more."""
    found = Counter(name for node in folded.nodes for name in reads(node))
    found.update(folded.outputs)
    return found
