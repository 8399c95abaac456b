"""Inputs of a model, read from files: arrays of numbers, pictures, clips."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from mesh.store.catalogue import Manifest, Port
from mesh.tensors import Tensors
from protocols.arrays import tensors_of
from protocols.pictures import Recipe, open_picture

__all__ = ["READS", "read_inputs"]

Array = NDArray[Any]

_PICTURES = (".png", ".jpg", ".jpeg")
_CLIPS = (".mp4", ".mov", ".mkv", ".avi")

READS = (".npy", ".npz", *_PICTURES, *_CLIPS)
"""Files that inputs are read from."""


def read_inputs(source: Path, manifest: Manifest) -> Iterator[Tensors]:
    """A model's inputs in a file, one after the other; nothing is read ahead. Raises BadInput as `Workshop.read`."""
    suffix = source.suffix.lower()
    if suffix in (".npy", ".npz"):
        return _read_arrays(source, manifest)
    if suffix not in READS:
        raise BadInput(f"{source} is no file that inputs are read from: those are {', '.join(READS)}.")
    return _read_pictures(source, _recipe(manifest), clip=suffix in _CLIPS)


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
