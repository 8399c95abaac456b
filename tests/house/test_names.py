"""Names are nouns for things and verbs for acts, and a file is named for the one thing in it."""

from __future__ import annotations

import ast
import re

from tests.house.source import MODULES, PRODUCT, Function, Module, each_of

EMPTY_WORDS = re.compile(r"Manager|Handler|Helper|Util|Impl(?![a-z])|Abstract|Base(?![a-z])|^I[A-Z][a-z]")
FOREIGN_NAMES = {  # asyncio, click, torch and CrypTen call them so
    "get_buffer", "get_command", "get_future", "get_params", "get_plain_text", "get_rank", "get_world_size",
}  # fmt: skip
HOMELESS = {"base", "common", "constants", "helpers", "misc", "types", "util", "utils"}


@each_of(MODULES)
def test_names_say_something(module: Module) -> None:
    """No word that would fit any class, and no `get_`."""
    assert [] == [cls.name for cls in module.classes if EMPTY_WORDS.search(cls.name)]
    assert [] == [function.name for function in module.functions if _gets(function.name)]


@each_of(MODULES)
def test_no_room_is_for_whatever_is_left_over(module: Module) -> None:
    """A thing without a home is a thing not yet understood."""
    assert module.path.stem not in HOMELESS
    assert module.path.parent.name not in HOMELESS


@each_of(PRODUCT)
def test_every_door_has_a_plaque(module: Module) -> None:
    """Modules, public classes and public functions say what they are for."""
    assert ast.get_docstring(module.tree), "the module has no docstring"
    for node in module.tree.body:
        if isinstance(node, (ast.ClassDef, *Function.__args__)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


@each_of(PRODUCT)
def test_what_is_offered_exists(module: Module) -> None:
    """`__all__` names what the module defines, each once."""
    top = {node.name for node in module.tree.body if isinstance(node, (ast.ClassDef, *Function.__args__))}
    for node in module.tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            top |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            top |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            top.add(node.target.id)
    offered = _offered(module)
    assert len(set(offered)) == len(offered)
    assert "__getattr__" in top or set() == set(offered) - top


def _gets(name: str) -> bool:
    return name.lstrip("_").startswith("get_") and name not in FOREIGN_NAMES


def _offered(module: Module) -> list[str]:
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []
