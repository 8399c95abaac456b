"""An owner's file, read and made ready to be shared: CSV with a line of names, or NPZ. Nothing of it leaves this room.

CSV     a column `id`, if rows are to be aligned; the label's; and numbers
NPZ     arrays `id`, the label's name, and `x`: (rows, columns), or (rows, ...) laid flat
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.training.losses import LossKind
from protocols.smpc.training.spec import MOST_NUMBERS, MOST_ROWS, Holding, TrainingSpec

__all__ = ["Rows", "rows_of"]

Numbers = NDArray[np.float64]
_FLAT = 1e-9  # deviations under which a column counts as constant


@dataclass(frozen=True, eq=False)
class Rows:
    """What one owner brings in.

    Attributes:
        x: (rows, columns).
        labels: (rows, outputs), or (rows, 0) where another owner has them.
        ids: as they are written; empty where there are none.
    """

    x: Numbers
    labels: Numbers
    ids: tuple[str, ...]

    def lines(self, salt: bytes) -> bytes:
        """A digest of the ids, in order."""
        return hmac.digest(salt, "\n".join(self.ids).encode(), "sha256")

    def fingerprint(self, key: bytes) -> bytes:
        """A digest of everything, that tells nothing to who lacks the key."""
        whole = hashlib.sha256("\n".join(self.ids).encode())
        for part in (self.x, self.labels):
            whole.update(repr(part.shape).encode() + np.ascontiguousarray(part).tobytes())
        return hmac.digest(key, whole.digest(), "sha256")


def rows_of(path: Path, holding: Holding, spec: TrainingSpec) -> Rows:
    """Read a file, in the order of its lines.

    Raises:
        BadInput: it cannot be read, lacks what is asked for, or holds what is no number; says where.
    """
    ids, label, x = (_csv if path.suffix.lower() == ".csv" else _npz)(path, holding, spec.label)
    if not x.size or len(x) > MOST_ROWS or x.size > MOST_NUMBERS:
        raise BadInput(f"{path.name} holds {x.shape[0]} rows of {x.shape[1]} columns; it needs one, and not so many.")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise BadInput(f"{path.name}: row {row + 1}, column {column + 1} of the data is no finite number.")
    if spec.split == "columns" and not ids:
        raise BadInput(
            f"{path.name} has no ids, and without them nobody can tell whether its rows are the others' rows."
        )
    if spec.standardise:
        deviations = x.std(0)
        x = (x - x.mean(0)) / np.where(deviations > _FLAT, deviations, 1.0)
    if spec.scales:
        if len(spec.scales) != x.shape[1]:
            raise BadInput(f"{path.name} has {x.shape[1]} columns, and the plan {len(spec.scales)} scales.")
        x = (x - np.asarray(spec.centres)) / np.asarray(spec.scales)
    if not holding.labels:
        return Rows(x, np.zeros((len(x), 0)), ids)
    if label is None:
        raise BadInput(f"{path.name} has no {spec.label!r}, which is to be learnt.")
    return Rows(x, _answers(path, label, spec.loss, spec.outputs), ids)


def _answers(path: Path, label: Numbers, loss: LossKind, outputs: int) -> Numbers:
    """(rows, outputs): numbers, 0 or 1, or one 1 a row."""
    if not np.isfinite(label).all():
        raise BadInput(f"{path.name}: a label is no finite number.")
    if loss == "squared":
        wide = label.reshape(len(label), -1)
        if wide.shape[1] != outputs:
            raise BadInput(
                f"{path.name} has {wide.shape[1]} numbers to learn a row, and the network {outputs} outputs."
            )
        return wide
    most = 2 if loss == "logistic" else outputs
    classes = label.reshape(-1)
    if len(classes) != len(label) or not np.isin(classes, np.arange(most)).all():
        raise BadInput(f"{path.name}: labels must be whole numbers from 0 to {most - 1} for this loss and network.")
    return classes[:, None] if loss == "logistic" else np.eye(outputs)[classes.astype(np.intp)]


def _csv(path: Path, holding: Holding, label: str) -> tuple[tuple[str, ...], Numbers | None, Numbers]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
    if len(lines) < 2:
        raise BadInput(f"{path.name} needs a line of names and a line of numbers.")
    names, body = [name.strip() for name in lines[0]], lines[1:]
    if short := [number for number, line in enumerate(body) if len(line) != len(names)]:
        raise BadInput(
            f"{path.name}: line {short[0] + 2} has {len(body[short[0]])} fields, and the first {len(names)}."
        )
    wanted = list(holding.columns) or [name for name in names if name not in ("id", label)]
    if not wanted:
        raise BadInput(f"{path.name} needs a column of numbers besides the id and the label.")
    if missing := [name for name in wanted if name not in names]:
        raise BadInput(f"{path.name} has no column {missing[0][:80]!r}: it has {', '.join(names)[:400]}.")
    at = {name: place for place, name in enumerate(names)}
    ids = tuple(line[at["id"]].strip() for line in body) if "id" in at else ()
    labels = _column(path, body, at[label], label) if label in at and holding.labels else None
    return ids, labels, np.stack([_column(path, body, at[name], name) for name in wanted], 1)


def _column(path: Path, body: list[list[str]], place: int, name: str) -> Numbers:
    try:
        return np.asarray([line[place] for line in body], np.float64)
    except ValueError:
        for number, line in enumerate(body):
            if not _is_number(line[place]):
                raise BadInput(
                    f"{path.name}: line {number + 2}, column {name[:80]!r}, is no number. Leave the column out with "
                    "`columns`, or write numbers into it."
                ) from None
        raise


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _npz(path: Path, holding: Holding, label: str) -> tuple[tuple[str, ...], Numbers | None, Numbers]:
    if holding.columns:
        raise BadInput(f"{path.name} has no names for its columns: leave `columns` out, or use CSV.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in ("id", "x", label) if name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} cannot be read as CSV or NPZ: {error}.") from error
    if "x" not in found or found["x"].ndim < 2 or found["x"].dtype.kind not in "biuf":
        raise BadInput(f"{path.name} has no array `x` of rows of numbers.")
    if any(len(array) != len(found["x"]) for array in found.values()):
        raise BadInput(f"{path.name}: `id`, `x` and {label!r} differ in how many rows they have.")
    ids = tuple(map(str, found["id"].tolist())) if "id" in found else ()
    labels = np.asarray(found[label], np.float64) if label in found and holding.labels else None
    return ids, labels, found["x"].reshape(len(found["x"]), -1).astype(np.float64)
