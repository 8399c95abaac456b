"""Two clinics learn who falls ill, together, without showing each other, or anybody, what they know of their patients.

    python -m scenarios.private_training [--json] [--rows N] [--epochs N]

Three nodes, each a process of its own owner, on the loopback interface: two clinics, with different columns of the same
patients, and the city's statistics office, which has none and only computes. The data is made up here. North, which
also knows who fell ill, asks for a logistic regression with `mesh train`; the model comes back to it, and stays with
the three as shares, too. What came of it is compared with training in the clear on the same batches, and the shares are
put to use by `mesh infer`, for patients that nobody has trained on.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from rich.console import Console

from mesh.config import NodeConfig
from mesh.errors import MeshError
from protocols.smpc.training.batches import Batches
from scenarios.demo.fleet import Fleet
from scenarios.demo.story import wait_met

__all__ = ["Outcome", "told"]

NORTH, SOUTH, OFFICE = DEVICES = ("north", "south", "office")
BATCH, RATE, TESTED = 32, 0.2, 200

_PATIENCE = 300.0
_RECIPE = """\
name = "risk"
model = "logistic"
split = "columns"
label = "ill"
batch = {batch}
epochs = {epochs}
tell_loss = 20
receivers = ["me", "shares"]

[optimiser]
rate = {rate}

[[data]]
peer = "north"
table = "patients"

[[data]]
peer = "south"
table = "patients"
labels = false
"""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """What the story came to.

    Attributes:
        private, clear: shares of unseen patients that are told right, by the model trained privately and in the clear.
        distance: largest difference between their weights.
        served: largest difference between the chances that the shares gave and those of the model itself.
    """

    private: float
    clear: float
    distance: float
    served: float

    @property
    def sound(self) -> bool:
        """Whether it may be believed."""
        return abs(self.private - self.clear) <= 0.005 and self.distance < 0.01 and self.served < 0.001


@click.command()
@click.option("--rows", default=800, show_default=True, type=click.IntRange(BATCH, 100_000), help="Patients.")
@click.option("--epochs", default=10, show_default=True, type=click.IntRange(1, 1000), help="Times that each is used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and everything else on stderr.")
def tell(*, rows: int, epochs: int, as_json: bool) -> None:
    """Train a logistic regression of two clinics on three devices, and compare it with training in the clear."""
    try:
        with tempfile.TemporaryDirectory(prefix="mesh-clinics-") as folder:
            outcome = asyncio.run(told(Path(folder), rows, epochs, Console(stderr=as_json)))
    except MeshError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({**asdict(outcome), "sound": outcome.sound})).decode())
    if not outcome.sound:
        raise SystemExit(1)


async def told(folder: Path, rows: int, epochs: int, console: Console) -> Outcome:
    """The whole story, in a folder that is there. Raises MeshError: a command failed; says what it said."""
    x, ill = _patients(rows + TESTED)
    train, test = slice(0, rows), slice(rows, None)
    _write(folder / f"{NORTH}.csv", ["id", "ill", "age", "pressure", "pulse"], x[train, :3], ill[train])
    _write(folder / f"{SOUTH}.csv", ["id", "sugar", "weight"], x[train, 3:], None)
    (folder / "risk.toml").write_text(_RECIPE.format(batch=BATCH, epochs=epochs, rate=RATE))
    np.savez(folder / "new.npz", x=x[test].astype(np.float32)[:5, None])
    async with Fleet(DEVICES, folder, configure=_settings) as fleet:
        await wait_met(fleet, within=_PATIENCE)
        console.print(f"Three devices of different owners have met. {NORTH} asks for a model of {rows} patients.")
        await _mesh(folder, "train", folder / "risk.toml", "--out", folder / "risk.onnx")
        console.print("The shares that stayed with the three are put to use, for patients that are new.")
        await _mesh(folder, "infer", "risk", "--input", folder / "new.npz", "--out", folder / "chances.npz")
    outcome = _compared(folder, x, ill, rows, epochs)
    console.print(
        f"Of {TESTED} new patients, {outcome.private:.1%} are told right by the model of both clinics, and "
        f"{outcome.clear:.1%} by one that was trained in the clear; their weights differ by {outcome.distance:.2g} at "
        f"most. What the shares answer differs from the model's own answers by {outcome.served:.2g} at most."
    )
    return outcome


def _compared(folder: Path, x: Numbers, ill: Numbers, rows: int, epochs: int) -> Outcome:
    session = onnxruntime.InferenceSession(folder / "risk.onnx", providers=["CPUExecutionProvider"])
    chances = np.asarray(session.run(["y"], {"x": x[rows:].astype(np.float32)})[0])[:, 0]
    weights = _in_the_clear(x[:rows], ill[:rows], epochs)
    clear = x[rows:] @ weights[:-1] + weights[-1] > 0
    base, basis = np.zeros((1, x.shape[1]), np.float32), np.eye(x.shape[1], dtype=np.float32)
    odds = [np.asarray(session.run(["y"], {"x": rows_})[0])[:, 0] for rows_ in (base, basis)]
    logits = [np.log(p / (1 - p)) for p in odds]
    learnt = np.append(logits[1] - logits[0], logits[0])
    with np.load(folder / "chances.npz") as answers:
        served = np.abs(answers["y"].reshape(-1) - chances[:5]).max()
    truth = ill[rows:] > 0
    return Outcome(
        private=float(((chances > 0.5) == truth).mean()),
        clear=float((clear == truth).mean()),
        distance=float(np.abs(learnt - weights).max()),
        served=float(served),
    )


def _in_the_clear(x: Numbers, ill: Numbers, epochs: int) -> Numbers:
    """Weights and bias of the same training without any secrets."""
    batches = Batches(len(x), BATCH, 0)
    wide, weights = np.column_stack([x, np.ones(len(x))]), np.zeros(x.shape[1] + 1)
    for step in range(epochs * batches.in_epoch):
        rows = batches.rows_of(step)
        chances = 1 / (1 + np.exp(-wide[rows] @ weights))
        weights -= RATE * wide[rows].T @ (chances - ill[rows]) / BATCH
    return weights


def _patients(count: int) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(2016)
    x = random.standard_normal((count, 5)).round(6)
    ill = x @ [0.8, 1.2, -0.4, 1.6, 0.6] + random.logistic(size=count) * 0.6 > 0
    return x, ill.astype(np.float64)


def _write(path: Path, names: Sequence[str], x: Numbers, ill: Numbers | None) -> None:
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(names)
        for number, row in enumerate(x):
            lines.writerow([f"patient-{number:05}", *([] if ill is None else [int(ill[number])]), *row])


def _settings(name: str, state: Path) -> NodeConfig:
    """Each has an owner of its own; clinics name their table, who may train on it, and that losses may be told."""
    config = msgspec.structs.replace(NodeConfig.loopback(state), owner=name)
    if name == OFFICE:
        return config
    table = f"patients={state.parent / name}.csv"
    return msgspec.structs.replace(config, tables=(table,), trains=("patients=anyone",), losses=("patients",))


async def _mesh(folder: Path, *words: str | Path) -> None:
    """One command on north's device, as a person gives it, on this terminal. Raises MeshError: it failed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MESH_")}
    running = await asyncio.create_subprocess_exec(
        *[sys.executable, "-P", "-m", "mesh", *map(str, words)],
        env={**kept, "MESH_STATE": str(folder / NORTH), "OMP_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            await running.wait()
    except BaseException:
        running.kill()
        await running.wait()
        raise
    if running.returncode:
        raise MeshError(f"`mesh {' '.join(map(str, words))}` failed; what it said is above.")


if __name__ == "__main__":
    tell()
