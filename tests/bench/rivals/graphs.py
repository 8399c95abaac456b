"""The networks of `works` as ONNX, which is how ours takes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from tests.bench.rivals.works import ROWS, STRIDES, encoder_weights, weights

__all__ = ["model_of"]


def model_of(row: str) -> ModelProto:
    """From "x" to "y", as PyTorch's exporter writes it."""
    graph, net = _Graph(), ROWS[row].net
    match net:
        case "mlp" | "logistic":
            last = _perceptron(graph, "x", weights(net))
        case "lenet":
            last = _lenet(graph)
        case "resnet" | "resnet-large":
            last = _resnet(graph, large=net == "resnet-large")
        case _:
            last = _encoder(graph)
    return graph.model(last, ROWS[row].shape)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[TensorProto] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def model(self, last: str, shape: tuple[int, ...]) -> ModelProto:
        self.nodes.append(helper.make_node("Identity", [last], ["y"]))
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [given], [made], self.constants)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def _perceptron(graph: _Graph, x: str, layers: list[Any]) -> str:
    for place, (weight, bias) in enumerate(layers):
        x = graph.op("Gemm", x, graph.constant(weight), graph.constant(bias))
        x = graph.op("Relu", x) if place + 1 < len(layers) else x
    return x


def _conv(graph: _Graph, x: str, layer: Any, stride: int, pad: int) -> str:
    weight, bias = layer
    given = graph.constant(weight), graph.constant(bias)
    return graph.op("Conv", x, *given, kernel_shape=weight.shape[2:], strides=[stride] * 2, pads=[pad] * 4)


def _lenet(graph: _Graph) -> str:
    layers, x = weights("lenet"), "x"
    for layer, pad in zip(layers[:2], (2, 0), strict=True):
        x = graph.op("Relu", _conv(graph, x, layer, 1, pad))
        x = graph.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    return _perceptron(graph, graph.op("Flatten", x), layers[2:])


def _resnet(graph: _Graph, *, large: bool) -> str:
    layers = iter(weights("resnet-large" if large else "resnet"))
    x = graph.op("Relu", _conv(graph, "x", next(layers), *((2, 3) if large else (1, 1))))
    if large:
        x = graph.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for _, stride in STRIDES:
        branch = graph.op("Relu", _conv(graph, x, next(layers), stride, 1))
        branch = _conv(graph, branch, next(layers), 1, 1)
        x = _conv(graph, x, next(layers), stride, 0) if stride > 1 else x
        x = graph.op("Relu", graph.op("Add", branch, x))
    return _perceptron(graph, graph.op("Flatten", graph.op("GlobalAveragePool", x)), [next(layers)])


def _encoder(graph: _Graph, heads: int = 2) -> str:
    x, (tokens, width) = "x", ROWS["encoder"].shape
    for layer in encoder_weights():
        held = {name: graph.constant(value) for name, value in layer.items()}
        q, k, v = (_heads(graph, _linear(graph, x, held, name), heads, turned=name == "k") for name in "qkv")
        scores = graph.op("Mul", graph.op("MatMul", q, k), graph.constant(np.float32(1 / math.sqrt(width // heads))))
        mixed = graph.op("Transpose", graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v), perm=[1, 0, 2])
        mixed = graph.op("Reshape", mixed, graph.constant(np.array([tokens, width])))
        x = graph.op("Add", x, _linear(graph, mixed, held, "o"))
        x = graph.op("LayerNormalization", x, held["g1"], held["e1"], axis=-1)
        inner = _linear(graph, _gelu(graph, _linear(graph, x, held, "1")), held, "2")
        x = graph.op("LayerNormalization", graph.op("Add", x, inner), held["g2"], held["e2"], axis=-1)
    return x


def _linear(graph: _Graph, x: str, held: dict[str, str], name: str) -> str:
    return graph.op("Add", graph.op("MatMul", x, held[f"w{name}"]), held[f"b{name}"])


def _heads(graph: _Graph, x: str, heads: int, *, turned: bool) -> str:
    tokens, width = ROWS["encoder"].shape
    split = graph.op("Reshape", x, graph.constant(np.array([tokens, heads, width // heads])))
    return graph.op("Transpose", split, perm=[1, 2, 0] if turned else [1, 0, 2])


def _gelu(graph: _Graph, x: str) -> str:
    bent = graph.op("Erf", graph.op("Div", x, graph.constant(np.float32(math.sqrt(2)))))
    raised = graph.op("Add", bent, graph.constant(np.float32(1)))
    return graph.op("Mul", graph.op("Mul", x, raised), graph.constant(np.float32(0.5)))
