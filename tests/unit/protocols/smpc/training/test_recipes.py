"""Training jobs as people write them, and trained networks as ONNX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from mesh.errors import BadInput
from protocols.smpc.training.exporting import onnx_of
from protocols.smpc.training.learner import Recipe
from protocols.smpc.training.models import named_weights, weight_ports
from protocols.smpc.training.network import Layer, lay_out
from protocols.smpc.training.optimisers import Optimiser
from protocols.smpc.training.recipes import MODELS, read_recipe
from protocols.smpc.training.spec import Holding, TrainingSpec
from tests.harness.training import Plain

DATA = '[[data]]\npeer = "me"\ntable = "patients"\n'


def read(folder: Path, text: str, name: str = "Risk of falls.toml") -> TrainingSpec:
    (folder / name).write_text(text + DATA)
    return read_recipe(folder / name)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_has_a_name_is_a_network_that_can_be_trained(tmp_path: Path, model: str) -> None:
    """With its layers and its loss; the file's name is the job's."""
    spec = read(tmp_path, f'model = "{model}"\nsplit = "rows"\nlabel = "ill"\n')
    assert "risk-of-falls" == spec.name
    assert spec.network(784 if model == "digits" else 12)


def test_layers_may_be_written_out(tmp_path: Path) -> None:
    """And everything else that a spec has."""
    text = (
        'loss = "squared"\nsplit = "rows"\nlabel = "y"\nreceivers = "shares"\nlayers = [{kind = "dense", size = 2}]\n'
    )
    spec = read(tmp_path, text + '[optimiser]\nkind = "adam"\nrate = 0.01\n')
    assert ((Layer("dense", 2),), Optimiser("adam", rate=0.01), ("shares",)) == (
        spec.layers, spec.optimiser, spec.receivers,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('model = "forest"\nsplit = "rows"\nlabel = "y"\n', "forest"),
        ('model = "linear"\nlayers = []\nsplit = "rows"\nlabel = "y"\n', "either"),
        ('model = "linear"\nsplit = "rows"\nlabel = "y"\nspeed = 3\n', "speed"),
        ('model = "linear"\nsplit = "diagonally"\nlabel = "y"\n', "split"),
        ('model = "linear"\nsplit = "rows"\nlabel = "y"\nbatch = 0\n', "batch"),
        ('model = "linear"\nsplit = "rows"\nlabel = "y"\nstandardise = true\n', "standardise"),
        ("model = ", "cannot be read"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    """Before any node hears of it."""
    with pytest.raises(BadInput, match=says):
        read(tmp_path, text)


@pytest.mark.parametrize("loss", ["squared", "logistic", "cross-entropy"])
def test_a_trained_network_says_in_onnx_what_it_said_in_training(loss: str) -> None:
    """Outputs turned into chances where the loss is of chances."""
    layers = [
        Layer("conv", 3, 3, stride=2, padding=1), Layer("relu"), Layer("max-pool", 2), Layer("flatten"),
        Layer("dense", 6), Layer("relu"), Layer("dense", 1 if loss == "logistic" else 4),
    ]  # fmt: skip
    network = lay_out(layers, (2, 9, 8))
    plain = Plain(Recipe(network, loss, Optimiser(), seed=5))  # type: ignore[arg-type]
    x = np.random.default_rng(1).standard_normal((3, 2, 9, 8))
    expected = plain.outputs(x)
    if loss == "logistic":
        expected = 1 / (1 + np.exp(-expected))
    if loss == "cross-entropy":
        expected = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    spec = TrainingSpec("risk", (Holding("me", "t"),), "rows", "y", tuple(layers), loss)  # type: ignore[arg-type]
    model = onnx_of(spec, network, named_weights(network, plain.weights))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(expected, session.run(["y"], {"x": x.astype(np.float32)})[0], atol=1e-5)
    assert sum(laid.count for laid in network) == sum(port.tensor.size for port in weight_ports(network))


def test_scales_that_were_agreed_on_are_part_of_the_model() -> None:
    """It takes columns as they are in the files."""
    spec = TrainingSpec(
        "risk",
        (Holding("me", "t"),),
        "rows",
        "y",
        (Layer("dense", 1),),
        "squared",
        centres=(50.0, 7.0),
        scales=(20.0, 0.5),
    )
    network = spec.network(2)
    weights = np.array([2.0, -1.0, 0.25])
    session = onnxruntime.InferenceSession(onnx_of(spec, network, named_weights(network, weights)))
    x = np.array([[70.0, 6.5], [30.0, 8.0]], np.float32)
    expected = (x - [50, 7]) / [20, 0.5] @ weights[:2] + 0.25
    np.testing.assert_allclose(expected[:, None], session.run(["y"], {"x": x})[0], atol=1e-5)


UNFAIR: list[dict[str, Any]] = [
    {"scales": (1.0,)},
    {"centres": (0.0,), "scales": (1000.0,)},
    {"split": "columns", "centres": (0.0,), "scales": (1.0,)},
]


@pytest.mark.parametrize("fields", UNFAIR)
def test_scales_that_cannot_be_used_are_refused(fields: dict[str, Any]) -> None:
    """As many as centres, of a size that a fixed-point number keeps, and for rows alone."""
    spec = TrainingSpec("risk", (Holding("me", "t"),), "rows", "y", (Layer("dense", 1),), "squared")
    assert spec.trouble() is None
    assert "scales" in (replace(spec, **fields).trouble() or "")
