"""Which steps of a program share their rounds. Pure: a program in, steps in batches out."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.smpc.program.operators.movement import MOVEMENT
from protocols.smpc.program.steps import ABSENT, Program, Step

__all__ = ["Placed", "batches"]

_SILENT = frozenset({*MOVEMENT, "Add", "Sub", "Neg", "Sum", "ReduceSum"})
"""Operators that send nothing, whatever is secret: they wait for nobody, and nobody needs to be merged with them."""


Placed = tuple[int, Step]
"""A step, and its place in the program."""


def batches(program: Program) -> Iterator[tuple[Placed, ...]]:
    """All steps, those that do not need each other's results and may talk in one batch; silent ones one by one.

    A step is done as soon as what it reads is there. So the rounds of a program are those of its longest path, and more
    only where steps of one batch differ in length.
    """
    levels: dict[int, int] = {tensor.number: 0 for tensor in program.given()}
    talking: dict[int, list[Placed]] = {}
    silent: dict[int, list[Placed]] = {}
    for place, step in enumerate(program.steps):
        level = max((levels[number] for number in step.inputs if number != ABSENT), default=0)
        quiet = step.operator in _SILENT
        level += not quiet
        (silent if quiet else talking).setdefault(level, []).append((place, step))
        levels.update((tensor.number, level) for tensor in step.outputs)
    for level in range(max(levels.values(), default=0) + 1):
        if level in talking:
            yield tuple(talking[level])
        for placed in silent.get(level, ()):
            yield (placed,)
