"""A trained network as ONNX: with its weights, or with its weights as further inputs for a private program.

The input "x" is one batch of rows as they were trained on, of shape (batch, columns) or (batch, channels, height,
width); the output "y" is a number, the chance of a 1, or the chance of each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from protocols.smpc.training.network import Laid
from protocols.smpc.training.spec import TrainingSpec

__all__ = ["onnx_of"]

_OPSET = 17
_LAST = {"logistic": "Sigmoid", "cross-entropy": "Softmax"}

Named = Mapping[str, NDArray[np.float32]]


def onnx_of(spec: TrainingSpec, network: Sequence[Laid], weights: Named | None, *, batch: int | None = None) -> bytes:
    """The model, with the scaling of its columns that everybody knows.

    Args:
        weights: by name, as `models.named_weights` gives them; None makes them inputs, after "x".
        batch: rows at once; None leaves it open.
    """
    inputs, number = [_value("x", (batch or "batch", *network[0].before))], 0
    nodes, stored, name = _scaled(spec, network[0].before)
    for at, laid in enumerate(network):
        names = [f"w{number}", f"b{number}"] if laid.weight else []
        number += bool(laid.weight)
        out = f"h{at}"
        nodes.append(helper.make_node(*_operator(laid), [name, *names], [out], **_attributes(laid)))
        name = out
        for word, shape in zip(names, (laid.weight, (laid.bias,)), strict=False):
            if weights is None:
                inputs.append(_value(word, shape))
            else:
                stored.append(numpy_helper.from_array(np.ascontiguousarray(weights[word]), word))
    last = _LAST.get(spec.loss, "Identity")
    nodes.append(helper.make_node(last, [name], ["y"], **({"axis": 1} if last == "Softmax" else {})))
    outputs = [_value("y", (batch or "batch", *network[-1].after))]
    graph = helper.make_graph(nodes, "trained", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="veilmesh")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _scaled(spec: TrainingSpec, shape: Sequence[int]) -> tuple[list[Any], list[Any], str]:
    """What is done to columns before the first layer: nodes, constants, and what its result is called."""
    if not spec.scales:
        return [], [], "x"
    sides = {"centres": np.asarray(spec.centres), "factors": 1 / np.asarray(spec.scales)}
    stored = [numpy_helper.from_array(side.reshape(1, *shape).astype(np.float32), name) for name, side in sides.items()]
    nodes = [
        helper.make_node("Sub", ["x", "centres"], ["centred"]),
        helper.make_node("Mul", ["centred", "factors"], ["u"]),
    ]
    return nodes, stored, "u"


def _operator(laid: Laid) -> tuple[str]:
    return {
        "dense": ("Gemm",),
        "conv": ("Conv",),
        "relu": ("Relu",),
        "max-pool": ("MaxPool",),
        "average-pool": ("AveragePool",),
        "flatten": ("Flatten",),
    }[laid.layer.kind]


def _attributes(laid: Laid) -> dict[str, Any]:
    layer = laid.layer
    if layer.kind == "conv":
        return {"strides": [layer.stride] * 2, "pads": [layer.padding] * 4, "kernel_shape": [layer.kernel] * 2}
    if layer.kind in ("max-pool", "average-pool"):
        return {"strides": [layer.size] * 2, "kernel_shape": [layer.size] * 2}
    return {}


def _value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
