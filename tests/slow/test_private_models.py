"""Real networks, found beside the checkout, through three parties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from protocols.smpc.program.compile import compile_model
from tests.unit.protocols.smpc.program.networks import encoder, normal
from tests.unit.protocols.smpc.program.trial import attempt, plain

ASSETS = Path(__file__).parents[3] / "shared" / "assets" / "classifiers"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("mnist-8_ort-examples.onnx", 1.0),
        ("resnet8_cifar10_fp32.onnx", 1.0),
        ("squeezenet1_0_deepcompression_fp32.onnx", 1.0),
    ],
)
def test_real_models(name: str, scale: float) -> None:
    """Classifiers give what they give in plain, within a thousandth of their largest answer, and the same class."""
    path = ASSETS / name
    if not path.is_file():
        pytest.skip(f"the real model {name} does not lie beside this checkout")
    model = onnx.load(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    port = next(value for value in model.graph.input if value.name not in weights)
    shape = [dim.dim_value or 1 for dim in port.type.tensor_type.shape.dim]
    feeds = {port.name: normal(*shape, scale=scale)}
    compiled = compile_model(path.read_bytes(), shapes={port.name: shape})

    trial, expected = attempt(compiled, feeds), plain(model, feeds)

    for output, value in expected.items():
        error = float(np.abs(trial.outputs[output] - value).max())
        print(f"{name}: error {error:.2g} of {np.abs(value).max():.3g}, depth {trial.depth}, sent {trial.sent}")
        assert error < 1e-3 * max(1.0, float(np.abs(value).max()))
        assert trial.outputs[output].argmax() == value.argmax()


@pytest.mark.parametrize("which", ["both", "input", "model"])
def test_the_whole_encoder(which: str) -> None:
    """Two layers, width 128, 64 tokens, at a scale of three: right within 0.005, where others are wrong by 0.9."""
    model, feeds = encoder()
    secret = {"both": lambda _: True, "input": lambda name: name == "x", "model": lambda name: name != "x"}[which]

    got = attempt(compile_model(model.SerializeToString()), feeds, secret).outputs["y"]

    assert np.abs(got - plain(model, feeds)["y"]).max() < 0.005
