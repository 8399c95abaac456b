"""Private training as a person runs it: three nodes of three owners, each a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from mesh.authority import Authority
from tests.cli.street import Neighbour, acquainted, mesh, neighbour
from tests.harness.training_street import by_columns, write_csv

RECIPE = """
model = "logistic"
split = "columns"
label = "ill"
batch = 16
epochs = 4
receivers = ["me", "shares"]
[[data]]
peer = "ada"
table = "patients"
[[data]]
peer = "bob"
table = "patients"
labels = false
"""


@contextmanager
def clinics(folder: Path) -> Iterator[list[Neighbour]]:
    """Three nodes that have met; the same ones again, if they were here before."""
    case, names = by_columns(), ("ada", "bob", "cyd")
    with ExitStack() as stack:
        nodes = []
        for number, name in enumerate(names):
            lines = [f'owner = "{name}"\n']
            if number in case.tables:
                table = write_csv(folder / f"{name}.csv", *case.tables[number])
                lines += [f'tables = ["patients={table}"]\n', 'trains = ["patients=anyone"]\n']
            (folder / f"{name}.toml").write_text("".join(lines))
            flags = ("--config", str(folder / f"{name}.toml"))
            nodes.append(stack.enter_context(neighbour(folder / name, *flags)))
        asyncio.run(acquainted(nodes))
        yield nodes


def admit(folder: Path) -> None:
    """An identity for each."""
    authority = Authority.create(folder / "authority", mesh="test")
    for name in ("ada", "bob", "cyd"):
        authority.issue(folder / name / "identity")


def test_two_owners_train_with_a_third_and_use_the_shares(tmp_path: Path) -> None:
    """`mesh train` writes the model of plain training; `mesh infer` has the three compute it from what they kept."""
    case = by_columns()
    (tmp_path / "risk.toml").write_text(RECIPE)
    np.savez(tmp_path / "rows.npz", x=case.x[:3, None].astype(np.float32))
    admit(tmp_path)
    with clinics(tmp_path) as nodes:
        state = nodes[0].state
        ran = mesh("train", tmp_path / "risk.toml", "--out", tmp_path / "risk.onnx", "--json", state=state)
        assert 0 == ran.returncode, ran.stderr
        told = json.loads(ran.stdout)
        command = ("infer", "risk", "--input", tmp_path / "rows.npz", "--out", tmp_path / "out.npz")
        asked = mesh(*command, "--mode", "private", state=state)
        assert 0 == asked.returncode, asked.stderr
    assert (12, "risk", []) == (told["steps"], told["served"], told["losses"])
    weights = case.plain().weights
    expected = 1 / (1 + np.exp(-case.x[:3] @ weights[:-1] - weights[-1]))
    session = onnxruntime.InferenceSession(tmp_path / "risk.onnx", providers=["CPUExecutionProvider"])
    told_here = session.run(["y"], {"x": case.x[:3].astype(np.float32)})[0]
    np.testing.assert_allclose(expected, np.asarray(told_here).reshape(-1), atol=2e-3)
    with np.load(tmp_path / "out.npz") as answers:
        np.testing.assert_allclose(expected, answers["y"].reshape(-1), atol=2e-3)


@pytest.mark.slow
def test_all_nodes_killed_at_once_cost_no_more_than_the_last_steps(tmp_path: Path) -> None:
    """SIGKILL in the midst of it; the same nodes started again, the same command goes on, to the same model."""
    recipe, case = tmp_path / "risk.toml", by_columns(epochs=400)
    recipe.write_text(RECIPE.replace("epochs = 4", "epochs = 400\ncheckpoint = 50"))
    admit(tmp_path)
    with clinics(tmp_path) as nodes, ThreadPoolExecutor(1) as pool:
        state = nodes[0].state
        running = pool.submit(mesh, "train", recipe, "--json", state=state)
        asyncio.run(_checkpointed(nodes[2].state))
        for node in nodes:
            node.process.kill()
        assert running.result().returncode
    with clinics(tmp_path):
        ran = mesh("train", recipe, "--out", tmp_path / "risk.onnx", "--json", state=state)
    assert 0 == ran.returncode, ran.stderr
    told = json.loads(ran.stdout)
    assert told["steps"] == 1200
    assert 50 <= told["resumed_after"] < 1200
    weights = case.plain().weights
    session = onnxruntime.InferenceSession(tmp_path / "risk.onnx", providers=["CPUExecutionProvider"])
    expected = 1 / (1 + np.exp(-case.x @ weights[:-1] - weights[-1]))
    told_here = session.run(["y"], {"x": case.x.astype(np.float32)})[0]
    np.testing.assert_allclose(expected, np.asarray(told_here).reshape(-1), atol=5e-3)


async def _checkpointed(state: Path) -> None:
    """Wait until a device that only computes has two checkpoints, for a minute at most: all three have the first."""
    for _ in range(3000):
        if len(list((state / "vault").glob("*"))) >= 2:
            return
        await asyncio.sleep(0.02)


def test_what_training_promises_is_explained() -> None:
    """`mesh explain private-training` says who must not collude, what is not done, and what each word gives away."""
    told = mesh("explain", "private-training")
    assert 0 == told.returncode, told.stderr
    text = " ".join(told.stdout.split())
    for words in (
        "private set intersection is not done",
        "pool what they hold",
        "private-training.passed",
        "no dealer",
    ):
        assert words in text
