"""Whole networks through three parties, against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.protocols.families import Case
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import Trial, Which, everything, plain, privately

SECRET: dict[str, Which] = {
    "both": everything,
    "input": lambda name: name == "x",
    "model": lambda name: name != "x",
}


def error(case: Case, secret: Which = everything) -> tuple[float, Trial]:
    """The largest distance from ONNX Runtime's answer."""
    model, feeds = case
    trial = privately(model, feeds, secret)
    expected = plain(model, feeds)
    return max(float(np.abs(trial.outputs[name] - expected[name]).max()) for name in expected), trial


@pytest.mark.parametrize("which", SECRET)
@pytest.mark.parametrize(
    ("network", "bound"),
    [(networks.perceptron, 3e-4), (networks.lenet, 1e-3), (networks.residual, 1e-3), (networks.lstm, 5e-4)],
)
def test_networks_give_what_they_give_in_plain(network: Callable[[], Any], bound: float, which: str) -> None:
    """Whichever of input and model is secret, the answer is ONNX Runtime's within the bound."""
    assert error(network(), SECRET[which])[0] < bound


@pytest.mark.parametrize("which", SECRET)
def test_an_encoder_at_a_scale_of_three(which: str) -> None:
    """Where others come out wrong by 0.9, a block of a transformer is right within 0.005."""
    assert error(networks.encoder(layers=1, width=32, tokens=16), SECRET[which])[0] < 0.005


def test_what_is_public_is_cheaper() -> None:
    """A secret input alone, or a secret model alone, sends less than both; and every run of one kind sends the same."""
    (_, both), (_, again) = error(networks.lenet()), error(networks.lenet())
    (_, model), (_, fed) = error(networks.lenet(), SECRET["model"]), error(networks.lenet(), SECRET["input"])

    assert (both.sent, both.rounds, both.depth) == (again.sent, again.rounds, again.depth)
    assert sum(fed.sent) < sum(both.sent)
    assert sum(model.sent) < sum(both.sent)
