"""One step as its operator sees it: attributes with their defaults, shapes, kinds, and what is public by design."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.errors import BadInput
from protocols.smpc.program.steps import ABSENT, Array, Kind, Step, Tensor
from protocols.smpc.replicated.sharing import Secret

__all__ = ["Check", "Function", "Node", "Operand", "Operator", "Result", "Table"]

Operand = Secret | Array
"""A secret, or an array that everybody knows: float64, int64 or bool."""

Result = Operand | tuple[Operand, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """A step with its surroundings.

    Attributes:
        step: what the program says.
        opset: the version of the operator set.
        inputs: what it reads; None where an optional input was left out.
        known: the inputs, by position, whose values are constants of the program.
        bits: see `Program.bits`.
    """

    step: Step
    opset: int
    inputs: tuple[Tensor | None, ...]
    known: Mapping[int, Array]
    bits: int = 64

    @property
    def kind(self) -> Kind:
        """Of the first input that is there."""
        return next((tensor.kind for tensor in self.inputs if tensor is not None), "number")

    @property
    def makes(self) -> Tensor:
        """The first output."""
        return self.step.outputs[0]

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """Of an input. Raises BadInput: it was left out."""
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            raise BadInput(f"{self.step.operator} lacks its input number {position + 1}.")
        return tensor.shape

    def has(self, position: int) -> bool:
        return position < len(self.inputs) and self.inputs[position] is not None

    def reads(self, output: int) -> bool:
        """Whether anybody reads an output."""
        return output < len(self.step.outputs) and self.step.outputs[output].number != ABSENT

    def attribute(self, name: str) -> Any:
        return next((value for key, value in self.step.attributes if key == name), None)

    def integer(self, name: str, default: int = 0) -> int:
        return int(self._of((int,), name, default))

    def number(self, name: str, default: float = 0.0) -> float:
        return float(self._of((int, float), name, default))

    def text(self, name: str, default: str = "") -> str:
        return str(self._of((str,), name, default))

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        return tuple(int(value) for value in self._of((tuple,), name, default))

    def listed(self, name: str, position: int) -> tuple[int, ...] | None:
        """Integers that older operator sets have as an attribute and newer ones as a constant input. None: neither."""
        if position in self.known:
            return tuple(int(value) for value in self.known[position].ravel())
        given = self.attribute(name)
        return None if given is None else self.integers(name)

    def axis(self, default: int, position: int = 0) -> int:
        """The attribute `axis`, counted from the front."""
        return self.counted((self.integer("axis", default),), len(self.shape(position)))[0]

    def counted(self, axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
        """Axes counted from the front. Raises BadInput: one that is none."""
        if any(not -rank <= axis < rank for axis in axes):
            raise BadInput(f"{self.step.operator} names the axes {axes} of a tensor that has {rank}.")
        return tuple(axis % rank for axis in axes)

    def _of(self, kinds: tuple[type, ...], name: str, default: Any) -> Any:
        value = self.attribute(name)
        if value is None:
            return default
        if not isinstance(value, kinds):
            raise BadInput(f"The attribute {name!r} of {self.step.operator} is {value!r}, which it cannot be.")
        return value


Function = Callable[..., Result]
"""(party, node, *operands): at every party, in the same order. Operands that were left out are None."""

Check = Callable[[Node], str | None]
"""What this node asks for that is not done on secrets, in a few words; None, if nothing."""


@dataclass(frozen=True)
class Operator:
    """How one operator of ONNX is computed on secrets.

    Attributes:
        function: computes it.
        open: positions of inputs that are part of the architecture, such as a shape: they must be constants.
        check: refuses beforehand.
        kinds: of values, in the inputs that are not open, that it can take.
    """

    function: Function
    open: frozenset[int] = frozenset()
    check: Check | None = None
    kinds: frozenset[Kind] = frozenset(("number",))

    def refusal(self, node: Node) -> str | None:
        """Why this node cannot be computed, in a few words that go on after its name; None, if it can."""
        for position, tensor in enumerate(node.inputs):
            if tensor is None:
                continue
            if position in self.open and position not in node.known:
                return f"with an input {position + 1} that is not a constant"
            if position not in self.open and tensor.kind not in self.kinds:
                return f"of {tensor.kind} values"
        return self.check(node) if self.check else None


Table = Mapping[str, Operator]
