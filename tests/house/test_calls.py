"""What no module does: loose tasks, foreign code from bytes, errors swallowed, state that nobody owns."""

from __future__ import annotations

import ast
import re

from tests.house.source import MODULES, PRODUCT, TESTS, Module, each_of

LOOSE = {"create_task", "ensure_future", "gather", "wait_for"}
LIVE = {"dill", "marshal", "pickle", "shelve", "cloudpickle", "joblib"}
MUTABLE = {"list", "dict", "set", "bytearray", "defaultdict", "deque", "OrderedDict", "Counter", "WeakValueDictionary"}


@each_of(MODULES)
def test_every_task_has_an_owner(module: Module) -> None:
    """Tasks are started in a task group, and time is limited by a scope."""
    for call in module.calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr in LOOSE:
            owner = ast.unparse(call.func.value)
            assert owner != "asyncio", f"line {call.lineno}"
            assert not (call.func.attr == "create_task" and "loop" in owner), f"line {call.lineno}"


@each_of(MODULES)
def test_no_code_is_made_from_data(module: Module) -> None:
    """Nothing is unpickled or evaluated."""
    assert set() == {name for name in module.imports if name.split(".")[0] in LIVE}
    for call in module.calls:
        told = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert ast.unparse(call.func) not in ("eval", "exec", "__import__"), f"line {call.lineno}"
        assert ast.unparse(call.func) != "torch.load" or told.get("weights_only") == "True", f"line {call.lineno}"
        assert told.get("allow_pickle", "False") == "False", f"line {call.lineno}"


@each_of(PRODUCT)
def test_no_error_is_caught_by_chance(module: Module) -> None:
    """Whoever catches, names what; whoever catches everything, passes it on."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = set(re.findall(r"\w+", ast.unparse(node.type) if node.type else "BaseException"))
            passed_on = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert "Exception" not in caught, f"line {node.lineno}"
            assert passed_on or "BaseException" not in caught, f"line {node.lineno}"
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            assert not {"Exception", "BaseException"} & {ast.unparse(argument) for argument in node.args}


@each_of(PRODUCT)
def test_nothing_is_global(module: Module) -> None:
    """No `global`, no `nonlocal`, and nothing at the top of a module that is there to be filled."""
    assert [] == [node.lineno for node in ast.walk(module.tree) if isinstance(node, (ast.Global, ast.Nonlocal))]
    for node in module.tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            assert not _to_be_filled(node.value), f"line {node.lineno}"


@each_of(PRODUCT)
def test_no_input_is_asserted(module: Module) -> None:
    """An assert disappears under -O, and says nothing to anybody."""
    assert [] == [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Assert)]


@each_of(PRODUCT)
def test_nothing_is_printed(module: Module) -> None:
    """What a person is to read goes through the command line's screen or the log."""
    assert [] == [call.lineno for call in module.calls if ast.unparse(call.func) == "print"]


@each_of(TESTS)
def test_no_test_sleeps_on_a_real_clock(module: Module) -> None:
    """A test that sleeps is slow on a good day and wrong on a bad one."""
    if not module.name.startswith("tests.bench"):
        assert [] == [call.lineno for call in module.calls if ast.unparse(call.func) in ("time.sleep", "sleep")]


def _to_be_filled(value: ast.expr) -> bool:
    match value:
        case ast.List(elts=[]) | ast.Dict(keys=[]):
            return True
        case ast.Call(func=func, args=[], keywords=[]):
            return ast.unparse(func).split("[")[0].split(".")[-1] in MUTABLE
    return False
