"""How much work a node is, counted from the shapes it was seen with. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from onnx import NodeProto

__all__ = ["Shapes", "multiply_adds"]

Shapes = Mapping[str, Sequence[int]]
"""Of values and weights alike: name -> dimensions."""


def multiply_adds(node: NodeProto, shapes: Shapes) -> int:
    """Multiply-adds of one run of the node.

    Operators that do not multiply, and those that are not known here, count one per element of what they make: they
    have to write it. The same holds where a shape is not known.
    """
    made = max((math.prod(shapes.get(name, ())) for name in node.output if name), default=0)
    count = _COUNTS.get(node.op_type)
    if count is None:
        return made
    try:
        return max(made, count(node, [shapes[name] if name else () for name in node.input], made))
    except (KeyError, IndexError):
        return made


Count = Callable[[NodeProto, list[Sequence[int]], int], int]


def _convolution(weight: int) -> Count:
    """Each element made costs one filter: (out channels, channels per group, *kernel)."""
    return lambda _, shapes, made: made * math.prod(shapes[weight][1:])


def _transposed(_: NodeProto, shapes: list[Sequence[int]], __: int) -> int:
    """Each element read costs one filter: (channels, out channels per group, *kernel)."""
    return math.prod(shapes[0]) * math.prod(shapes[1][1:])


def _product(node: NodeProto, shapes: list[Sequence[int]], made: int) -> int:
    """Each element made costs as many as the dimension that is summed over."""
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return made * (shapes[0][-2] if turned else shapes[0][-1])


def _recurrent(_: NodeProto, shapes: list[Sequence[int]], __: int) -> int:
    """(steps, batch, ...) times the input's and the state's weights."""
    return math.prod(shapes[0][:2]) * (math.prod(shapes[1]) + math.prod(shapes[2]))


def _fused_attention(_: NodeProto, shapes: list[Sequence[int]], __: int) -> int:
    """com.microsoft.Attention projects (batch, length, width) first: (width, three times hidden)."""
    batch, length = shapes[0][:2]
    projected = batch * length * math.prod(shapes[1])
    return projected + 2 * batch * length * length * shapes[1][1] // 3


def _attention(node: NodeProto, shapes: list[Sequence[int]], made: int) -> int:
    """query @ key and the result @ value: twice the query's elements times the key's length."""
    if not node.domain and len(shapes[0]) == 4:
        return 2 * math.prod(shapes[0]) * shapes[1][-2]
    if node.domain and node.op_type == "Attention":
        return _fused_attention(node, shapes, made)
    return 2 * math.prod(shapes[0]) * shapes[1][1]


_COUNTS: Mapping[str, Count] = {
    "Attention": _attention,
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "ConvTranspose": _transposed,
    "DynamicQuantizeMatMul": _product,
    "FusedConv": _convolution(1),
    "FusedGemm": _product,
    "FusedMatMul": _product,
    "GRU": _recurrent,
    "Gemm": _product,
    "GroupQueryAttention": _attention,
    "LSTM": _recurrent,
    "MatMul": _product,
    "MatMulInteger": _product,
    "MatMulIntegerToFloat": _product,
    "MatMulNBits": _product,
    "MultiHeadAttention": _attention,
    "QGemm": _product,
    "QLinearConv": _convolution(3),
    "QLinearMatMul": _product,
    "RNN": _recurrent,
}
