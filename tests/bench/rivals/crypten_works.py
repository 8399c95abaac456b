"""The rows on CrypTen's tensors and modules, with PyTorch's answers beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import crypten
import torch
from torch import nn
from torch.nn import functional

from tests.bench.rivals.works import ROWS, STRIDES, encoder_weights, numbers, weights

__all__ = ["work_of"]

Prepared = tuple[Callable[[], Any], Any]
"""What is to be repeated, and what plaintext gives, None where there is no one answer."""


def work_of(row: str) -> Prepared:
    """To be called at all parties at once."""
    given = [torch.from_numpy(value) for value in numbers(row)]
    match row:
        case "relu":
            x = _secret(given[0])
            return x.relu, given[0].relu()
        case "matmul":
            a, b = map(_secret, given)
            return lambda: a.matmul(b), given[0] @ given[1]
        case "maxpool":
            x = _secret(given[0])
            return lambda: x.max_pool2d(2, return_indices=False), functional.max_pool2d(given[0], 2)
        case "softmax":
            x = _secret(given[0])
            return lambda: x.softmax(dim=1), given[0].softmax(1)
        case "encoder":
            return _encoder(given[0])
        case "logistic-step" | "mlp-step":
            return _step(row, *given)
    return _net(_model(ROWS[row].net), given[0])


def _secret(value: Any) -> Any:
    return crypten.cryptensor(value, src=0)


def _net(model: nn.Module, x: Any) -> Prepared:
    model = model.eval()
    with torch.no_grad():
        expected = model(x)
    private = crypten.nn.from_pytorch(model, torch.zeros_like(x))
    private.encrypt(src=0)
    private.eval()
    held = _secret(x)

    def run() -> Any:
        with crypten.no_grad():
            return private(held)

    return run, expected


def _step(row: str, x: Any, y: Any) -> Prepared:
    loss = crypten.nn.BCEWithLogitsLoss() if row == "logistic-step" else crypten.nn.CrossEntropyLoss()
    private = crypten.nn.from_pytorch(_model(ROWS[row].net), torch.zeros_like(x))
    private.encrypt(src=0)
    private.train()
    held, targets = _secret(x), _secret(y)

    def run() -> None:
        cost = loss(private(held), targets)
        private.zero_grad()
        cost.backward()
        private.update_parameters(0.1)

    return run, None


def _model(net: str) -> nn.Module:
    made = {"logistic": _Dense, "mlp": _Dense, "lenet": _LeNet}.get(net)
    model = made(net) if made else _ResNet(net)
    with torch.no_grad():
        for layer, (weight, bias) in zip(_layers(model), weights(net), strict=True):
            held = torch.from_numpy(weight)
            layer.weight.copy_(held.T if held.dim() == 2 else held)
            layer.bias.copy_(torch.from_numpy(bias))
    return model


def _layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]


class _Dense(nn.Module):
    def __init__(self, net: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*weight.shape) for weight, _ in weights(net))

    def forward(self, x: Any) -> Any:
        for place, layer in enumerate(self.layers):
            x = layer(x).relu() if place + 1 < len(self.layers) else layer(x)
        return x


class _LeNet(nn.Module):
    def __init__(self, _net: str) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.three, self.four, self.five = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        for layer in (self.one, self.two):
            x = functional.max_pool2d(layer(x).relu(), 2)
        return self.five(self.four(self.three(x.flatten(1)).relu()).relu())


class _Residual(nn.Module):
    """Batch norms are merged into the convolutions already."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(before, after, 3, stride, 1), nn.Conv2d(after, after, 3, 1, 1)
        self.short = nn.Conv2d(before, after, 1, stride) if stride > 1 else None

    def forward(self, x: Any) -> Any:
        aside = x if self.short is None else self.short(x)
        return (self.two(self.one(x).relu()) + aside).relu()


class _ResNet(nn.Module):
    def __init__(self, net: str) -> None:
        super().__init__()
        self.large = net == "resnet-large"
        self.first = nn.Conv2d(3, 64, 7, 2, 3) if self.large else nn.Conv2d(3, 64, 3, 1, 1)
        befores = (64, *(after for after, _ in STRIDES))
        self.blocks = nn.Sequential(*(_Residual(befores[place], *STRIDES[place]) for place in range(len(STRIDES))))
        self.last = nn.Linear(512, 1000 if self.large else 10)

    def forward(self, x: Any) -> Any:
        x = self.first(x).relu()
        x = functional.max_pool2d(x, 3, 2, 1) if self.large else x
        return self.last(functional.avg_pool2d(self.blocks(x), 7 if self.large else 4).flatten(1))


def _encoder(x: Any) -> Prepared:
    layers = [{name: torch.from_numpy(value) for name, value in layer.items()} for layer in encoder_weights()]
    held = [{name: _secret(value) for name, value in layer.items()} for layer in layers]
    given = _secret(x)

    def run() -> Any:
        with crypten.no_grad():
            return _encoded(given, held, _norm, lambda h: 0.5 * h * ((h * 0.70710678).erf() + 1))

    def plain_norm(x: Any, scale: Any, offset: Any) -> Any:
        return functional.layer_norm(x, (x.shape[-1],), scale, offset)

    return run, _encoded(x, layers, plain_norm, functional.gelu)


def _norm(x: Any, scale: Any, offset: Any) -> Any:
    centred = x - x.mean(1, keepdim=True)
    return centred * (centred.square().mean(1, keepdim=True) + 1e-5).inv_sqrt() * scale + offset


def _encoded(x: Any, layers: list[dict[str, Any]], norm: Any, gelu: Any, heads: int = 2) -> Any:
    tokens, width = ROWS["encoder"].shape

    def split(x: Any) -> Any:
        return x.view(tokens, heads, width // heads).transpose(0, 1)

    for p in layers:
        q, k, v = (split(x.matmul(p[f"w{name}"]) + p[f"b{name}"]) for name in "qkv")
        scores = q.matmul(k.transpose(1, 2)) * (width // heads) ** -0.5
        mixed = scores.softmax(dim=2).matmul(v).transpose(0, 1).reshape(tokens, width)
        x = norm(x + mixed.matmul(p["wo"]) + p["bo"], p["g1"], p["e1"])
        x = norm(x + gelu(x.matmul(p["w1"]) + p["b1"]).matmul(p["w2"]) + p["b2"], p["g2"], p["e2"])
    return x
