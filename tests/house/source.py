"""The house as its inspectors read it: every module, its syntax tree, and what it imports."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["MODULES", "OURS", "PRODUCT", "ROOT", "TESTS", "Function", "Module", "each_of"]

ROOT = Path(__file__).parents[2]
OURS = ("mesh", "protocols", "scenarios")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of Python."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Every module that this one imports, those for type checkers and those inside functions included."""
        return frozenset(self._imports())

    @property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    @property
    def classes(self) -> list[ast.ClassDef]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]

    @property
    def calls(self) -> list[ast.Call]:
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]

    def _imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                whence = self._whence(node)
                # `from package import module` imports the module, and `from module import name` only the module.
                yield from (_deepest(f"{whence}.{alias.name}", whence) for alias in node.names)

    def _whence(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".") if self.path.name == "__init__.py" else self.name.split(".")[:-1]
        base = package[: len(package) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])


def _deepest(module: str, whence: str) -> str:
    return module if _is_file(module) else whence


def _is_file(module: str) -> bool:
    if module.split(".", maxsplit=1)[0] not in OURS:
        return False
    place = ROOT.joinpath(*module.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _read(folder: str) -> list[Module]:
    found = []
    for path in sorted((ROOT / folder).glob("**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found.append(Module(path, ".".join(part for part in parts if part != "__init__")))
    return found


PRODUCT = [module for folder in OURS for module in _read(folder)]
"""Everything that is shipped."""

TESTS = _read("tests")

MODULES = [*PRODUCT, *TESTS]


def each_of(modules: Iterable[Module]) -> Callable[[Callable[[Module], None]], Callable[[], None]]:
    """Make one test of an inspection of many modules, which reports on all that do not pass."""

    def among(inspection: Callable[[Module], None]) -> Callable[[], None]:
        def test() -> None:
            wrong = []
            for module in modules:
                try:
                    inspection(module)
                except AssertionError as error:
                    wrong.append(f"{module.name}: {error}")
            assert not wrong, "\n\n".join(wrong)

        test.__name__, test.__doc__ = inspection.__name__, inspection.__doc__
        return test

    return among
