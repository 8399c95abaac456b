"""ONNX models as bytes: read without being trusted, and consecutive pieces joined into one. Runs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from mesh.errors import BadInput

__all__ = ["DOMAINS", "LARGEST", "join", "pack", "parse", "reads", "write"]

DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operator sets that may be run: the standard ones, and the one that ONNX Runtime's own optimiser writes."""

LARGEST = 2**31 - 1
"""Bytes of the largest model: protocol buffers end there."""

_TOO_LARGE = f"the model is larger than the {LARGEST:,} bytes of an ONNX file; quantise it first"


def parse(blob: bytes) -> ModelProto:
    """The model in `blob`, if it is whole in itself and made of known operators only.

    Raises:
        BadInput: it does not parse, has no nodes, refers to files beside it, or brings operators, functions or
            tensors that ONNX Runtime would have to take on trust.
    """
    if len(blob) > LARGEST:
        raise BadInput(
            f"the model has {len(blob):,} bytes; an ONNX file ends at {LARGEST:,}: quantise or split it first"
        )
    try:
        model = ModelProto.FromString(blob)
    except DecodeError as error:
        raise BadInput("this is no ONNX model: its bytes do not parse; is the file complete?") from error
    if not model.graph.node:
        raise BadInput("this is no ONNX model that can be run: it has no nodes")
    if model.functions:
        raise BadInput("the model brings functions of its own; inline them with onnx.inliner.inline_local_functions")
    for graph in _graphs(model.graph):
        _refuse_foreign(graph)
    return model


def pack(model: ModelProto) -> bytes:
    """The model as bytes, the same for the same model on every device.

    Raises:
        BadInput: it is larger than protocol buffers allow.
    """
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except (EncodeError, ValueError) as error:
        raise BadInput(_TOO_LARGE) from error


def write(model: ModelProto, path: Path) -> None:
    """Moves the model into a file: weight by weight, so that it is never held twice. It has no weights afterwards.

    Messages of one type that follow each other are one message, by the rules of protocol buffers: repeated fields,
    such as a graph's weights, are appended.

    Raises:
        BadInput: it is larger than protocol buffers allow.
    """
    with path.open("wb") as file:
        for tensor in model.graph.initializer:
            file.write(pack(ModelProto(graph=GraphProto(initializer=[tensor]))))
        del model.graph.initializer[:]
        file.write(pack(model))
        if file.tell() > LARGEST:
            raise BadInput(_TOO_LARGE)


def join(models: Iterable[ModelProto], keep: Collection[str] | None = None) -> ModelProto:
    """Consecutive pieces of one model as one model; the same pieces always give the same bytes.

    Args:
        models: at least one, in the order of the graph, looked at one after the other. Weights that several of them
            carry are kept once.
        keep: values that are wanted afterwards; outputs of the pieces that are not among them stay inside.
            None keeps them all.

    Returns:
        A model whose inputs are what no piece makes itself, and whose outputs are the kept ones.

    Raises:
        BadInput: they are not pieces of one model: a value is made twice, read before it is made, or a weight, a
            type or an operator set differs from piece to piece.
    """
    joined = ModelProto()
    joined.graph.name = "part"
    versions: dict[str, int] = {}
    inputs: dict[str, bytes] = {}
    outputs: dict[str, bytes] = {}
    weights: dict[str, bytes] = {}
    made: set[str] = set()
    for model in models:
        joined.ir_version = max(joined.ir_version, model.ir_version)
        for opset in model.opset_import:
            if versions.setdefault(opset.domain, opset.version) != opset.version:
                raise BadInput(f"these pieces are of different models: operator set {opset.domain!r} has two versions")
        for tensor in model.graph.initializer:
            if _add(weights, tensor.name, tensor, "weight"):
                joined.graph.initializer.append(tensor)
        for value in model.graph.input:
            if value.name not in made and _add(inputs, value.name, value, "input"):
                joined.graph.input.append(value)
        for value in model.graph.output:
            if _add(outputs, value.name, value, "output") and (keep is None or value.name in keep):
                joined.graph.output.append(value)
        for node in model.graph.node:
            _once(node, made, inputs)
        joined.graph.node.extend(model.graph.node)
    joined.opset_import.extend(onnx.helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
    return joined


def reads(node: NodeProto) -> tuple[str, ...]:
    """Every value that the node needs from outside itself, in order, each once.

    Counts what the bodies of If, Loop and Scan use of the graph around them.
    """
    names = dict.fromkeys(name for name in node.input if name)
    for body in _bodies(node):
        names.update(dict.fromkeys(_captured(body)))
    return tuple(names)


def _captured(body: GraphProto) -> Iterator[str]:
    own = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    own |= {tensor.values.name for tensor in body.sparse_initializer}
    own |= {name for node in body.node for name in node.output}
    for node in body.node:
        yield from (name for name in reads(node) if name not in own)
    yield from (value.name for value in body.output if value.name not in own)


def _bodies(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph itself and every body within it."""
    yield graph
    for node in graph.node:
        for body in _bodies(node):
            yield from _graphs(body)


def _refuse_foreign(graph: GraphProto) -> None:
    for tensor in _tensors(graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise BadInput(
                f"the weight {tensor.name!r} lies in a file beside the model; save it as one file: "
                "onnx.save(onnx.load(PATH), PATH, save_as_external_data=False)"
            )
    for node in graph.node:
        if node.domain not in DOMAINS:
            raise BadInput(f"the operator {node.op_type} is of the domain {node.domain!r}, which ONNX Runtime lacks")


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in _sparse(attribute):
                yield from (sparse.values, sparse.indices)


def _sparse(attribute: AttributeProto) -> Iterable[onnx.SparseTensorProto]:
    single = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
    return [*single, *attribute.sparse_tensors]


def _add(known: dict[str, bytes], name: str, item: TensorProto | onnx.ValueInfoProto, what: str) -> bool:
    """Whether this is news.

    Raises:
        BadInput: another one of that name is known already.
    """
    content = hashlib.sha256(item.SerializeToString(deterministic=True)).digest()
    if known.setdefault(name, content) is content:
        return True
    if known[name] != content:
        raise BadInput(f"these pieces are of different models: the {what} {name!r} differs from one to the next")
    return False


def _once(node: NodeProto, made: set[str], inputs: Collection[str]) -> None:
    for name in filter(None, node.output):
        if name in made or name in inputs:
            raise BadInput(f"these pieces are not in the order of one model: {name!r} is made twice or too late")
        made.add(name)
