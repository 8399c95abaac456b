"""Products of matrices and convolutions, with weights that are secret or public."""

from __future__ import annotations

from functools import partial

import numpy as np

from protocols.smpc.program.mixed import hidden, known_operand, plus, ring, scaled, weighted
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.operators.windows import laid, padding_of
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated.arithmetic import bilinear, conv2d, conv_transposed
from protocols.smpc.replicated.kernels import convolve, matmul
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["LINEAR", "matrix_product"]

_REALS: tuple[Kind, Kind] = ("number", "number")


def matrix_product(party: Party, left: Operand, right: Operand, kind: Kind, shape: tuple[int, ...]) -> Secret:
    """With the shapes of `numpy.matmul`; either side secret or public."""
    bits = party.fixed.fraction if kind == "number" else 0
    if known_operand(left, right) is None:
        return bilinear(party, matmul, hidden(party, left, kind), hidden(party, right, kind), bits=bits)
    if isinstance(left, Secret):
        return weighted(party, matmul, left, ring(party, np.asarray(right), kind), shape, bits=bits)

    def turned(share: Words, known: Words) -> Words:
        return matmul(known, share)

    return weighted(party, turned, hidden(party, right, kind), ring(party, left, kind), shape, bits=bits)


def multiply_matrices(party: Party, node: Node, left: Operand, right: Operand) -> Secret:
    """With the shapes of `numpy.matmul`."""
    return matrix_product(party, left, right, node.kind, node.makes.shape)


def general_product(party: Party, node: Node, left: Operand, right: Operand, bias: Operand | None = None) -> Secret:
    """alpha * left @ right + beta * bias, either matrix transposed if asked."""
    shape, kind = node.makes.shape, node.kind
    if node.integer("transA"):
        left = left.transpose(1, 0)
    if node.integer("transB"):
        right = right.transpose(1, 0)
    out = matrix_product(party, left, right, kind, shape)
    if (alpha := node.number("alpha", 1.0)) != 1.0:
        out = scaled(party, out, alpha, shape)
    if bias is None:
        return out
    beta = node.number("beta", 1.0)
    if beta != 1.0:
        bias = scaled(party, hidden(party, bias, kind), beta, bias.shape)
    return plus(party, out, bias, kind, shape)


def convolution(party: Party, node: Node, planes: Operand, weights: Operand, bias: Operand | None = None) -> Secret:
    """In one or two dimensions, grouped, dilated, padded as asked."""
    kernel = node.shape(1)[2:]
    layout = laid(node, kernel, padding_of(node, node.shape()[2:], kernel))
    planes, weights, shape = _flat(planes), _flat(weights), _plane(node.makes.shape)
    if known_operand(planes, weights) is None:
        out = conv2d(party, hidden(party, planes, "number"), hidden(party, weights, "number"), layout)
    elif isinstance(planes, Secret):
        known = ring(party, np.asarray(weights), "number")
        out = weighted(party, partial(convolve, geometry=layout), planes, known, shape)
    else:
        out = weighted(
            party,
            lambda share, known: convolve(known, share, layout),
            hidden(party, weights, "number"),
            ring(party, planes, "number"),
            shape,
        )
    return _with_bias(party, node, out, bias)


def transposed_convolution(
    party: Party, node: Node, planes: Operand, weights: Operand, bias: Operand | None = None
) -> Secret:
    """The transpose of `convolution`. Public weights are treated as secret ones."""
    kernel = node.shape(1)[2:]
    begin, end, surplus = _trimmed(node, kernel)
    layout = laid(node, kernel, (begin, end))
    # What a shorter result leaves out and a longer one adds is at the end of each axis.
    lean = [min(value, 0) for value in surplus]
    more = (0,) * (2 - len(surplus)) + tuple(max(value, 0) for value in surplus)
    out = conv_transposed(
        party,
        hidden(party, _flat(planes), "number"),
        hidden(party, _flat(weights), "number"),
        layout,
        surplus=(more[0], more[1]),
    )
    if any(lean):
        out = out[(..., *(slice(0, size) for size in _plane(node.makes.shape)[2:]))]
    return _with_bias(party, node, out, bias)


def _trimmed(node: Node, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Padding before, padding after, and what the result has more than that at the end."""
    rank = len(kernel)
    strides = node.integers("strides", (1,) * rank)
    dilations = node.integers("dilations", (1,) * rank)
    extra = node.integers("output_padding", (0,) * rank)
    full = [
        (size - 1) * step + (side - 1) * apart + 1
        for size, step, side, apart in zip(node.shape()[2:], strides, kernel, dilations, strict=True)
    ]
    wanted = node.makes.shape[2:]
    pads = node.integers("pads", (0,) * 2 * rank)
    if node.attribute("output_shape") is None and node.text("auto_pad", "NOTSET") in ("NOTSET", "VALID"):
        return pads[:rank], pads[rank:], extra
    total = [max(size + more - want, 0) for size, more, want in zip(full, extra, wanted, strict=True)]
    upper = node.text("auto_pad", "NOTSET") == "SAME_UPPER"
    begin = tuple(value // 2 if upper else value - value // 2 for value in total)
    after = tuple(value - first for value, first in zip(total, begin, strict=True))
    left = zip(wanted, full, total, strict=True)
    return begin, after, tuple(want - (size - cut) for want, size, cut in left)


def summed_product(party: Party, node: Node, *values: Operand) -> Secret:
    """Einstein's sum over one or two tensors."""
    equation = node.text("equation").replace(" ", "")
    if len(values) == 1:
        return hidden(party, values[0], node.kind).map(lambda share: np.asarray(np.einsum(equation, share)))

    def product(left: Words, right: Words) -> Words:
        return np.asarray(np.einsum(equation, left, right))

    bits = party.fixed.fraction if node.kind == "number" else 0
    return bilinear(party, product, hidden(party, values[0], node.kind), hidden(party, values[1], node.kind), bits=bits)


def _with_bias(party: Party, node: Node, out: Secret, bias: Operand | None) -> Secret:
    shape = node.makes.shape
    out = out.reshape(*shape)
    return out if bias is None else plus(party, out, bias.reshape(-1, *[1] * (len(shape) - 2)), "number", shape)


def _flat(value: Operand) -> Operand:
    """With a height of one, where there is only a length. Planes stay what they are, with the sums they have made."""
    return value if len(value.shape) == 4 else value.reshape(*_plane(value.shape))


def _plane(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:2], 1, *shape[2:]) if len(shape) == 3 else shape


def _dimensions(node: Node) -> str | None:
    rank = len(node.shape()) - 2
    return None if rank in (1, 2) else f"in {rank} dimensions"


def _operands(node: Node) -> str | None:
    return None if len(node.inputs) <= 2 else f"of {len(node.inputs)} tensors"


_COUNTED = frozenset[Kind](("number", "integer"))

LINEAR: Table = {
    "Conv": Operator(convolution, check=_dimensions),
    "ConvTranspose": Operator(transposed_convolution, check=_dimensions),
    "Einsum": Operator(summed_product, check=_operands, kinds=_COUNTED),
    "Gemm": Operator(general_product),
    "MatMul": Operator(multiply_matrices, kinds=_COUNTED),
}
