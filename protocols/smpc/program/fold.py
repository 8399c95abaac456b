"""A model made ready by ONNX Runtime on its owner's device: shapes fixed, constants folded, batch norms merged, and
every value looked at once."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.inliner
import onnxruntime
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from mesh.errors import BadInput
from protocols.runtimes.models import pack, parse, reads
from protocols.runtimes.onnx import CPU, FAILURES, options
from protocols.smpc.program.steps import Array

__all__ = ["Folded", "fold", "sample_of", "shaped", "spelled_out"]

_OF_SHAPES = frozenset(("Shape", "Size"))
_COUNTING = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.bool_))
_RANDOM = frozenset((
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
))  # fmt: skip


@dataclass(frozen=True)
class Folded:
    """What is left of a model once everything that depends on no input is worked out.

    Attributes:
        opset: version of the standard operator set.
        inputs, outputs: names.
        nodes: those that depend on an input, in order.
        open: names of constants that belong to the architecture: literals of the source, shapes, and what follows from
            them; integers and truths.
        constants: the value of everything that depends on no input, and is read by a node that does.
        examples: of every other value, one: for its shape and dtype. A value that is no tensor is not there.
    """

    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[NodeProto, ...]
    open: frozenset[str]
    constants: Mapping[str, Array]
    examples: Mapping[str, Array]


def spelled_out(model: ModelProto, known: Collection[str]) -> ModelProto:
    """Operators that are not among the known ones as what ONNX says they are made of, where it says so.

    Those that it does not take apart, or not without knowing more, stay as they are.
    """
    strangers = sorted({node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")} - set(known))
    if not strangers:
        return model
    try:
        return onnx.inliner.inline_selected_functions(
            model, [("", name) for name in strangers], inline_schema_functions=True
        )
    except (RuntimeError, ValueError, onnx.checker.ValidationError):
        return model


def shaped(source: bytes, shapes: Mapping[str, Sequence[int]]) -> ModelProto:
    """The model with the shapes of its inputs fixed, and none claimed for anything else.

    Raises:
        BadInput: this is no model; a shape is given for what is no input, or lacks for what is one.
    """
    model = parse(source)
    weights = {tensor.name for tensor in model.graph.initializer}
    # Old models list their weights as inputs, which may be replaced; then nothing could be folded.
    inputs = [value for value in model.graph.input if value.name not in weights]
    if unknown := sorted(set(shapes) - {value.name for value in inputs}):
        raise BadInput(f"The model has no input {unknown[0]!r}; its inputs are {[value.name for value in inputs]}.")
    for value in inputs:
        _fix(value, shapes.get(value.name))
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    model.ir_version = max(model.ir_version, 4)
    return model


def _fix(value: onnx.ValueInfoProto, given: Sequence[int] | None) -> None:
    if value.type.WhichOneof("value") != "tensor_type":
        raise BadInput(f"The input {value.name!r} is no tensor; only tensors can be shared among the parties.")
    if value.type.tensor_type.elem_type in (TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.COMPLEX128):
        raise BadInput(
            f"The input {value.name!r} holds no real numbers, integers or truths; nothing else can be shared."
        )
    told = value.type.tensor_type.shape
    dims: list[int] = list(given) if given is not None else [dim.dim_value for dim in told.dim]
    lacking = not value.type.tensor_type.HasField("shape") or any(not dim.HasField("dim_value") for dim in told.dim)
    if given is None and lacking:
        raise BadInput(
            f"The input {value.name!r} has no fixed shape, and shares have: give it, as in "
            f"shapes={{{value.name!r}: {tuple(dim.dim_value or 1 for dim in told.dim)}}}."
        )
    del told.dim[:]
    for dim in dims:
        told.dim.add().dim_value = int(dim)
    value.type.tensor_type.shape.CopyFrom(told)


def fold(model: ModelProto) -> Folded:
    """Let ONNX Runtime simplify a model, and run it once on numbers that mean nothing. Takes shapes from `shaped`.

    Raises:
        BadInput: ONNX Runtime cannot load or run it.
    """
    literals = _literals(model.graph)
    small = _simplified(model)
    graph = small.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = tuple(value.name for value in graph.input if value.name not in values)
    seen = _observed(small, values)
    open_names = {name for name, value in values.items() if name in literals or value.dtype in _COUNTING}
    constant = set(values)
    nodes = []
    for node in graph.node:
        read = set(reads(node))
        if node.op_type not in _RANDOM and (read <= constant or node.op_type in _OF_SHAPES):
            constant.update(node.output)
            if read <= open_names or node.op_type in _OF_SHAPES:
                open_names.update(node.output)
        else:
            nodes.append(node)
    outputs = tuple(value.name for value in graph.output)
    needed = {name for node in nodes for name in reads(node)} | set(outputs)
    opset = max((each.version for each in small.opset_import if each.domain in ("", "ai.onnx")), default=1)
    return Folded(
        opset,
        inputs,
        outputs,
        tuple(nodes),
        frozenset(open_names),
        {name: (values.get(name) if name in values else seen[name]) for name in needed & constant},  # type: ignore[misc]
        {name: value for name, value in seen.items() if name not in constant},
    )


def _literals(graph: GraphProto) -> frozenset[str]:
    """Names whose values follow from single numbers written in the graph, and from shapes: no weight among them."""
    whole = {tensor.name for tensor in graph.initializer if tensor.data_type in _COUNTS}
    for node in graph.node:
        single = node.op_type != "Constant" or _single(node)
        if node.op_type in _OF_SHAPES or (node.op_type not in _RANDOM and single and set(reads(node)) <= whole):
            whole.update(node.output)
    return frozenset(whole)


_COUNTS = frozenset((TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL))
"""What shapes, axes, indices and masks are made of. Narrower integers are quantised weights."""


def _single(node: NodeProto) -> bool:
    """Whether a Constant holds one number, or whole numbers. Long lists of real numbers are taken for weights."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t.data_type in _COUNTS or int(np.prod(attribute.t.dims, dtype=np.int64)) == 1
        if attribute.name == "value_floats":
            return len(attribute.floats) == 1
    return True


def _simplified(model: ModelProto) -> ModelProto:
    settings = options()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory(prefix="veilmesh-") as folder:
        path = Path(folder, "simplified.onnx")
        settings.optimized_model_filepath = str(path)
        _load(model, settings)
        return ModelProto.FromString(path.read_bytes())


def _load(model: ModelProto, settings: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(pack(model), settings, providers=list(CPU), enable_fallback=0)
    except FAILURES as error:
        raise BadInput(f"ONNX Runtime cannot run this model: {' '.join(str(error).split())[:300]}") from error


def _observed(model: ModelProto, weights: Collection[str]) -> dict[str, Array]:
    """One value for every name that a node makes or that comes in."""
    feeds = {name: array for name, array in sample_of(model).items() if name not in weights}
    wanted = {name for node in model.graph.node for name in node.output if name}
    if not wanted:
        return feeds
    shown = ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(wanted))
    session = _load(shown, options())
    try:
        results = session.run(sorted(wanted), feeds)
    except FAILURES as error:
        raise BadInput(f"ONNX Runtime cannot run this model: {' '.join(str(error).split())[:300]}") from error
    found = dict(zip(sorted(wanted), results, strict=True))
    return feeds | {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


def sample_of(model: ModelProto) -> dict[str, Array]:
    """Numbers that mean nothing, for every input of fixed shape."""
    return {value.name: _sample(value) for value in model.graph.input}


def _sample(value: onnx.ValueInfoProto) -> Array:
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    shape = [dim.dim_value for dim in kind.shape.dim]
    if dtype.kind != "f":
        return np.zeros(shape, dtype)
    return np.random.default_rng(0).uniform(0.25, 0.75, shape).astype(dtype)
