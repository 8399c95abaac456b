"""Small networks of every sort that people train, as ONNX, and what ONNX Runtime makes of them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from tests.unit.protocols.families import FLOAT, Array, Case, Net

__all__ = ["encoder", "lenet", "lstm", "normal", "perceptron", "residual"]


def normal(*shape: int, scale: float = 1.0) -> Array:
    return np.random.default_rng(3).normal(0, scale, shape).astype(np.float32)


def perceptron(batch: int = 2, widths: tuple[int, ...] = (784, 128, 128, 10)) -> Case:
    """Fully connected, with Relu between."""
    net, x = Net(), "x"
    for place, (before, after) in enumerate(pairwise(widths)):
        x = net.op("Gemm", x, net.weight(after, before), net.weight(after), transB=1)
        x = net.op("Relu", x) if place + 2 < len(widths) else x
    return _case(net, x, normal(batch, widths[0]))


def lenet(batch: int = 1) -> Case:
    """LeNet-5 with Relu and max-pooling, for pictures of 28 x 28."""
    net, x = Net(), "x"
    for before, after, pads in ((1, 6, [2] * 4), (6, 16, [0] * 4)):
        x = net.op("Conv", x, net.weight(after, before, 5, 5), net.weight(after), pads=pads, kernel_shape=[5, 5])
        x = net.op("MaxPool", net.op("Relu", x), kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Flatten", x)
    for before, after in ((400, 120), (120, 84), (84, 10)):
        x = net.op("Gemm", x, net.weight(after, before), net.weight(after), transB=1)
        x = net.op("Relu", x) if after != 10 else x
    return _case(net, x, normal(batch, 1, 28, 28))


def residual(batch: int = 1, side: int = 12) -> Case:
    """Two residual blocks with batch norms that can be merged, one that cannot, and a mean at the end."""
    net = Net()
    x = _norm(net, net.op("Conv", "x", net.weight(8, 3, 3, 3), pads=[1] * 4), 8)
    x = net.op("Relu", x)
    for before, after, stride in ((8, 8, 1), (8, 16, 2)):
        branch = net.op("Conv", x, net.weight(after, before, 3, 3), pads=[1] * 4, strides=[stride] * 2)
        branch = net.op("Relu", _norm(net, branch, after))
        branch = _norm(net, net.op("Conv", branch, net.weight(after, after, 3, 3), pads=[1] * 4), after)
        if stride > 1:
            x = _norm(net, net.op("Conv", x, net.weight(after, before, 1, 1), strides=[stride] * 2), after)
        x = net.op("Relu", net.op("Add", x, branch))
    x = net.op("Flatten", net.op("GlobalAveragePool", _norm(net, x, 16)))
    x = net.op("Gemm", x, net.weight(10, 16), net.weight(10), transB=1)
    return _case(net, x, normal(batch, 3, side, side))


def _norm(net: Net, x: str, channels: int) -> str:
    statistics = [net.random.uniform(0.5, 1.5, channels).astype(np.float32) for _ in range(4)]
    return str(net.op("BatchNormalization", x, *map(net.constant, statistics)))


def encoder(layers: int = 2, width: int = 128, tokens: int = 64, heads: int = 4, scale: float = 3.0) -> Case:
    """A transformer's encoder: attention, layer norms written out, and GELU by the error function, as exporters do."""
    net, x, each = Net(), "x", width // heads
    for _ in range(layers):
        q, k, v = (_heads(net, _linear(net, x, width, width), tokens, heads, each, turned) for turned in (0, 1, 0))
        scores = net.op("Div", net.op("MatMul", q, k), net.op("Constant", value_float=math.sqrt(each)))
        mixed = net.op("MatMul", net.op("Softmax", scores, axis=-1), v)
        mixed = net.op("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = net.op("Reshape", mixed, net.constant(np.array([1, tokens, width])))
        x = _layer_norm(net, net.op("Add", x, _linear(net, mixed, width, width)), width)
        inner = _gelu(net, _linear(net, x, width, 4 * width))
        x = _layer_norm(net, net.op("Add", x, _linear(net, inner, 4 * width, width)), width)
    return _case(net, x, normal(1, tokens, width, scale=scale))


def _linear(net: Net, x: str, before: int, after: int) -> str:
    weights = net.constant((net.random.standard_normal((before, after)) / math.sqrt(before)).astype(np.float32))
    return str(net.op("Add", net.op("MatMul", x, weights), net.weight(after)))


def _heads(net: Net, x: str, tokens: int, heads: int, each: int, turned: int) -> str:
    split = net.op("Reshape", x, net.constant(np.array([1, tokens, heads, each])))
    return str(net.op("Transpose", split, perm=[0, 2, 3, 1] if turned else [0, 2, 1, 3]))


def _layer_norm(net: Net, x: str, width: int) -> str:
    centred = net.op("Sub", x, net.op("ReduceMean", x, axes=[-1]))
    square = net.op("Pow", centred, net.op("Constant", value_float=2.0))
    raised = net.op("Add", net.op("ReduceMean", square, axes=[-1]), net.op("Constant", value_float=1e-5))
    scaled = net.op("Div", centred, net.op("Sqrt", raised))
    gamma, beta = (net.constant(net.random.uniform(0.5, 1.5, width).astype(np.float32)) for _ in range(2))
    return str(net.op("Add", net.op("Mul", scaled, gamma), beta))


def _gelu(net: Net, x: str) -> str:
    bent = net.op("Erf", net.op("Div", x, net.op("Constant", value_float=math.sqrt(2))))
    raised = net.op("Add", bent, net.op("Constant", value_float=1.0))
    return str(net.op("Mul", net.op("Mul", x, raised), net.op("Constant", value_float=0.5)))


def lstm(steps: int = 6, width: int = 8, hidden: int = 12) -> Case:
    """Both directions of an LSTM, and a linear layer on its last states."""
    net = Net()
    weights = net.weight(2, 4 * hidden, width), net.weight(2, 4 * hidden, hidden), net.weight(2, 8 * hidden)
    _, last, _ = net.op("LSTM", "x", *weights, makes=3, hidden_size=hidden, direction="bidirectional")
    flat = net.op("Reshape", net.op("Transpose", last, perm=[1, 0, 2]), net.constant(np.array([3, 2 * hidden])))
    return _case(net, net.op("Gemm", flat, net.weight(4, 2 * hidden), transB=1), normal(steps, 3, width))


def _case(net: Net, last: str, x: Array) -> Case:
    return net.model({"x": (FLOAT, list(x.shape))}, {net.name(last, "y"): FLOAT}), {"x": x}
