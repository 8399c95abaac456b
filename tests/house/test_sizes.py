"""Small rooms."""

from __future__ import annotations

import ast
import statistics

import pytest

from tests.house.source import MODULES, PRODUCT, Function, Module, each_of


def _lines(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


@each_of(MODULES)
def test_no_room_is_too_large(module: Module) -> None:
    """A file has at most 400 lines, a function at most 60."""
    assert module.text.count("\n") <= 400
    assert [] == [function.name for function in module.functions if _lines(function) > 60]


@each_of(PRODUCT)
def test_nothing_is_made_of_too_many_things(module: Module) -> None:
    """A constructor takes at most six things."""
    for cls in module.classes:
        for function in cls.body:
            if isinstance(function, ast.FunctionDef) and function.name == "__init__":
                taken = [*function.args.posonlyargs, *function.args.args[1:], *function.args.kwonlyargs]
                assert len(taken) <= 6, f"{cls.name} takes {len(taken)}"


def test_rooms_are_small_on_the_whole(record_property: pytest.RecordProperty) -> None:
    """The median file has at most 150 lines and the median function at most 8; 95 functions in 100 have at most 45."""
    files = [module.text.count("\n") for module in PRODUCT if module.path.name != "__init__.py"]
    functions = [_lines(function) for module in PRODUCT for function in module.functions]
    figures = {
        "median file": statistics.median(files),
        "largest file": max(files),
        "median function": statistics.median(functions),
        "95 % of functions": statistics.quantiles(functions, n=20)[-1],
    }
    for name, figure in figures.items():
        record_property(name, figure)
    assert figures["median file"] <= 150, figures
    assert figures["median function"] <= 8, figures
    assert figures["95 % of functions"] <= 45, figures
