"""A model becomes a program: on its owner's device, where the weights are known and stay.

A model that cannot run on secrets is refused here, before anybody starts, with every operator that stands in the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, numpy_helper

from mesh.errors import BadInput
from protocols.runtimes.models import parse
from protocols.smpc.program.fold import Folded, fold, shaped, spelled_out
from protocols.smpc.program.mixed import bounded
from protocols.smpc.program.node import Node, Operator
from protocols.smpc.program.operators import OPERATORS
from protocols.smpc.program.rewrite import rewritten
from protocols.smpc.program.run import node_of
from protocols.smpc.program.steps import ABSENT, Array, Attribute, Constant, Kind, Port, Program, Step, Tensor

__all__ = ["Compiled", "compile_model"]

_OPEN = 65_536
"""Elements of the largest constant that is told to everybody."""

_SMALL = 16
"""Elements of the largest open constant of real numbers; a longer one is treated as a weight."""


@dataclass(frozen=True)
class Compiled:
    """A model for three parties.

    Attributes:
        program: what everybody may know.
        weights: float32, by the names of the program's weights; for the owner's eyes.
        names: what the model calls the values of the program, by their numbers; for the owner's eyes.
    """

    program: Program
    weights: Mapping[str, NDArray[np.float32]]
    names: Mapping[int, str] = field(default_factory=dict)


def compile_model(source: bytes, *, shapes: Mapping[str, Sequence[int]] | None = None, bits: int = 64) -> Compiled:
    """An ONNX model as a program for inputs of fixed shapes, and its weights apart.

    Args:
        shapes: of inputs that have none of their own, or another one.
        bits: see `Program.bits`.

    Raises:
        BadInput: this is no model that ONNX Runtime can run, a shape is lacking, or operators are asked for that cannot
            be computed on secrets: all of them are named.
    """
    try:
        folded = fold(spelled_out(shaped(source, shapes or {}), OPERATORS))
    except BadInput as error:
        if strangers := sorted({node.op_type for node in parse(source).graph.node} - set(OPERATORS) - _FOLDABLE):
            raise _refused(strangers) from error
        raise
    return _Builder(rewritten(folded), bits).compiled()


_FOLDABLE = frozenset(("Constant", "ConstantOfShape", "Range", "Loop", "If", "Scan", "NonZero"))
"""Operators that may well disappear once shapes are known."""


@dataclass
class _Builder:
    """Numbers the values of a model in the order in which they come up."""

    folded: Folded
    bits: int
    numbers: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    ports: list[Port] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    refusals: set[str] = field(default_factory=set)

    def compiled(self) -> Compiled:
        inputs = tuple(Port(name, self._new(name, self.folded.examples[name])) for name in self.folded.inputs)
        steps = tuple(step for node in self.folded.nodes if (step := self._step(node)) is not None)
        if self.refusals:
            raise _refused(sorted(self.refusals))
        outputs = tuple(Port(name, self._tensor(name, openly=False)) for name in self.folded.outputs)
        program = Program(
            self.folded.opset, inputs, tuple(self.ports), tuple(self.constants), steps, outputs, self.bits
        )
        program.check()
        names = {tensor.number: label.partition("\0")[0] for label, tensor in self.numbers.items()}
        return Compiled(program, self.weights, names)

    def _step(self, node: NodeProto) -> Step | None:
        """The step; None for a node that is refused. What that would have made is numbered all the same."""
        operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        try:
            outputs = tuple(self._made(node, name) for name in node.output)
            if operator is None:
                self.refusals.add(node.op_type)
                return None
            inputs = [
                self._tensor(name, openly=place in operator.open).number if name else ABSENT
                for place, name in enumerate(node.input)
            ]
            attributes = tuple((each.name, _attribute(node, each)) for each in node.attribute)
        except _Strange as error:
            self.refusals.add(f"{node.op_type} {error}")
            return None
        step = Step(node.op_type, tuple(inputs), outputs, attributes)
        if all((number != ABSENT) == bool(name) for number, name in zip(inputs, node.input, strict=True)):
            self._refuse(step, operator)
        return step

    def _refuse(self, step: Step, operator: Operator) -> None:
        tensors = {tensor.number: tensor for tensor in self.numbers.values()}
        told = (constant for constant in self.constants if constant.tensor.number in step.inputs)
        known = {constant.tensor.number: constant.array for constant in told}
        node: Node = node_of(step, tensors, known, self.folded.opset, self.bits)
        if reason := operator.refusal(node):
            self.refusals.add(f"{step.operator} {reason}")

    def _made(self, node: NodeProto, name: str) -> Tensor:
        if not name or name not in self._wanted:
            return _NOBODY
        try:
            if name not in self.folded.examples:
                raise _Strange("of what is no tensor")
            return self._new(name, self.folded.examples[name])
        except _Strange as error:
            self.numbers[name] = _NOBODY
            self.refusals.add(f"{node.op_type} {error}")
            return _NOBODY

    @cached_property
    def _wanted(self) -> frozenset[str]:
        """What a node or the outside reads."""
        return frozenset((*self.folded.outputs, *(name for node in self.folded.nodes for name in node.input)))

    def _tensor(self, name: str, *, openly: bool) -> Tensor:
        """The value of that name; a constant is declared the first time it is read, openly or as a weight."""
        if name not in self.folded.constants:
            return self.numbers[name]
        array = self.folded.constants[name]
        kind = _kind(array)
        openly = openly or (name in self.folded.open and (kind != "number" or array.size <= _SMALL))
        label = f"{name}\0{'open' if openly else 'weight'}"
        if label in self.numbers:
            return self.numbers[label]
        tensor = self._new(label, array)
        if openly:
            if array.size > _OPEN:
                raise _Strange(f"with a constant of {array.size:,} elements, more than everybody is told")
            self.constants.append(Constant(tensor, tuple(array.ravel().tolist())))
        else:
            port = Port(f"{self._prefix}{len(self.ports)}", tensor)
            self.ports.append(port)
            self.weights[port.name] = bounded(array).astype(np.float32)
        return tensor

    @property
    def _prefix(self) -> str:
        prefix = "w"
        while any(name.startswith(prefix) for name in self.folded.inputs):
            prefix += "_"
        return prefix

    def _new(self, name: str, array: Array) -> Tensor:
        tensor = Tensor(len(self.numbers), _kind(array), array.shape)
        self.numbers[name] = tensor
        return tensor


_NOBODY = Tensor(ABSENT, "number", ())


class _Strange(Exception):
    """Something that no program says. Its text goes on after the operator's name."""


def _kind(array: Array) -> Kind:
    if array.dtype.kind == "b":
        return "truth"
    if array.dtype.kind in "iu":
        return "integer"
    if array.dtype.kind == "f":
        return "number"
    raise _Strange(f"of {array.dtype} values")


def _attribute(node: NodeProto, attribute: AttributeProto) -> Attribute:
    if attribute.type == AttributeProto.TENSOR:
        array = numpy_helper.to_array(attribute.t)
        return tuple(array.ravel().tolist())
    value: Any = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(each, (int, float)) for each in value):
        return tuple(value)
    if isinstance(value, (list, tuple)) and all(isinstance(each, bytes) for each in value):
        return tuple(each.decode(errors="replace") for each in value)
    raise _Strange(f"with a {attribute.name} that is a graph")


def _refused(what: Sequence[str]) -> BadInput:
    return BadInput(
        f"This model cannot run on secrets because of {', '.join(what)}: replace them, or run that part on its owner's "
        "device."
    )
