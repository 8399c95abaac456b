"""CrypTen's modules, converter and optimisers over secret tensors, against PyTorch."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from protocols.smpc.crypten_bridge.converter import mend_converter
from tests.unit.protocols.smpc.crypten_bridge.test_tensor import values
from tests.unit.protocols.smpc.crypten_bridge.together import crypten, together
from tests.unit.protocols.smpc.crypten_bridge.zoo import (
    LeNet,
    Residual,
    encoder_parameters,
    encoder_plain,
    encoder_private,
    perceptron,
)

PLANES = (2, 3, 8, 8)


def converted(model: nn.Module, shape: tuple[int, ...]) -> Any:
    mend_converter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's older exporter, which CrypTen needs, warns of itself
        return crypten.nn.from_pytorch(model, torch.zeros(shape))


def settled(model: nn.Module) -> nn.Module:
    """With running statistics that are not the ones it began with, ready to infer."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = values(module.num_features, scale=0.3)
            module.running_var = values(module.num_features, seed=1).abs() + 0.2
    return model.eval()


MODELS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), (4, 5)),
    "perceptron": (lambda: perceptron(5, 8, 3), (4, 5)),
    "convolution": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU()), PLANES),
    "batch norm": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), PLANES),
    "max pooling": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)), PLANES),
    "average pooling": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2)), PLANES),
    "one average": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), PLANES),
    "dropout": (lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 3)), (4, 5)),
    "softmax": (lambda: nn.Sequential(nn.Linear(5, 8), nn.Sigmoid(), nn.Linear(8, 3), nn.Softmax(1)), (4, 5)),
    "logarithm of softmax": (lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.LogSoftmax(1)), (4, 5)),
    "layer norm": (lambda: nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8)), (4, 5)),
    "gelu": (lambda: nn.Sequential(nn.Linear(5, 8), nn.GELU()), (4, 5)),
    "clipped": (lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU6()), (4, 5)),
    "residual": (lambda: Residual(3), PLANES),
    "LeNet-5": (LeNet, (2, 1, 28, 28)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_converted_model_infers_as_it_did(name: str) -> None:
    """Model from party 0, input from party 1: the answer is PyTorch's, within 1e-4."""
    torch.manual_seed(0)
    make, shape = MODELS[name]
    model = settled(make())
    original, x = converted(model, shape), values(*shape, scale=1.0)

    def program() -> Any:
        private = copy.deepcopy(original).encrypt(src=0)
        return private(crypten.cryptensor(x, src=1)).get_plain_text()

    got = together(program)
    expected = model(x).detach()
    assert expected.shape == got.shape
    assert float((expected - got).abs().max()) <= 1e-4


def test_an_encoder_block_is_right_where_cryptens_own_goes_wrong() -> None:
    """At a scale of 3, within 0.005: CrypTen's approximations are off by 0.9 there."""
    weights, x = encoder_parameters(32, 64, scale=0.2), values(16, 32)

    def program() -> Any:
        secret = {name: crypten.cryptensor(value, src=0) for name, value in weights.items()}
        with crypten.no_grad():
            return encoder_private(crypten.cryptensor(x, src=1), secret).get_plain_text()

    assert float((encoder_plain(x, weights) - together(program)).abs().max()) <= 0.005


def batches(steps: int, *shape: int, classes: int = 3) -> list[tuple[Any, Any]]:
    labels = [values(shape[0], classes, seed=50 + step).argmax(1) for step in range(steps)]
    return [
        (values(*shape, seed=step, scale=1.0), nn.functional.one_hot(label, classes).float())
        for step, label in enumerate(labels)
    ]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        pytest.param(perceptron(6, 8, 3), (8, 6), id="perceptron"),
        pytest.param(
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3)),
            (4, 1, 8, 8),
            id="convolution",
        ),
    ],
)
def test_training_with_momentum_follows_plaintext(model: nn.Module, shape: tuple[int, ...]) -> None:
    """Cross-entropy, SGD with momentum and weight decay, some steps: every weight is where PyTorch's is."""
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    torch.manual_seed(0)
    plain = copy.deepcopy(model).train()
    original, data = converted(plain, shape), batches(6, *shape)
    optimizer = torch.optim.SGD(plain.parameters(), **settings)
    for x, y in data:
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(x), y).backward()
        optimizer.step()

    def program() -> Any:
        private = copy.deepcopy(original).encrypt(src=0)
        private.train()
        ours = crypten.optim.SGD(private.parameters(), **settings)
        criterion = crypten.nn.CrossEntropyLoss()
        for x, y in data:
            ours.zero_grad()
            criterion(private(crypten.cryptensor(x, src=1)), crypten.cryptensor(y, src=2)).backward()
            ours.step()
        return [weights.get_plain_text() for weights in private.parameters()]

    for expected, got in zip(plain.parameters(), together(program), strict=True):
        assert float((expected.detach() - got).abs().max()) <= 2e-3


def test_batch_norm_learns_and_keeps_its_averages() -> None:
    """A training step through it: weights and running averages move as CrypTen defines them, and stay finite."""
    x = values(4, 2, 6, 6)

    def program() -> Any:
        private = crypten.nn.BatchNorm2d(2).encrypt(src=0)
        private.train()
        out = private(crypten.cryptensor(x, src=1))
        (out * crypten.cryptensor(x)).mean().backward()
        private.update_parameters(0.1)
        return [one.get_plain_text() for one in (out, private.running_mean, private.weight)]

    got, mean, weight = together(program)
    assert float((0.1 * x.mean((0, 2, 3)) - mean).abs().max()) <= 1e-4
    assert float((weight - 1).abs().max()) > 0.01
    assert float(got.mean((0, 2, 3)).abs().max()) <= 1e-3
    assert 1.0 == pytest.approx(float(got.var()), abs=0.1)


def test_an_initializer_sets_what_party_0_draws() -> None:
    """Each party draws other numbers; the secret has one value, which all three open alike."""

    def program() -> Any:
        weights = crypten.cryptensor(torch.zeros(20, 20))
        crypten.nn.init.uniform_(weights, 1.0, 2.0)
        return weights.get_plain_text()

    drawn = together(program)
    assert 1.0 - 1e-5 <= float(drawn.min()) < float(drawn.max()) <= 2.0 + 1e-5


def test_a_models_state_is_saved_and_loaded_as_shares() -> None:
    """`state_dict` of a secret model fits into another, which then computes the same."""
    torch.manual_seed(0)
    first, second = (converted(perceptron(5, 8, 3), (4, 5)) for _ in range(2))
    x = values(4, 5)

    def program() -> Any:
        one, other = (copy.deepcopy(model).encrypt(src=0) for model in (first, second))
        other.load_state_dict(one.state_dict())
        secret = crypten.cryptensor(x, src=1)
        return [one(secret).get_plain_text(), other(secret).get_plain_text()]

    expected, got = together(program)
    assert float((expected - got).abs().max()) <= 1e-4


def test_a_training_step_with_abort_is_the_same_step() -> None:
    """Every operation that a step takes runs on a checked party as well, random numbers among them."""
    torch.manual_seed(0)
    original, ((x, y),) = converted(perceptron(4, 5, 3), (6, 4)), batches(1, 6, 4)

    def program() -> Any:
        private = copy.deepcopy(original).encrypt(src=0)
        private.train()
        crypten.nn.CrossEntropyLoss()(private(crypten.cryptensor(x, src=1)), crypten.cryptensor(y, src=2)).backward()
        private.update_parameters(0.1)
        drawn = crypten.rand(50).get_plain_text()
        assert 0 <= float(drawn.min()) <= float(drawn.max()) < 1
        return [weights.get_plain_text() for weights in private.parameters()]

    for plain, checked in zip(together(program), together(program, checked=True), strict=True):
        assert float((plain - checked).abs().max()) <= 1e-4
