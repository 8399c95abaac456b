"""Answers of a model, written to a file as they come. What has come lies on disk, not in memory."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from mesh.errors import BadInput
from mesh.tensors import Tensors

__all__ = ["SUFFIXES", "write_answers"]

SUFFIXES = (".npz", ".npy")


@dataclass(slots=True)
class _Column:
    """One output of the model: what it was for each answer, bytes one after the other in a file."""

    dtype: str
    file: IO[bytes]
    shapes: list[tuple[int, ...]] = field(default_factory=list)


def write_answers(target: Path, answers: Iterable[Tensors]) -> int:
    """Write answers to an .npz or .npy file, and say how many there were. The file is there whole or not at all.

    Each output becomes one array with an axis for the answers in front. An output whose shape differs from answer to
    answer becomes one array each: "boxes.0", "boxes.1" and so on.

    Raises:
        BadInput: the file cannot be written, or an .npy is to hold what is not one array.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{target}: answers are written to {' or '.join(SUFFIXES)} files.")
    try:
        with ExitStack() as stack:
            columns: dict[str, _Column] = {}
            count = 0
            for answer in answers:
                for name, tensor in answer.items():
                    if name not in columns:
                        draft = stack.enter_context(tempfile.TemporaryFile(dir=target.parent))
                        columns[name] = _Column(tensor.dtype, draft)
                    columns[name].file.write(tensor.data)
                    columns[name].shapes.append(tensor.shape)
                count += 1
            with _replacing(target) as file:
                _write(target, file, columns)
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}.") from error
    return count


def _write(target: Path, file: IO[bytes], columns: dict[str, _Column]) -> None:
    if target.suffix.lower() == ".npy":
        if len(columns) != 1 or len(set(next(iter(columns.values())).shapes)) != 1:
            raise BadInput(f"{target} can hold one array only, and these answers are more: write an .npz file.")
        for _, dtype, shape, source in _arrays(columns):
            _write_array(file, dtype, shape, source)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, dtype, shape, source in _arrays(columns):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                _write_array(entry, dtype, shape, source)


def _arrays(columns: dict[str, _Column]) -> Iterator[tuple[str, np.dtype[np.generic], tuple[int, ...], IO[bytes]]]:
    """Name, dtype and shape of every array to write, and a file that stands where its bytes begin."""
    for name, column in columns.items():
        dtype = np.dtype(column.dtype).newbyteorder("<")
        column.file.seek(0)
        if len(set(column.shapes)) == 1:
            yield name, dtype, (len(column.shapes), *column.shapes[0]), column.file
        else:
            for at, shape in enumerate(column.shapes):
                yield f"{name}.{at}", dtype, shape, column.file


def _write_array(out: IO[bytes], dtype: np.dtype[np.generic], shape: tuple[int, ...], source: IO[bytes]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    left = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    while left:
        piece = source.read(min(left, 2**20))
        out.write(piece)
        left -= len(piece)


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".draft-", delete=False) as draft:
        try:
            yield draft
            draft.flush()
            Path(draft.name).chmod(0o644)
            shutil.move(draft.name, target)
        finally:
            Path(draft.name).unlink(missing_ok=True)
