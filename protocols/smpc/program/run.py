"""The steps of a program, taken at each of the three parties in the same order; some of them share their rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.program.bounds import comparison_bits
from protocols.smpc.program.merge import merged
from protocols.smpc.program.mixed import hidden
from protocols.smpc.program.node import Node, Operand, Operator
from protocols.smpc.program.operators import OPERATORS
from protocols.smpc.program.schedule import batches
from protocols.smpc.program.steps import ABSENT, Array, Port, Program, Step, Tensor
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import FixedPoint, Secret

__all__ = ["Public", "Runner", "accept", "node_of", "run_program"]

_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a step raises that no compiler wrote: a wrong number of inputs, shapes that do not fit, axes that are none."""

Public = NDArray[np.generic]
"""What all three parties know: real numbers, integers or truths."""


def accept(program: Program) -> None:
    """See beforehand that a program can be run, whoever compiled it.

    Raises:
        BadInput: it does not hang together, or asks for what cannot be computed on secrets; all of that is named.
    """
    program.check()
    tensors = {tensor.number: tensor for tensor in program.given()}
    known = {constant.tensor.number: constant.array for constant in program.constants}
    refusals = set()
    for step in program.steps:
        tensors.update((tensor.number, tensor) for tensor in step.outputs)
        operator = OPERATORS.get(step.operator)
        if operator is None:
            refusals.add(step.operator)
        elif reason := _refusal(operator, node_of(step, tensors, known, program.opset, program.bits)):
            refusals.add(f"{step.operator} {reason}")
    if refusals:
        raise BadInput(f"This program asks for what is not done on secrets: {', '.join(sorted(refusals))}.")


class Runner:
    """A program made ready once, to be run on many values.

    Args:
        program: as it was compiled.
        fixed: the parties' number format.

    Raises:
        BadInput: the program is refused, see `accept`.
    """

    def __init__(self, program: Program, fixed: FixedPoint) -> None:
        accept(program)
        self._program = program = merged(program)
        self._known = {constant.tensor.number: constant.array for constant in program.constants}
        self._readers = Counter(number for step in program.steps for number in step.inputs)
        self._readers.update(port.tensor.number for port in program.outputs)
        tensors = {tensor.number: tensor for tensor in program.given()}
        bits, self._batches = comparison_bits(program, fixed), []
        for batch in batches(program):
            for _, step in batch:
                tensors.update((tensor.number, tensor) for tensor in step.outputs)
            nodes = [node_of(step, tensors, self._known, program.opset, bits[place]) for place, step in batch]
            self._batches.append(nodes)

    def run(self, party: Party, values: Mapping[str, Secret | Array]) -> dict[str, Secret]:
        """Compute the outputs on shares. To be called at all three parties, with values of the same sorts.

        Args:
            values: every input and every weight of the program, by name: a secret in the format's fixed point (integers
                and truths as they are), or an array that all three know. Either costs what it must: nothing public is
                shared.

        Returns:
            The outputs, by name, as shares. Rounds and bytes depend on the program and on which values are secret, and
            on nothing else.

        Raises:
            BadInput: a value is missing or has another shape, or an operator was given what it cannot work on.
        """
        program, waiting = self._program, self._readers.copy()
        ports = (*program.inputs, *program.weights)
        held: dict[int, Operand] = {port.tensor.number: _given(port, values) for port in ports}
        held.update(self._known)
        for batch in self._batches:
            works = []
            for node in batch:
                operands = [None if number == ABSENT else held[number] for number in node.step.inputs]
                works.append(partial(_taken, party, node, operands))
            for number in (number for node in batch for number in node.step.inputs):
                waiting[number] -= 1
                if not waiting[number]:
                    held.pop(number, None)
            del operands
            for made in party.together(*works):
                held.update(made)
        return {port.name: hidden(party, held[port.tensor.number], port.tensor.kind) for port in program.outputs}


def run_program(program: Program, party: Party, values: Mapping[str, Secret | Array]) -> dict[str, Secret]:
    """Run a program once. See `Runner`."""
    return Runner(program, party.fixed).run(party, values)


def node_of(step: Step, tensors: Mapping[int, Tensor], known: Mapping[int, Array], opset: int, bits: int) -> Node:
    """A step with what surrounds it."""
    inputs = tuple(None if number == ABSENT else tensors[number] for number in step.inputs)
    constants = {place: known[number] for place, number in enumerate(step.inputs) if number in known}
    return Node(step, opset, inputs, constants, bits)


def _refusal(operator: Operator, node: Node) -> str | None:
    try:
        return operator.refusal(node)
    except _MALFORMED as error:
        return f"in a malformed step ({error})"


def _taken(party: Party, node: Node, operands: list[Operand | None]) -> dict[int, Operand]:
    if all(tensor.size == 0 for tensor in node.step.outputs if tensor.number != ABSENT):
        nothing = {tensor.number: np.zeros(tensor.shape, np.uint64) for tensor in node.step.outputs}
        return {number: Secret(zeros, zeros) for number, zeros in nothing.items() if number != ABSENT}
    try:
        result = OPERATORS[node.step.operator].function(party, node, *operands)
    except _MALFORMED as error:
        raise BadInput(
            f"A step ({node.step.operator}) of this program is malformed: {error}; compile again."
        ) from error
    results = result if isinstance(result, tuple) else (result,)
    made: dict[int, Operand] = {}
    for tensor, value in zip(node.step.outputs, results, strict=False):
        if tensor.number == ABSENT:
            continue
        if value.shape != tensor.shape:
            raise BadInput(
                f"{node.step.operator} gave a result of shape {value.shape} where the program says {tensor.shape}: "
                "compile the model again."
            )
        made[tensor.number] = value
    return made


def _given(port: Port, values: Mapping[str, Secret | Array]) -> Operand:
    value = values.get(port.name)
    if value is None or tuple(value.shape) != port.tensor.shape:
        got = "nothing" if value is None else f"the shape {tuple(value.shape)}"
        raise BadInput(f"The program needs {port.name!r} of shape {port.tensor.shape} and was given {got}.")
    if isinstance(value, Secret):
        return value
    return np.asarray(value, {"number": np.float64, "integer": np.int64, "truth": np.bool_}[port.tensor.kind])
