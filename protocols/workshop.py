"""The workshops for ONNX models: prepare them for protocols, read inputs from files, and write answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from mesh.store.catalogue import Manifest, Port
from mesh.tensors import Tensors
from mesh.workshop import Option, Prepared, Workshop
from protocols.answers import SUFFIXES, write_answers
from protocols.arrays import tensors_of
from protocols.pictures import Recipe, open_picture, recipe_for

if TYPE_CHECKING:
    from protocols.runtimes.onnx import Port as RuntimePort
    from protocols.sharded.segments import TensorInfo

__all__ = ["OnnxWorkshop", "PrivateWorkshop"]

Array = NDArray[Any]

_PICTURES = (".png", ".jpg", ".jpeg")
_CLIPS = (".mp4", ".mov", ".mkv", ".avi")

_MODES: Mapping[str, Mapping[str, Any]] = {"local": {"where": "here", "parts": 1}, "sharded": {"where": "anywhere"}}
"""Ways to run a model: fields of `ShardedSpec` that each of them settles."""

_PRIVATE_MODES: Mapping[str, Mapping[str, Any]] = {"private": {"secret": "both"}}
"""The same, of `PrivateSpec`."""

_DTYPES = {"number": "float32", "integer": "int64", "truth": "bool"}


class OnnxWorkshop(Workshop):
    """Makes models for the protocol `sharded`."""

    suffixes = (".onnx",)
    reads = (".npy", ".npz", *_PICTURES, *_CLIPS)
    writes = SUFFIXES
    options = (
        Option("image", "rgb|bgr|gray", "Order of colours that the model was trained on. Default: rgb, or gray."),
        Option("scale", "NUMBER", "What pixels of 0 to 255 are multiplied by. Default: 1/255, or 1 for whole numbers."),
        Option("mean", "A[,B,C]", "Subtracted after scaling, for each channel or all. Default: 0."),
        Option("std", "A[,B,C]", "Divided by after that. Default: 1."),
        Option("layout", "nchw|nhwc", "How a picture lies in the input. Default: by the input's shape."),
        Option("fit", "stretch|letterbox|corner", "How a picture fills the input. Default: stretch."),
        Option("size", "HEIGHTxWIDTH", "What free sides of the input are. Default: as in each picture."),
        Option("shape", "INPUT=AxBx...", "Shape of an input in a typical request, where the model leaves it open."),
    )

    def prepare(self, source: Path, *, name: str, options: Mapping[str, str]) -> Prepared:
        from protocols.sharded import prepare as sharded

        self._expect_known(options)
        whole = _bytes(source)
        prepared = sharded.prepare(whole, _sample(whole, options))
        inputs, outputs = (tuple(map(_port, infos)) for infos in (prepared.info.inputs, prepared.info.outputs))
        recipe = recipe_for(inputs, options)
        refs = [BlobRef.of(blob) for blob in prepared.blobs]
        manifest = Manifest(
            name=name,
            protocol="sharded",
            source=BlobRef.of(whole),
            blobs=tuple(refs),
            inputs=inputs,
            outputs=outputs,
            spec=msgspec.to_builtins({"model": prepared.info, "blobs": refs}),
            notes=msgspec.to_builtins({"modes": _MODES, "image": recipe} if recipe else {"modes": _MODES}),
        )
        return Prepared(manifest, {ref.digest: blob for ref, blob in zip(refs, prepared.blobs, strict=True)})

    def read(self, source: Path, manifest: Manifest) -> Iterator[Tensors]:
        suffix = source.suffix.lower()
        if suffix in (".npy", ".npz"):
            return _read_arrays(source, manifest)
        if suffix not in self.reads:
            raise BadInput(f"{source} is no file that inputs are read from: those are {', '.join(self.reads)}.")
        return _read_pictures(source, _recipe(manifest), clip=suffix in _CLIPS)

    def write(self, target: Path, answers: Iterable[Tensors]) -> int:
        return write_answers(target, answers)

    def _expect_known(self, options: Mapping[str, str]) -> None:
        if unknown := options.keys() - {option.name for option in self.options}:
            known = ", ".join(option.name for option in self.options)
            raise BadInput(f"There is no option {min(unknown)[:40]!r} for ONNX models: there are {known}.")


class PrivateWorkshop(OnnxWorkshop):
    """Makes the same models for the protocol `private`. What it makes has one shape; a batch left open becomes 1."""

    on_request = True

    def prepare(self, source: Path, *, name: str, options: Mapping[str, str]) -> Prepared:
        from protocols.smpc.dealing import pack_weights
        from protocols.smpc.program.compile import compile_model

        self._expect_known(options)
        whole = _bytes(source)
        declared = {port.name: port for port in _declared(whole)}
        ones = {name: (1, *port.shape[1:]) for name, port in declared.items() if port.shape[:1] == (-1,)}
        shapes = {name: sides for name, sides in ones.items() if min(sides) >= 0} | _named_shapes(whole, options)
        compiled = compile_model(whole, shapes=shapes)
        program = compiled.program
        inputs = tuple(Port(port.name, declared[port.name].dtype, port.tensor.shape) for port in program.inputs)
        recipe = recipe_for(inputs, options)
        weights = pack_weights(program.weights, compiled.weights)
        ref = BlobRef.of(weights)
        manifest = Manifest(
            name=name,
            protocol="private",
            source=BlobRef.of(whole),
            blobs=(ref,),
            inputs=inputs,
            outputs=tuple(Port(port.name, _DTYPES[port.tensor.kind], port.tensor.shape) for port in program.outputs),
            spec=msgspec.to_builtins({"program": program, "weights": ref}),
            notes=msgspec.to_builtins({"modes": _PRIVATE_MODES, **({"image": recipe} if recipe else {})}),
        )
        return Prepared(manifest, {ref.digest: weights})


def _read_pictures(source: Path, recipe: Recipe, *, clip: bool) -> Iterator[Tensors]:
    if not clip:
        yield tensors_of(recipe(open_picture(source)))
        return
    from protocols.clips import frames_of

    for frame in frames_of(source):
        yield tensors_of(recipe(frame))


def _read_arrays(source: Path, manifest: Manifest) -> Iterator[Tensors]:
    columns = {name: _requests(array, _input(manifest, name)) for name, array in _load(source, manifest)}
    if missing := [port.name for port in manifest.inputs if port.name not in columns]:
        raise BadInput(f"{source} has no array {missing[0]!r}, which {manifest.name} takes.")
    if len({len(column) for column in columns.values()}) != 1:
        counts = ", ".join(f"{len(column)} of {name!r}" for name, column in columns.items())
        raise BadInput(f"{source} does not hold as many of each input: {counts}.")
    for at in range(len(next(iter(columns.values())))):
        yield tensors_of({name: column[at] for name, column in columns.items()})


def _load(source: Path, manifest: Manifest) -> Iterator[tuple[str, Array]]:
    try:
        loaded = np.load(source, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if len(manifest.inputs) != 1:
                names = ", ".join(port.name for port in manifest.inputs)
                raise BadInput(f"{manifest.name} takes {names}: give an .npz file with an array for each.")
            yield manifest.inputs[0].name, loaded
            return
        with loaded:
            for name in loaded.files:
                yield name, loaded[name]
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{source} cannot be read as arrays of numbers: {error}.") from error


def _requests(array: Array, port: Port) -> Array:
    """One request along each step of the first axis."""
    if array.dtype.name != port.dtype:
        raise BadInput(f"{port.name!r} takes {port.dtype}, not {array.dtype.name}: convert it with .astype.")
    if array.ndim == len(port.shape) + 1:
        return array
    if array.ndim != len(port.shape):
        raise BadInput(f"{port.name!r} takes {list(port.shape)} (-1: any), or a row of those; not {list(array.shape)}.")
    # A model that takes one at a time, and an array of many.
    batches = array.ndim > 0 and port.shape[0] == 1 and array.shape[0] > 1
    return array[:, None] if batches else array[None]


def _input(manifest: Manifest, name: str) -> Port:
    for port in manifest.inputs:
        if port.name == name:
            return port
    raise BadInput(f"{manifest.name} takes no {name!r}: it takes {', '.join(port.name for port in manifest.inputs)}.")


def _recipe(manifest: Manifest) -> Recipe:
    if "image" not in manifest.notes:
        raise BadInput(f"{manifest.name} takes no picture as far as its file tells: give arrays, in an .npz file.")
    try:
        return msgspec.convert(manifest.notes["image"], Recipe)
    except msgspec.ValidationError as error:
        raise BadInput(f"How {manifest.name} takes pictures is damaged ({error}): add the model again.") from error


def _sample(whole: bytes, options: Mapping[str, str]) -> dict[str, Array] | None:
    """Inputs of the shapes that a person named; None where nobody did."""
    if not options.keys() & {"shape", "size"}:
        return None
    from protocols.runtimes.models import parse
    from protocols.sharded.prepare import sample_of

    model = parse(whole)
    inputs = {value.name: value for value in model.graph.input}
    for name, sides in _named_shapes(whole, options).items():
        for dim, side in zip(inputs[name].type.tensor_type.shape.dim, sides, strict=False):
            dim.dim_value = side
    return sample_of(model)


def _declared(whole: bytes) -> list[Port]:
    """The inputs that a model's file declares, weights left out."""
    from protocols.runtimes import onnx
    from protocols.runtimes.models import parse

    model = parse(whole)
    weights = {tensor.name for tensor in model.graph.initializer}
    return [_port(onnx.Port.of(value)) for value in model.graph.input if value.name not in weights]


def _named_shapes(whole: bytes, options: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs that a person named, or the size of pictures for. Raises BadInput: no input is called so."""
    if not options.keys() & {"shape", "size"}:
        return {}
    inputs = _declared(whole)
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


def _port(info: TensorInfo | RuntimePort) -> Port:
    return Port(info.name, info.dtype, tuple(side if isinstance(side, int) else -1 for side in info.shape or ()))


def _bytes(source: Path) -> bytes:
    from protocols.sharded.graph import source_bytes

    return source_bytes(source)
