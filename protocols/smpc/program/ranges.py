"""How large the values of a program become, by trial on its owner's data, and which number format holds them.

Fixed point fails silently: a sum of products of 2**(62 - 2 * fraction) or more wraps around. So the plaintext model is
run over calibration data with every value of the program as an output, the largest of each is recorded with a margin,
and the format is chosen from that. What was never seen is not bounded: the margin is all that protects from it.

Of the error: an input or a weight is rounded to the nearest unit, 2**-fraction, which is off by a twelfth of a unit
squared on average; through a sum of n products these add up to sqrt(n / 12) * (|x| + |w|) units, and the worst of many
outputs is some four times that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.program.mixed import bounded
from protocols.smpc.program.plain import plain_part, value_name
from protocols.smpc.program.steps import ABSENT, Array, Program, Step, Tensor

__all__ = ["MARGIN", "Format", "Ranges", "chosen", "largest_sum", "measured"]

MARGIN = 2.0
"""How much larger than in the calibration data values may become."""

_PLENTY = 2.5e-4  # what a layer may be off by before more fractional bits are taken
_USUAL, _FEWEST, _MOST = 18, 10, 24
_MOST_CURVED = 20
_WORST = 4.0  # standard deviations of the worst of many outputs
_ROOM = 2.0**6  # what functions compare with that is in no tensor: the ends of their ranges

_LINEAR = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"))
_SQUARING = frozenset((
    "LayerNormalization", "GroupNormalization", "InstanceNormalization", "RMSNormalization", "LpNormalization", "LRN",
    "MeanVarianceNormalization", "ReduceL2", "ReduceSumSquare", "LpPool", "GlobalLpPool",
))  # fmt: skip
_CURVED = frozenset((
    "Celu", "Div", "Elu", "Erf", "Exp", "GRU", "Gelu", "LSTM", "Log", "LogSoftmax", "Mish", "Pow", "RNN", "Reciprocal",
    "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "Selu", "Sigmoid", "Softmax", "Softplus", "Softsign", "Sqrt",
    "Swish", "Tanh", "BatchNormalization", "HardSwish",
))  # fmt: skip
"""Functions that are approximated. Their stated errors and ranges are those of 18 fractional bits; 20 were tried."""


@dataclass(frozen=True)
class Ranges:
    """What was found, with the margin.

    Attributes:
        bounds: the largest absolute value of each value of the program, by its number.
        samples: how many inputs were tried.
    """

    bounds: Mapping[int, float]
    samples: int

    def largest(self, program: Program) -> tuple[int, float]:
        """The number of the value that becomes largest, and how large."""
        numbers = {tensor.number for tensor in _tensors(program) if tensor.kind == "number"}
        return max(((number, self.bounds[number]) for number in sorted(numbers)), key=lambda pair: pair[1])


@dataclass(frozen=True)
class Format:
    """The number format of a program.

    Attributes:
        fraction: bits after the binary point.
        bits: see `Program.bits`.
        error: what a linear layer is off by at most, about, in the worst of its outputs.
        wraps: the number of the step's output that does not fit, whatever the format; None if all do.
    """

    fraction: int
    bits: int
    error: float
    wraps: int | None = None


def measured(
    program: Program, weights: Mapping[str, Array], samples: Iterable[Mapping[str, Array]], margin: float = MARGIN
) -> Ranges:
    """The bounds of every value, over all samples.

    Args:
        samples: inputs by the names of the program's.

    Raises:
        BadInput: there is no sample, or one does not fit, or gives what is not finite.
    """
    shown = [tensor for step in program.steps for tensor in step.outputs if tensor.number != ABSENT]
    bounds = {constant.tensor.number: _size(bounded(constant.array)) for constant in program.constants}
    bounds |= {port.tensor.number: _size(bounded(weights[port.name])) for port in program.weights}
    given = {port.name: value_name(port.tensor.number) for port in program.inputs}
    count = 0
    with plain_part(program, weights, shown) as part:
        for sample in samples:
            count += 1
            if missing := given.keys() - sample.keys():
                raise BadInput(f"The calibration data lack the input {min(missing)!r}.")
            feeds = {name: np.asarray(sample[port]) for port, name in given.items()}
            for name, array in {**feeds, **part.run(feeds)}.items():
                number = int(name[1:])
                bounds[number] = max(bounds.get(number, 0.0), margin * _size(array))
    if not count:
        raise BadInput("There are no calibration data: give some inputs that are like those to come.")
    return Ranges(bounds, count)


def chosen(program: Program, ranges: Ranges, fraction: int | None = None) -> Format:
    """The format that holds these values.

    Args:
        fraction: bits after the binary point, where a person wants so many; the fewest that are precise enough, if not.
    """
    wanted = fraction
    if wanted is None:
        curved = any(step.operator in _CURVED | _SQUARING for step in program.steps)
        wanted = next((f for f in range(_USUAL, _MOST) if _error(program, ranges, f) <= _PLENTY), _MOST)
        wanted = min(wanted, _MOST_CURVED if curved else _MOST, _room(program, ranges))
    wraps = None
    if _room(program, ranges) < max(wanted, _FEWEST):
        wraps = max(_sums(program, ranges), key=lambda pair: pair[1])[0]
    wanted = max(wanted, _FEWEST)
    return Format(wanted, _bits(program, ranges, wanted), _error(program, ranges, wanted), wraps)


def largest_sum(program: Program, ranges: Ranges) -> float:
    """What sums of products come to: it must stay under 2**(62 - 2 * fraction)."""
    return max((size for _, size in _sums(program, ranges)), default=0.0)


def _room(program: Program, ranges: Ranges) -> int:
    """The most fractional bits with which nothing wraps around."""
    most = max(largest_sum(program, ranges), 2.0**-20)
    by_sums = (62 - math.ceil(math.log2(most) + 1e-9)) // 2
    # A factor that everybody knows has 20 bits, whatever the fraction is (see `mixed.scaled`).
    by_factors = 42 - math.ceil(math.log2(max(ranges.largest(program)[1], 2.0**-20)) + 1e-9)
    return min(by_sums, by_factors, 30)


def _sums(program: Program, ranges: Ranges) -> list[tuple[int, float]]:
    """The number of each real value that comes from outside or is made, and what it, or a sum on the way to it, is."""
    found = [(port.tensor.number, ranges.bounds[port.tensor.number]) for port in (*program.inputs, *program.weights)]
    tensors = {tensor.number: tensor for tensor in _tensors(program)}
    for step in program.steps:
        made = [tensor.number for tensor in step.outputs if tensor.number != ABSENT]
        found += [(number, max(ranges.bounds[number], _inner(step, ranges, tensors))) for number in made]
    return [(number, size) for number, size in found if tensors[number].kind == "number"]


def _inner(step: Step, ranges: Ranges, tensors: Mapping[int, Tensor]) -> float:
    """What a step comes to on the way: a sum of squares, of as many as there are."""
    if step.operator not in _SQUARING:
        return 0.0
    source = tensors[step.inputs[0]]
    return (2 * ranges.bounds[source.number]) ** 2 * (source.shape[-1] if source.shape else 1)


def _error(program: Program, ranges: Ranges, fraction: int) -> float:
    """What the worst output of the worst linear layer is off by, for the rounding of its inputs and weights."""
    tensors = {tensor.number: tensor for tensor in _tensors(program)}
    worst = 0.0
    for step in program.steps:
        if step.operator in _LINEAR and len(step.inputs) > 1 and step.inputs[1] != ABSENT:
            left, right = (tensors[number] for number in step.inputs[:2])
            terms = _terms(step, left, right)
            size = (ranges.bounds[left.number] + ranges.bounds[right.number]) / MARGIN
            worst = max(worst, _WORST * math.sqrt(terms / 12) * size / math.sqrt(3))
    return worst * 2.0**-fraction


def _terms(step: Step, left: Tensor, right: Tensor) -> int:
    """Products that add up to one output."""
    if step.operator in ("Conv", "ConvTranspose"):
        return math.prod(right.shape[1:])
    return left.shape[-1] if left.shape else 1


def _bits(program: Program, ranges: Ranges, fraction: int) -> int:
    """Of comparisons: differences of two values are twice as large as either."""
    most = _ROOM * 2.0**fraction
    for tensor in _tensors(program):
        unit = 2.0**fraction if tensor.kind == "number" else 1.0
        most = max(most, 2 * ranges.bounds[tensor.number] * unit)
    return min(64, math.ceil(math.log2(most + 2)) + 1)


def _tensors(program: Program) -> Iterable[Tensor]:
    yield from program.given()
    for step in program.steps:
        yield from (tensor for tensor in step.outputs if tensor.number != ABSENT)


def _size(array: Array) -> float:
    largest = float(np.abs(np.asarray(array, np.float64)).max(initial=0.0))
    if not math.isfinite(largest):
        raise BadInput("The model gives numbers that are not finite for the calibration data; no format holds those.")
    return largest
