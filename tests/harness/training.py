"""The same training in plain numbers: what private training is compared with, layer by layer and step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.smpc.training.learner import Recipe
from protocols.smpc.training.network import Laid, initial_weights
from protocols.smpc.training.optimisers import FLOOR, MOMENTA

__all__ = ["Plain", "accuracy", "one_hot"]

Numbers = NDArray[np.float64]
Back = Callable[[Numbers], tuple[Numbers, list[Numbers]]]
"""From the slope of a layer's outputs to that of its inputs, and to its gradients."""


class Plain:
    """Training with the same recipe, the same batches and no secrets, in float64.

    Attributes:
        weights: (count,) every weight and bias.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.weights = initial_weights(recipe.network, recipe.seed)
        self._momenta = [np.zeros_like(self.weights) for _ in range(MOMENTA[recipe.optimiser.kind])]
        self._steps = 0

    def step(self, x: Numbers, labels: Numbers) -> float:
        """One step; the loss before it."""
        told, gradient = self.loss(x, labels), self.gradient(x, labels)
        self._steps += 1
        self.weights = self.weights - self._change(gradient)
        return told

    def outputs(self, x: Numbers) -> Numbers:
        """Before any sigmoid or softmax."""
        return self._forward(x)[0]

    def gradient(self, x: Numbers, labels: Numbers) -> Numbers:
        """Mean over the batch, without a step."""
        outputs, backs = self._forward(x)
        down = self._slope(outputs, labels)
        pieces: list[Numbers] = []
        for back in reversed(backs):
            down, learnt = back(down)
            pieces = learnt + pieces
        return np.concatenate([piece.ravel() for piece in pieces]) / len(x)

    def loss(self, x: Numbers, labels: Numbers) -> float:
        """Of a batch, without a step."""
        return self._loss(self.outputs(x), labels)

    def _forward(self, x: Numbers) -> tuple[Numbers, list[Back]]:
        backs, start = [], 0
        for laid in self._recipe.network:
            own = self.weights[start : start + laid.count]
            start += laid.count
            x, back = _layer(laid, own, x)
            backs.append(back)
        return x, backs

    def _slope(self, outputs: Numbers, labels: Numbers) -> Numbers:
        match self._recipe.loss:
            case "squared":
                return outputs - labels
            case "logistic":
                return 1 / (1 + np.exp(-outputs)) - labels
            case "cross-entropy":
                return np.exp(_log_softmax(outputs)) - labels

    def _loss(self, outputs: Numbers, labels: Numbers) -> float:
        match self._recipe.loss:
            case "squared":
                return float(((outputs - labels) ** 2).sum() / 2 / len(labels))
            case "logistic":
                return float((np.logaddexp(0, outputs) - labels * outputs).sum() / len(labels))
            case "cross-entropy":
                return float(-(_log_softmax(outputs) * labels).sum() / len(labels))

    def _change(self, gradient: Numbers) -> Numbers:
        how, momenta = self._recipe.optimiser, self._momenta
        match how.kind:
            case "sgd":
                return how.rate * (gradient + how.decay * self.weights)
            case "momentum":
                momenta[0] = how.momentum * momenta[0] + how.rate * (gradient + how.decay * self.weights)
                return momenta[0]
            case "adam":
                momenta[0] = how.momentum * momenta[0] + (1 - how.momentum) * gradient
                momenta[1] = how.squares * momenta[1] + (1 - how.squares) * gradient**2
                fair = math.sqrt(1 - how.squares**self._steps) / (1 - how.momentum**self._steps)
                return how.rate * fair * momenta[0] / np.sqrt(np.maximum(momenta[1], FLOOR))


def accuracy(outputs: Numbers, labels: Numbers) -> float:
    """The share of rows whose class is right; labels of one column are 0 or 1."""
    if outputs.shape[1] == 1:
        return float(((outputs > 0) == (labels > 0.5)).mean())
    return float((outputs.argmax(1) == labels.argmax(1)).mean())


def _log_softmax(x: Numbers) -> Numbers:
    x = x - x.max(1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(1, keepdims=True)))


def _layer(laid: Laid, own: Numbers, x: Numbers) -> tuple[Numbers, Back]:
    batch, size = len(x), laid.layer.size
    match laid.layer.kind:
        case "flatten":
            return x.reshape(batch, -1), lambda down: (down.reshape(x.shape), [])
        case "relu":
            return np.maximum(x, 0), lambda down: (down * (x >= 0), [])
        case "dense":
            weight, bias = own[: -laid.bias].reshape(laid.weight), own[-laid.bias :]
            return x @ weight + bias, lambda down: (down @ weight.T, [x.T @ down, down.sum(0)])
        case "conv":
            return _conv(laid, own, x)
    windows, put_back = _windows(x, size)
    if laid.layer.kind == "average-pool":
        return np.asarray(windows.mean(-1)), lambda down: (
            put_back(np.repeat(down[..., None] / size**2, size**2, -1)),
            [],
        )
    best = windows == windows.max(-1, keepdims=True)
    best &= np.cumsum(best, -1) == 1
    return np.asarray(windows.max(-1)), lambda down: (put_back(down[..., None] * best), [])


def _conv(laid: Laid, own: Numbers, x: Numbers) -> tuple[Numbers, Back]:
    side, pad, step = laid.layer.kernel, laid.layer.padding, laid.layer.stride
    weight, bias = own[: -laid.bias].reshape(laid.weight), own[-laid.bias :]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = laid.after[1:]
    places = [
        (i, j, slice(i, i + rows * step, step), slice(j, j + columns * step, step))
        for i in range(side)
        for j in range(side)
    ]
    padded = np.pad(padded, ((0, 0), (0, 0), (0, step), (0, step)))
    out = sum(np.einsum("bchw,oc->bohw", padded[:, :, a, b], weight[:, :, i, j]) for i, j, a, b in places)

    def back(down: Numbers) -> tuple[Numbers, list[Numbers]]:
        slopes, kernel = np.zeros_like(padded), np.zeros_like(weight)
        for i, j, a, b in places:
            slopes[:, :, a, b] += np.einsum("bohw,oc->bchw", down, weight[:, :, i, j])
            kernel[:, :, i, j] = np.einsum("bohw,bchw->oc", down, padded[:, :, a, b])
        height, width = x.shape[2:]
        return slopes[:, :, pad : pad + height, pad : pad + width], [kernel, down.sum((0, 2, 3))]

    return np.asarray(out) + bias[:, None, None], back


def _windows(x: Numbers, size: int) -> tuple[Numbers, Callable[[Numbers], Numbers]]:
    batch, channels, height, width = x.shape
    rows, columns = height // size, width // size
    cut = x[:, :, : rows * size, : columns * size].reshape(batch, channels, rows, size, columns, size)

    def put_back(windows: Any) -> Numbers:
        out = np.zeros_like(x)
        laid = windows.reshape(batch, channels, rows, columns, size, size).transpose(0, 1, 2, 4, 3, 5)
        out[:, :, : rows * size, : columns * size] = laid.reshape(batch, channels, rows * size, columns * size)
        return out

    return cut.transpose(0, 1, 2, 4, 3, 5).reshape(batch, channels, rows, columns, -1), put_back


def one_hot(classes: Sequence[int] | NDArray[np.integer[Any]], count: int) -> Numbers:
    """(rows, count) with one 1 each."""
    return np.asarray(np.eye(count)[np.asarray(classes)])
