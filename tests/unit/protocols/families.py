"""Small networks of every kind that a cut may meet, and the one-session answer that all else must equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

Array = NDArray[Any]
Case = tuple[ModelProto, dict[str, Array]]


class Net:
    """A graph under construction; each call of `op` adds a node and gives the names it makes."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def op(self, kind: str, *inputs: str, makes: int = 1, **attributes: Any) -> Any:
        names = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(makes)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names[0] if makes == 1 else names

    def weight(self, *shape: int) -> str:
        fan = max(1, int(np.prod(shape[1:])))
        return self.constant((self.random.standard_normal(shape) / np.sqrt(fan)).astype(np.float32))

    def constant(self, array: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def name(self, value: str, output: str) -> str:
        self.nodes.append(helper.make_node("Identity", [value], [output], name=output))
        return output

    def body(self, name: str, inputs: list[Any], outputs: list[Any]) -> GraphProto:
        return helper.make_graph(self.nodes, name, inputs, outputs, self.weights)

    def model(self, inputs: Mapping[str, tuple[int, list[Any]]], outputs: Mapping[str, int]) -> ModelProto:
        graph = self.body(
            "net",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        )
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


FLOAT, INT64, BOOL, HALF = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT16


def floats(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def residual() -> Case:
    net = Net()
    x = net.op("Conv", "x", net.weight(8, 3, 3, 3), net.weight(8), pads=[1, 1, 1, 1])
    for _ in range(3):
        y = net.op("Conv", x, net.weight(8, 8, 3, 3), pads=[1, 1, 1, 1])
        ones, zeros = net.constant(np.full(8, 1.1, np.float32)), net.weight(8)
        y = net.op("BatchNormalization", y, ones, zeros, zeros, ones)
        y = net.op("Conv", net.op("Relu", y), net.weight(8, 8, 3, 3), pads=[1, 1, 1, 1])
        x = net.op("Relu", net.op("Add", x, y))
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    net.name(net.op("Softmax", net.op("Gemm", x, net.weight(8, 5), net.weight(5))), "y")
    return net.model({"x": (FLOAT, ["N", 3, 12, 12])}, {"y": FLOAT}), {"x": floats(2, 3, 12, 12)}


def pyramid() -> Case:
    """Several scales, joined by Concat, with an output that is due early and used further on."""
    net = Net()

    def block(x: str, source: int, target: int, stride: int) -> str:
        y = net.op("Conv", x, net.weight(target, source, 3, 3), pads=[1, 1, 1, 1], strides=[stride, stride])
        return str(net.op("Mul", y, net.op("Sigmoid", y)))

    fine = block("x", 3, 4, 2)
    middle = block(fine, 4, 8, 2)
    coarse = block(middle, 8, 8, 2)
    net.name(coarse, "coarse")
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    middle = block(net.op("Concat", net.op("Resize", coarse, "", scales, mode="nearest"), middle, axis=1), 16, 8, 1)
    net.name(middle, "middle")
    fine = net.op("Concat", net.op("Resize", middle, "", scales, mode="nearest"), fine, axis=1)
    net.name(block(fine, 12, 4, 1), "fine")
    outputs = dict.fromkeys(["coarse", "middle", "fine"], FLOAT)
    return net.model({"x": (FLOAT, [1, 3, 16, 16])}, outputs), {"x": floats(1, 3, 16, 16)}


def tied() -> Case:
    """Layers that share one weight: every part that uses it carries it."""
    net = Net()
    shared, bias = net.weight(16, 16), net.weight(16)
    x = "x"
    for _ in range(4):
        x = net.op("Relu", net.op("Gemm", x, shared, bias))
    net.name(net.op("MatMul", x, net.weight(16, 3)), "y")
    return net.model({"x": (FLOAT, ["N", 16])}, {"y": FLOAT}), {"x": floats(3, 16)}


def transformer() -> Case:
    """Whole numbers in, an embedding that is tied to the last projection, attention, GELU, layer normalisation."""
    net = Net()
    width, heads, length = 16, 2, 6
    table = net.weight(20, width)
    x = net.op("Gather", table, "ids")
    split = net.constant(np.array([0, length, heads, width // heads], np.int64))
    merge = net.constant(np.array([0, length, width], np.int64))
    for _ in range(2):
        h = net.op("LayerNormalization", x, net.weight(width), net.weight(width))
        q, k, v = (
            net.op("Reshape", net.op("Add", net.op("MatMul", h, net.weight(width, width)), net.weight(width)), split)
            for _ in range(3)
        )
        q, v = (net.op("Transpose", name, perm=[0, 2, 1, 3]) for name in (q, v))
        scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 2, 3, 1]))
        scores = net.op("Softmax", net.op("Div", scores, net.constant(np.float32(2.83))))
        mixed = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
        x = net.op("Add", x, net.op("MatMul", net.op("Reshape", mixed, merge), net.weight(width, width)))
        h = net.op("Add", net.op("MatMul", x, net.weight(width, 32)), net.weight(32))
        erf = net.op("Erf", net.op("Div", h, net.constant(np.float32(np.sqrt(2)))))
        h = net.op(
            "Mul", net.op("Mul", h, net.op("Add", erf, net.constant(np.float32(1)))), net.constant(np.float32(0.5))
        )
        x = net.op("Add", x, net.op("MatMul", h, net.weight(32, width)))
    net.name(net.op("MatMul", x, net.op("Transpose", table, perm=[1, 0])), "logits")
    ids = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]], np.int64)
    return net.model({"ids": (INT64, ["B", length])}, {"logits": FLOAT}), {"ids": ids}


def recurrent() -> Case:
    net = Net()
    x = "x"
    for width in (6, 8):
        y, _, _ = net.op(
            "LSTM", x, net.weight(1, 32, width), net.weight(1, 32, 8), net.weight(1, 64), makes=3, hidden_size=8
        )
        x = net.op("Squeeze", y, net.constant(np.array([1], np.int64)))
    gru, _ = net.op("GRU", x, net.weight(1, 24, 8), net.weight(1, 24, 8), makes=2, hidden_size=8)
    net.name(net.op("Tanh", gru), "y")
    return net.model({"x": (FLOAT, [5, "N", 6])}, {"y": FLOAT}), {"x": floats(5, 2, 6)}


def branching() -> Case:
    """If: both branches look at values and weights of the graph around them."""
    net = Net()
    h = net.op("Relu", net.op("MatMul", "x", net.weight(4, 4)))
    side = net.op("Tanh", h)
    shared = net.weight(4, 4)
    large = net.op("Greater", net.op("ReduceSum", h, keepdims=0), net.constant(np.float32(1e9)))
    bodies: dict[str, GraphProto] = {}
    for branch, kind in (("then_branch", "Add"), ("else_branch", "Sub")):
        inner = Net()
        inner.nodes.append(helper.make_node("MatMul", [side, shared], [f"{branch}_m"]))
        inner.nodes.append(helper.make_node(kind, [f"{branch}_m", "x"], [f"{branch}_y"]))
        bodies[branch] = inner.body(branch, [], [helper.make_tensor_value_info(f"{branch}_y", FLOAT, None)])
    y = net.op("If", large, **bodies)
    net.name(net.op("MatMul", net.op("Relu", y), shared), "y")
    return net.model({"x": (FLOAT, ["N", 4])}, {"y": FLOAT}), {"x": floats(3, 4)}


def looping() -> Case:
    """Loop: its body looks at an earlier value; how often it turns is itself computed."""
    net = Net()
    h = net.op("MatMul", "x", net.weight(4, 4))
    bias = net.op("Sigmoid", h)
    turns = net.op("ReduceSum", net.op("Shape", h), keepdims=0)
    inner = Net()
    inner.nodes += [
        helper.make_node("Add", ["state", bias], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next"]),
        helper.make_node("Identity", ["go"], ["on"]),
    ]
    value = helper.make_tensor_value_info
    inputs = [value("turn", INT64, []), value("go", BOOL, []), value("state", FLOAT, None)]
    body = inner.body("turn", inputs, [value("on", BOOL, []), value("next", FLOAT, None)])
    y = net.op("Loop", turns, "", h, body=body)
    net.name(net.op("Relu", net.op("Add", y, bias)), "y")
    return net.model({"x": (FLOAT, ["N", 4])}, {"y": FLOAT}), {"x": floats(2, 4)}


def ways() -> Case:
    """An input used last only, one used first and last, one never used; outputs made early, and an input given back."""
    net = Net()
    h = net.op("Relu", net.op("MatMul", "x", net.weight(4, 4)))
    net.name(h, "early")
    for _ in range(3):
        h = net.op("Tanh", net.op("MatMul", h, net.weight(4, 4)))
    h = net.op("Add", net.op("Mul", h, "late"), "x")
    net.name(h, "y")
    net.name("late", "same")
    inputs = {"x": (FLOAT, [2, 4]), "late": (FLOAT, [1, 4]), "never": (FLOAT, [1])}
    outputs = dict.fromkeys(["early", "y", "same"], FLOAT)
    return net.model(inputs, outputs), {"x": floats(2, 4), "late": floats(1, 4), "never": floats(1)}


def kinds() -> Case:
    """Whole numbers and truth values cross, and shapes that follow from the data."""
    net = Net()
    h = net.op("MatMul", "x", net.weight(6, 6))
    mask = net.op("Greater", h, net.constant(np.float32(0)))
    best, where = net.op("TopK", h, net.constant(np.array([2], np.int64)), makes=2)
    found = net.op("NonZero", mask)
    chosen = net.op("Where", mask, h, net.op("Neg", h))
    picked = net.op("GatherElements", chosen, where, axis=1)
    net.name(net.op("Mul", picked, best), "y")
    net.name(net.op("Transpose", found, perm=[1, 0]), "found")
    net.name(net.op("Not", mask), "rest")
    outputs = {"y": FLOAT, "found": INT64, "rest": BOOL}
    return net.model({"x": (FLOAT, ["N", 6])}, outputs), {"x": floats(3, 6)}


def half() -> Case:
    net = Net()

    def weight(*shape: int) -> str:
        return net.constant((net.random.standard_normal(shape) / 4).astype(np.float16))

    x = net.op("Conv", "x", weight(4, 3, 3, 3), pads=[1, 1, 1, 1])
    for _ in range(3):
        x = net.op("Relu", net.op("Add", x, net.op("Conv", x, weight(4, 4, 3, 3), pads=[1, 1, 1, 1])))
    net.name(net.op("GlobalAveragePool", x), "y")
    return net.model({"x": (HALF, [1, 3, 8, 8])}, {"y": HALF}), {"x": floats(1, 3, 8, 8).astype(np.float16)}


def quantised() -> Case:
    net = Net()
    scale, zero = net.constant(np.float32(0.05)), net.constant(np.uint8(128))
    x = net.op("QuantizeLinear", "x", scale, zero)
    for _ in range(3):
        w = net.constant(net.random.integers(-127, 127, (4, 4, 3, 3)).astype(np.int8))
        w = net.op("DequantizeLinear", w, net.constant(np.float32(0.01)), net.constant(np.int8(0)))
        y = net.op("Conv", net.op("DequantizeLinear", x, scale, zero), w, pads=[1, 1, 1, 1])
        x = net.op("QuantizeLinear", net.op("Relu", y), scale, zero)
    net.name(net.op("DequantizeLinear", x, scale, zero), "y")
    return net.model({"x": (FLOAT, [1, 4, 6, 6])}, {"y": FLOAT}), {"x": floats(1, 4, 6, 6)}


def sequences() -> Case:
    """A list of tensors lives for a while; it may not be cut apart."""
    net = Net()
    h = net.op("Relu", net.op("MatMul", "x", net.weight(4, 4)))
    pieces = net.op("SplitToSequence", h, net.constant(np.int64(2)), axis=1)
    last = net.op("SequenceAt", pieces, net.constant(np.int64(-1)))
    joined = net.op("ConcatFromSequence", pieces, axis=1)
    h = net.op("Concat", joined, last, axis=1)
    net.name(net.op("MatMul", net.op("Tanh", h), net.weight(6, 2)), "y")
    return net.model({"x": (FLOAT, ["N", 4])}, {"y": FLOAT}), {"x": floats(2, 4)}


def listed() -> Case:
    """As exporters did before 2019: every weight is an input too, and could be overridden."""
    model, feeds = residual()
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    return model, feeds


FAMILIES: tuple[Callable[[], Case], ...] = (
    residual, pyramid, tied, transformer, recurrent, branching, looping, ways, kinds, half, quantised, sequences,
    listed,
)  # fmt: skip


def oracle(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, bytes]:
    """One ordinary session over the whole file, at the level at which we optimise."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return {name: made.tobytes() for name, made in zip(names, session.run(names, dict(feeds)), strict=True)}
