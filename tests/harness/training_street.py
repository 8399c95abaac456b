"""Owners of small tables, and devices of different owners that train on shares of them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.errors import StoreError
from mesh.ids import PeerId
from mesh.protocol import ANYONE, Job, Means, Permits, Sealed, Vault
from mesh.store.vault import SealedVault
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.training.batches import Batches
from protocols.smpc.training.learner import Recipe
from protocols.smpc.training.network import Layer
from protocols.smpc.training.protocol import Training
from protocols.smpc.training.spec import Holding, TrainingSpec
from scenarios.city import City, Equipment
from tests.harness.training import Plain

__all__ = ["Case", "NoVault", "asked", "by_columns", "by_rows", "equipped", "write_csv"]

Numbers = NDArray[np.float64]
ROWS = 60


@dataclass(frozen=True)
class Case:
    """A job, and each owner's table.

    Attributes:
        tables: names of columns, and rows of words, by device number.
        x, labels: all data, put together.
    """

    spec: TrainingSpec
    tables: Mapping[int, tuple[Sequence[str], Sequence[Sequence[object]]]]
    x: Numbers
    labels: Numbers

    def job(self, city: City, deadline: float = 60.0, **spec: Any) -> Job:
        """With the city's devices in place of their numbers."""
        data = tuple(replace(one, peer=str(city.peers[int(one.peer)])) for one in self.spec.data)
        return Job("private-training", replace(self.spec, data=data, **spec), deadline)

    def plain(self, **changed: Any) -> Plain:
        """What plain training on the same batches gives."""
        spec = replace(self.spec, **changed)
        network = spec.network(self.x.shape[1])
        plain = Plain(Recipe(network, spec.loss, spec.optimiser, spec.seed))
        batches = Batches(len(self.x), spec.batch, spec.seed)
        x = (self.x - np.asarray(spec.centres)) / np.asarray(spec.scales) if spec.scales else self.x
        for step in range(spec.epochs * batches.in_epoch):
            rows = batches.rows_of(step)
            plain.step(x[rows].reshape(-1, *network[0].before), self.labels[rows])
        return plain


def by_columns(**changed: Any) -> Case:
    """Device 0 has three columns and the labels, device 1 two columns of the same rows."""
    x, labels = _data()
    ids = [f"p{number:03}" for number in range(ROWS)]
    left = [[one, int(y[0]), *row[:3]] for one, y, row in zip(ids, labels, x, strict=True)]
    right = [[one, *row[3:]] for one, row in zip(ids, x, strict=True)]
    data = (Holding("0", "patients"), Holding("1", "patients", labels=False))
    spec = TrainingSpec("risk", data, "columns", "ill", (Layer("dense", 1),), "logistic", batch=16, epochs=4)
    tables = {0: (["id", "ill", "a", "b", "c"], left), 1: (["id", "d", "e"], right)}
    return Case(replace(spec, checkpoint=4, **changed), tables, x, labels)


def by_rows(**changed: Any) -> Case:
    """Devices 0 and 1 have all columns of some rows each; a small perceptron with momentum."""
    x, labels = _data()
    lines = [[int(y[0]), *row] for y, row in zip(labels, x, strict=True)]
    names = ["ill", "a", "b", "c", "d", "e"]
    data = (Holding("0", "patients"), Holding("1", "patients"))
    layers = (Layer("dense", 4), Layer("relu"), Layer("dense", 1))
    spec = TrainingSpec("risk", data, "rows", "ill", layers, "logistic", batch=16, epochs=3, checkpoint=4)
    return Case(replace(spec, **changed), {0: (names, lines[:40]), 1: (names, lines[40:])}, x, labels)


def equipped(
    case: Case,
    folder: Path,
    permits: Mapping[int, Permits] | None = None,
    protocol: Callable[[Means], Training] = Training,
) -> Callable[[int], Equipment]:
    """Each device has an owner of its own and a vault; those with tables let anyone train on them."""

    def of(device: int) -> Equipment:
        tables = {}
        if device in case.tables:
            tables["patients"] = write_csv(folder / f"table {device}.csv", *case.tables[device])
        allowed = Permits(receives=(ANYONE,), trains=(("patients", ANYONE),), losses=("patients",))
        means = Means(
            owner=f"owner {device}",
            permits=(permits or {}).get(device, allowed),
            vault=SealedVault(folder / f"vault {device}", bytes(31) + bytes([device])),
            tables=tables,
        )
        return Equipment([protocol(means)], owner=f"owner {device}")

    return of


async def asked(city: City, job: Job, until: Sequence[int] = (-1,), **options: Any) -> dict[str, NDArray[Any]]:
    """What device 0 is answered to the last of these requests."""
    answer: dict[str, NDArray[Any]] = {}
    async with city.serve(0, job, **options) as service:
        for step in until:
            answer = arrays_of(await service.ask(tensors_of({"until": np.array(step)})))
    return answer


def write_csv(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    """The file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def _data() -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(11)
    x = random.standard_normal((ROWS, 5)).round(6)
    return x, (x @ [1.0, -2.0, 0.5, 1.5, -1.0] + 0.3 * random.standard_normal(ROWS) > 0)[:, None].astype(float)


class NoVault(Vault):
    """One with nothing in it, and no room."""

    def put(self, owner: PeerId, name: str, data: bytes, *, seconds: float) -> None:
        raise StoreError("There is no room.")

    def read(self, owner: PeerId, name: str) -> bytes:
        raise StoreError("It is not here.")

    def listing(self, prefix: str = "", owner: PeerId | None = None) -> list[Sealed]:
        return []

    def remove(self, owner: PeerId, prefix: str) -> int:
        return 0
