"""How large values can be, from step to step, so that none is compared on more bits than it can fill. Pure.

A size is an exponent: values stay under 2**size units. What a number format promises (`FixedPoint.limit`) holds for
inputs, for weights and for every product or sum of products; whatever leaves it is wrong with or without this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from protocols.smpc.program.operators.indexing import INDEXING
from protocols.smpc.program.operators.movement import MOVEMENT
from protocols.smpc.program.steps import ABSENT, Array, Program, Step, Tensor
from protocols.smpc.replicated.sharing import FixedPoint

__all__ = ["comparison_bits"]

_KEEPING = frozenset({
    *MOVEMENT, *INDEXING, "Abs", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Max", "MaxPool", "Min", "Neg",
    "ReduceMax", "ReduceMean", "ReduceMin", "Relu", "Where",
}) - {"CumSum", "ScatterElements", "ScatterND", "Scatter", "OneHot"}  # fmt: skip
"""What they make is no larger than what they read, but for the rounding of a mean."""

_UNIT = frozenset({"Erf", "HardSigmoid", "Hardmax", "Sigmoid", "Softmax", "Tanh"})
"""What they make lies between -1 and 1, but for an error far smaller than that."""

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""What they make was truncated, so was under 2**62 before, and then a bias was added."""

_COMPARING = frozenset({
    "Abs", "ArgMax", "ArgMin", "Clip", "Erf", "GlobalMaxPool", "Greater", "GreaterOrEqual", "Hardmax", "LeakyRelu",
    "Less", "LessOrEqual", "LogSoftmax", "Max", "MaxPool", "Min", "PRelu", "ReduceMax", "ReduceMin", "Relu", "Sigmoid",
    "Sign", "Softmax", "Tanh",
})  # fmt: skip
"""What they compare is what they read, differences of it, and numbers that stand in the step."""

_EDGES = 5  # curves have no edge beyond 2**5


def comparison_bits(program: Program, fixed: FixedPoint) -> dict[int, int]:
    """For each step, by its place, on how many bits it must compare: at most `Program.bits`."""
    ports = (*program.inputs, *program.weights)
    sizes: dict[int, int] = {port.tensor.number: _given(port.tensor, fixed) for port in ports}
    sizes.update((each.tensor.number, _constant(each.tensor, each.array, fixed)) for each in program.constants)
    kinds = {tensor.number: tensor.kind for tensor in program.given()}
    found = {}
    for place, step in enumerate(program.steps):
        read = [sizes[number] for number in step.inputs if number != ABSENT and kinds[number] == "number"]
        largest = max((*read, _written(step, fixed), fixed.fraction + _EDGES))
        real = all(kinds[number] == "number" for number in step.inputs[:1] if number != ABSENT)
        plain = step.operator == "Gelu" and not any(name == "approximate" for name, _ in step.attributes)
        narrow = real and (step.operator in _COMPARING or plain)
        found[place] = min(program.bits, largest + 2) if narrow else program.bits
        size = _made(step, read, largest, fixed)
        sizes.update((tensor.number, size) for tensor in step.outputs)
        kinds.update((tensor.number, tensor.kind) for tensor in step.outputs)
    return found


def _limit(fixed: FixedPoint) -> int:
    return 62 - fixed.fraction


def _given(tensor: Tensor, fixed: FixedPoint) -> int:
    return _limit(fixed) if tensor.kind == "number" else 62


def _constant(tensor: Tensor, array: Array, fixed: FixedPoint) -> int:
    if tensor.kind != "number":
        return 62
    numbers = np.abs(array[np.isfinite(array)])
    return min(_exponent(float(numbers.max(initial=0.0))) + fixed.fraction, _limit(fixed))


def _written(step: Step, fixed: FixedPoint) -> int:
    """Of the numbers that stand in the step."""
    numbers = [abs(value) for _, value in step.attributes if isinstance(value, float) and math.isfinite(value)]
    return min(_exponent(max(numbers, default=0.0)) + fixed.fraction, _limit(fixed))


def _exponent(number: float) -> int:
    return math.frexp(number)[1]


def _made(step: Step, read: Sequence[int], largest: int, fixed: FixedPoint) -> int:
    if step.operator in _UNIT:
        return fixed.fraction + 1
    if step.operator in _KEEPING:
        return largest + step.operator.endswith(("AveragePool", "Mean"))
    if step.operator in _PRODUCTS:
        return _limit(fixed) + 1
    if step.operator in ("Add", "Sub"):
        return min(largest + 1, 62)
    return min(max(_limit(fixed), *read, 0) + max(len(step.inputs), 1).bit_length(), 62)
