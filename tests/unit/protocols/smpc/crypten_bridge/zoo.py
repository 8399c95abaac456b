"""Small networks of PyTorch's, and an encoder in terms that CrypTen knows."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn
from torch.nn import functional

__all__ = ["LeNet", "Residual", "encoder_parameters", "encoder_plain", "encoder_private", "perceptron"]


class Residual(nn.Module):
    """A convolution and a batch norm, twice, beside a way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.calm, self.quiet = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Any) -> Any:
        inner = self.calm(self.first(x)).relu()
        return (x + self.quiet(self.second(inner))).relu()


class LeNet(nn.Module):
    """LeNet-5, with rectifiers and max-pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.planes = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.rows = nn.Sequential(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))

    def forward(self, x: Any) -> Any:
        return self.rows(self.planes(x).flatten(1))


def perceptron(*widths: int) -> nn.Sequential:
    """Linear layers of these widths, with rectifiers between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def encoder_parameters(width: int = 128, inner: int = 512, scale: float = 0.05) -> dict[str, Any]:
    """Of one layer of a transformer's encoder."""
    drawn = torch.Generator().manual_seed(0)
    shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "o": (width, width)}
    shapes |= {"grow": (width, inner), "shrink": (inner, width)}
    return {name: scale * torch.randn(*shape, generator=drawn) for name, shape in shapes.items()}


def encoder_plain(x: Any, weights: dict[str, Any], heads: int = 2) -> Any:
    """Attention and a feed-forward layer, each with a layer norm behind it: (tokens, width) to the same."""
    tokens, width = x.shape
    query, key, value = (_in_heads(x.matmul(weights[name]), tokens, heads, width) for name in "qkv")
    chances = (query.matmul(key.transpose(1, 2)) / (width // heads) ** 0.5).softmax(2)
    mixed = chances.matmul(value).transpose(0, 1).reshape(tokens, width)
    x = functional.layer_norm(x + mixed.matmul(weights["o"]), (width,))
    inner = functional.gelu(x.matmul(weights["grow"]))
    return functional.layer_norm(x + inner.matmul(weights["shrink"]), (width,))


def encoder_private(x: Any, weights: dict[str, Any], heads: int = 2) -> Any:
    """The same in methods of CrypTen's tensors: as a script for CrypTen must write it."""
    tokens, width = x.size()
    query, key, value = (_in_heads(x.matmul(weights[name]), tokens, heads, width) for name in "qkv")
    chances = (query.matmul(key.transpose(1, 2)) / (width // heads) ** 0.5).softmax(2)
    mixed = chances.matmul(value).transpose(0, 1).reshape(tokens, width)
    x = _normalized(x + mixed.matmul(weights["o"]))
    grown = x.matmul(weights["grow"])
    inner = grown * ((grown * 0.5**0.5).erf() + 1) * 0.5
    return _normalized(x + inner.matmul(weights["shrink"]))


def _in_heads(x: Any, tokens: int, heads: int, width: int) -> Any:
    return x.view(tokens, heads, width // heads).transpose(0, 1)


def _normalized(x: Any) -> Any:
    centred = x - x.mean(1, keepdim=True)
    return centred * (centred.square().mean(1, keepdim=True) + 1e-5).inv_sqrt()
