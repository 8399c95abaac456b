"""What the parties are to compute: steps, shapes and public constants. Plain data, small enough for a plan.

A program says openly what kind of network it is: operators, shapes, integer and truth constants, and the few real
numbers that stand in the architecture (an exponent, the bounds of a Clip, the literals of the graph's source). It holds
no weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput

__all__ = ["ABSENT", "LARGEST", "Attribute", "Constant", "Kind", "Port", "Program", "Step", "Tensor"]

Kind = Literal["number", "integer", "truth"]
"""Real numbers, held in fixed point; integers, held as they are; 0 and 1."""

Attribute = int | float | str | tuple[int | float | str, ...]

ABSENT = -1
"""The number of a value that is not there: an optional input left out, an output that nobody reads."""

LARGEST = 2**28
"""Elements of the largest tensor that a party agrees to compute: 2 GiB a share."""

Array = NDArray[Any]

_DTYPES: dict[Kind, Any] = {"number": np.float64, "integer": np.int64, "truth": np.bool_}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the program.

    Attributes:
        number: what steps call it.
        kind: how it is held.
        shape: of the array; every dimension is known.
    """

    number: int
    kind: Kind
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Port:
    """A value that comes from outside or leaves, and its name there."""

    name: str
    tensor: Tensor


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that everybody knows, in row-major order."""

    tensor: Tensor
    values: tuple[int | float, ...]

    @property
    def array(self) -> Array:
        """float64, int64 or bool. Raises BadInput: as many values as the shape says are not there."""
        if len(self.values) != self.tensor.size:
            raise BadInput(f"A constant of shape {self.tensor.shape} has {len(self.values)} values; compile again.")
        return np.array(self.values, _DTYPES[self.tensor.kind]).reshape(self.tensor.shape)


@dataclass(frozen=True, slots=True)
class Step:
    """One operator, applied once.

    Attributes:
        operator: its name in ONNX.
        inputs: numbers of the values it reads, `ABSENT` among them.
        outputs: what it makes; an output that nobody reads is `ABSENT`.
        attributes: name and value, as in ONNX.
    """

    operator: str
    inputs: tuple[int, ...]
    outputs: tuple[Tensor, ...]
    attributes: tuple[tuple[str, Attribute], ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """What the three parties compute, in this order.

    Attributes:
        opset: the version of ONNX's operator set that the steps are to be read by.
        inputs: what the owner of the input brings.
        weights: what the owner of the model brings.
        constants: what everybody knows.
        outputs: what is left to the receivers. An output may be an input, a weight or a constant.
        bits: values and their differences stay under 2**(bits - 1) units where they are compared. Fewer than 64 make
            comparisons cheaper; that values keep to it is then the promise of whoever chose it.
    """

    opset: int
    inputs: tuple[Port, ...]
    weights: tuple[Port, ...]
    constants: tuple[Constant, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Port, ...]
    bits: int = 64

    def given(self) -> Iterator[Tensor]:
        """What is known, or held as shares, before the first step."""
        yield from (port.tensor for port in (*self.inputs, *self.weights))
        yield from (constant.tensor for constant in self.constants)

    def check(self) -> None:
        """See that the program hangs together, wherever it came from. Says nothing of what operators demand.

        Raises:
            BadInput: a value is made twice or read before it is made, two ports share a name, or a tensor is too large.
        """
        names = [port.name for port in (*self.inputs, *self.weights)]
        if len(set(names)) != len(names) or len({port.name for port in self.outputs}) != len(self.outputs):
            raise BadInput("Two inputs, weights or outputs of this program have one name; compile it again.")
        made: dict[int, Tensor] = {}
        for tensor in self.given():
            _make(made, tensor)
        for step in self.steps:
            for number in step.inputs:
                if number != ABSENT and number not in made:
                    raise BadInput(f"A step ({step.operator}) reads what nothing before it makes; compile again.")
            for tensor in step.outputs:
                if tensor.number != ABSENT:
                    _make(made, tensor)
        for port in self.outputs:
            if made.get(port.tensor.number) != port.tensor:
                raise BadInput(f"Nothing in this program makes its output {port.name!r}; compile it again.")
        if not 2 <= self.bits <= 64:
            raise BadInput(f"Values are compared on 2 to 64 bits, not {self.bits}.")


def _make(made: dict[int, Tensor], tensor: Tensor) -> None:
    if tensor.number in made or tensor.number < 0:
        raise BadInput(f"The program makes value {tensor.number} twice; compile it again.")
    if min(tensor.shape, default=0) < 0 or tensor.size > LARGEST:
        raise BadInput(f"A tensor of shape {tensor.shape} is none that is computed: at most {LARGEST:,} elements.")
    made[tensor.number] = tensor
