"""What goes into a model and comes out of it: as its file declares it, and as a person says it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.errors import BadInput
from mesh.store.catalogue import Port
from protocols.pictures import recipe_for

if TYPE_CHECKING:
    from protocols.runtimes.onnx import Port as RuntimePort
    from protocols.sharded.segments import TensorInfo

__all__ = ["declared", "named_shapes", "port_of", "whole_file"]


def declared(whole: bytes) -> list[Port]:
    """The inputs that a model's file declares, weights left out."""
    from protocols.runtimes import onnx
    from protocols.runtimes.models import parse

    model = parse(whole)
    weights = {tensor.name for tensor in model.graph.initializer}
    return [port_of(onnx.Port.of(value)) for value in model.graph.input if value.name not in weights]


def named_shapes(whole: bytes, options: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs that a person named, or the size of pictures for. Raises BadInput: no input is called so."""
    if not options.keys() & {"shape", "size"}:
        return {}
    inputs = declared(whole)
    recipe = recipe_for(inputs, options)
    shapes: dict[str, tuple[int, ...]] = {recipe.input: recipe.shape} if recipe and all(recipe.size) else {}
    shapes |= dict(_shape(word) for word in options.get("shape", "").split(",") if word)
    if strangers := shapes.keys() - {port.name for port in inputs}:
        known = ", ".join(port.name for port in inputs)
        raise BadInput(f"--shape: the model has no input {min(strangers)!r}: it has {known}.")
    return shapes


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sides = text.rpartition("=")
    words = sides.lower().split("x")
    if not name or not all(word.isdigit() for word in words):
        raise BadInput(f"--shape {text[:40]!r} is none: write for instance images=1x3x416x416.")
    return name, tuple(map(int, words))


def port_of(info: TensorInfo | RuntimePort) -> Port:
    """As a manifest says it."""
    return Port(info.name, info.dtype, tuple(side if isinstance(side, int) else -1 for side in info.shape or ()))


def whole_file(source: Path) -> bytes:
    """The model in a file, and what lies beside it. Raises BadInput: it cannot be read."""
    from protocols.sharded.graph import source_bytes

    return source_bytes(source)
