"""A program as ONNX again, with its weights: what its owner's ONNX Runtime makes of every single value of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from protocols.runtimes.models import pack
from protocols.runtimes.onnx import Part, load
from protocols.smpc.program.steps import ABSENT, Array, Kind, Port, Program, Step, Tensor

__all__ = ["as_model", "plain_part", "value_name"]

_DTYPES: Mapping[Kind, int] = {
    "number": TensorProto.FLOAT,
    "integer": TensorProto.INT64,
    "truth": TensorProto.BOOL,
}
_NUMPY: Mapping[Kind, Any] = {"number": np.float32, "integer": np.int64, "truth": np.bool_}

_GELU_SINCE = 20
"""Where a program says Gelu and is older, the compiler put it there: ONNX Runtime has had one of its own before."""


def value_name(number: int) -> str:
    """What a value of the program is called in the model."""
    return f"v{number}"


def as_model(program: Program, weights: Mapping[str, Array], shown: Iterable[Tensor] = ()) -> ModelProto:
    """The program as a model of one graph. Inputs and outputs are called by their values' numbers.

    Args:
        weights: by the names of the program's ports.
        shown: values that are to be outputs besides the program's own.
    """
    known = [(constant.tensor, constant.array) for constant in program.constants]
    known += [(port.tensor, np.asarray(weights[port.name])) for port in program.weights]
    initial = [
        numpy_helper.from_array(array.astype(_NUMPY[tensor.kind]).reshape(tensor.shape), value_name(tensor.number))
        for tensor, array in known
    ]
    wanted = {tensor.number: tensor for tensor in (*(port.tensor for port in program.outputs), *shown)}
    made = {tensor.number for step in program.steps for tensor in step.outputs}
    graph = onnx.helper.make_graph(
        [_node(step, program.opset) for step in program.steps],
        "plain",
        [_port(port) for port in program.inputs],
        [_value(tensor) for number, tensor in sorted(wanted.items()) if number in made],
        initial,
    )
    opsets = [onnx.helper.make_opsetid("", program.opset), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)


def plain_part(program: Program, weights: Mapping[str, Array], shown: Iterable[Tensor] = ()) -> Part:
    """`as_model`, ready to run here. Raises BadInput: ONNX Runtime does not take what the compiler made."""
    return load([pack(as_model(program, weights, shown))])


def _node(step: Step, opset: int) -> NodeProto:
    foreign = step.operator == "Gelu" and opset < _GELU_SINCE
    return onnx.helper.make_node(
        step.operator,
        ["" if number == ABSENT else value_name(number) for number in step.inputs],
        list(_outputs(step.outputs)),
        domain="com.microsoft" if foreign else "",
        **{name: value for name, value in _attributes(step) if not foreign},
    )


def _outputs(tensors: Sequence[Tensor]) -> Iterator[str]:
    for tensor in tensors:
        yield "" if tensor.number == ABSENT else value_name(tensor.number)


def _attributes(step: Step) -> Iterator[tuple[str, Any]]:
    for name, value in step.attributes:
        if step.operator == "Cast" and name == "to" and isinstance(value, int):
            yield name, _cast_to(value)
        elif value != ():
            yield name, list(value) if isinstance(value, tuple) else value


def _cast_to(dtype: int) -> int:
    """The dtype by which values of that kind go here: every real number is float32, every integer int64."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(dtype).kind
    return _DTYPES["number" if kind == "f" else "truth" if kind == "b" else "integer"]


def _port(port: Port) -> onnx.ValueInfoProto:
    return _value(port.tensor)


def _value(tensor: Tensor) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(value_name(tensor.number), _DTYPES[tensor.kind], tensor.shape)
