"""Steps that are cheaper done as one, put together right before they are run. Pure: a program in, a program out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from protocols.smpc.program.steps import ABSENT, Program, Step

__all__ = ["AT_LEAST_ZERO", "merged"]

AT_LEAST_ZERO = "at_least_zero"
"""An attribute of a merged MaxPool: zero is a candidate in every window."""


def merged(program: Program) -> Program:
    """A Relu that alone reads a MaxPool becomes one more candidate in each of its windows: comparisons side by side."""
    readers = Counter(number for step in program.steps for number in step.inputs)
    readers.update(port.tensor.number for port in program.outputs)
    relus = {step.inputs[0]: step for step in program.steps if step.operator == "Relu" and step.inputs}
    joined = {
        step.outputs[0].number: relus[step.outputs[0].number]
        for step in program.steps
        if step.operator == "MaxPool" and _alone(step) and readers[step.outputs[0].number] == 1
        if step.outputs[0].number in relus
    }
    gone = {id(relu) for relu in joined.values()}
    steps = []
    for step in program.steps:
        if id(step) in gone:
            continue
        if step.operator == "MaxPool" and (relu := joined.get(step.outputs[0].number)) is not None:
            attributes = (*step.attributes, (AT_LEAST_ZERO, 1))
            steps.append(replace(step, outputs=relu.outputs, attributes=attributes))
        else:
            steps.append(step)
    return replace(program, steps=tuple(steps))


def _alone(step: Step) -> bool:
    """Whether nobody asks where the largest stands."""
    return all(tensor.number == ABSENT for tensor in step.outputs[1:])
