"""A model in two: a public beginning, for the input owner's own ONNX Runtime, and the rest, which is to be secret."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import ModelProto, NodeProto

from mesh.errors import BadInput
from protocols.runtimes.models import pack, parse, reads
from protocols.runtimes.onnx import load
from protocols.smpc.program.fold import sample_of, shaped
from protocols.smpc.program.steps import Array

__all__ = ["Halves", "split"]

_NAMED = 12  # names that a sentence lists


@dataclass(frozen=True)
class Halves:
    """Attributes:
    public: from the model's inputs to the values that cross over.
    rest: from those, and from what inputs it reads itself, to the outputs.
    """

    public: bytes
    rest: bytes


def split(source: bytes, until: str, shapes: Mapping[str, Sequence[int]] | None = None) -> Halves:
    """Cut a model after a node: all that the node depends on, itself included, is public; everything else is not.

    Args:
        until: a node's name, or the name of a value that it makes.
        shapes: as for `compile_model`.

    Raises:
        BadInput: there is no such node, or nothing is left after it, or the beginning cannot be run.
    """
    model = shaped(source, shapes or {})
    inputs = [value.name for value in model.graph.input]
    public = _ancestors(model, _named(model, until))
    early = [node for place, node in enumerate(model.graph.node) if place in public]
    late = [node for place, node in enumerate(model.graph.node) if place not in public]
    made = {name for node in early for name in node.output if name}
    wanted = dict.fromkeys(name for node in late for name in reads(node))
    wanted.update(dict.fromkeys(value.name for value in model.graph.output))
    crossing = [name for name in wanted if name in made]
    if not late or any(value.name in made for value in model.graph.output):
        raise BadInput(f"Nothing would be left to compute in secret after {until[:80]!r}: name an earlier node.")
    beginning = _part(model, early, inputs, crossing)
    values = _tried(beginning, {name: value for name, value in sample_of(model).items() if name in inputs})
    rest = _part(model, late, [name for name in inputs if name in wanted], [v.name for v in model.graph.output])
    for name in crossing:
        dtype = onnx.helper.np_dtype_to_tensor_dtype(values[name].dtype)
        rest.graph.input.append(onnx.helper.make_tensor_value_info(name, dtype, values[name].shape))
    return Halves(pack(beginning), pack(rest))


def _named(model: ModelProto, until: str) -> int:
    for place, node in enumerate(model.graph.node):
        if until and until in (node.name, *node.output):
            return place
    names = [node.name or node.output[0] for node in model.graph.node]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    raise BadInput(f"The model has no node {until[:80]!r}. It has {', '.join(names[:_NAMED])}{more}.")


def _ancestors(model: ModelProto, last: int) -> set[int]:
    makers = {name: place for place, node in enumerate(model.graph.node) for name in node.output if name}
    found, waiting = {last}, [last]
    while waiting:
        for name in reads(model.graph.node[waiting.pop()]):
            place = makers.get(name)
            if place is not None and place not in found:
                found.add(place)
                waiting.append(place)
    return found


def _part(model: ModelProto, nodes: Sequence[NodeProto], inputs: Collection[str], outputs: Sequence[str]) -> ModelProto:
    part = ModelProto()
    part.ir_version = model.ir_version
    part.opset_import.extend(model.opset_import)
    part.graph.name = "part"
    read = {name for node in nodes for name in reads(node)}
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in read)
    part.graph.input.extend(value for value in model.graph.input if value.name in inputs)
    known = {value.name: value for value in model.graph.output}
    part.graph.output.extend(known.get(name, onnx.ValueInfoProto(name=name)) for name in outputs)
    return part


def _tried(beginning: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What crosses over, once, for its shapes and dtypes; which the beginning's outputs then declare."""
    for value in beginning.graph.output:
        if not value.type.WhichOneof("value"):
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    _declare(beginning)
    with load([pack(beginning)]) as part:
        return part.run(feeds)


def _declare(model: ModelProto) -> None:
    """Let ONNX say of what types the outputs are: ONNX Runtime wants to be told."""
    inferred = onnx.shape_inference.infer_shapes(parse(pack(model)))
    known = {value.name: value for value in (*inferred.graph.value_info, *inferred.graph.output)}
    for value in model.graph.output:
        if value.name in known:
            value.CopyFrom(known[value.name])
