"""Private training as a person runs it: three nodes of three owners, each a process of its own."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnxruntime

from mesh.authority import Authority
from tests.cli.street import acquainted, mesh, neighbour
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


def test_two_owners_train_with_a_third_and_use_the_shares(tmp_path: Path) -> None:
    """`mesh train` writes the model of plain training; `mesh infer` has the three compute it from what they kept."""
    case, names = by_columns(), ("ada", "bob", "cyd")
    (tmp_path / "risk.toml").write_text(RECIPE)
    np.savez(tmp_path / "rows.npz", x=case.x[:3, None].astype(np.float32))
    authority = Authority.create(tmp_path / "authority", mesh="test")
    with ExitStack() as stack:
        nodes = []
        for number, name in enumerate(names):
            authority.issue(tmp_path / name / "identity")
            lines = [f'owner = "{name}"\n']
            if number in case.tables:
                table = write_csv(tmp_path / f"{name}.csv", *case.tables[number])
                lines += [f'tables = ["patients={table}"]\n', 'trains = ["patients=anyone"]\n']
            (tmp_path / f"{name}.toml").write_text("".join(lines))
            flags = ("--config", str(tmp_path / f"{name}.toml"))
            nodes.append(stack.enter_context(neighbour(tmp_path / name, *flags)))
        asyncio.run(acquainted(nodes))
        state = nodes[0].state
        ran = mesh("train", tmp_path / "risk.toml", "--out", tmp_path / "risk.onnx", "--json", state=state)
        assert 0 == ran.returncode, ran.stderr
        told = json.loads(ran.stdout)
        command = ("infer", "risk", "--input", tmp_path / "rows.npz", "--out", tmp_path / "out.npz")
        asked = mesh(*command, "--mode", "private", state=state)
        assert 0 == asked.returncode, asked.stderr
        again = json.loads(mesh("train", tmp_path / "risk.toml", "--json", state=state).stdout)
    assert (12, "risk", []) == (told["steps"], told["served"], told["losses"])
    assert 12 == again["resumed_after"]
    weights = case.plain().weights
    expected = 1 / (1 + np.exp(-case.x[:3] @ weights[:-1] - weights[-1]))
    session = onnxruntime.InferenceSession(tmp_path / "risk.onnx", providers=["CPUExecutionProvider"])
    told_here = session.run(["y"], {"x": case.x[:3].astype(np.float32)})[0]
    np.testing.assert_allclose(expected, np.asarray(told_here).reshape(-1), atol=2e-3)
    with np.load(tmp_path / "out.npz") as answers:
        np.testing.assert_allclose(expected, answers["y"].reshape(-1), atol=2e-3)


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
