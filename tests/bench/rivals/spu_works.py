"""The rows as JAX functions, channels last, which is how SPU runs convolutions best."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.bench.rivals.works import ROWS, STRIDES, Array, encoder_weights, numbers, weights

__all__ = ["Work", "work_of"]


@dataclass(frozen=True, slots=True)
class Work:
    """A function, and all that it is given, each secret."""

    function: Callable[..., Any]
    given: list[Array]


def work_of(row: str) -> Work:
    """Raises KeyError: there is no such row."""
    net, given = ROWS[row].net, numbers(row)
    if row in _CALLS:
        return Work(_CALLS[row], [_last(value) for value in given])
    if net == "encoder":
        layers = encoder_weights()
        return Work(_encoder, [*given, *(layer[name] for layer in layers for name in _NAMES)])
    flat = [part for weight, bias in weights(net) for part in (_turned(weight), bias)]
    function = _STEPS.get(row) or _NETS[net]
    return Work(function, [*(_last(value) for value in given), *flat])


def _last(value: Array) -> Array:
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if value.ndim == 4 else value


def _turned(weight: Array) -> Array:
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0)) if weight.ndim == 4 else weight


def _relu(x: Any) -> Any:
    return jnp.maximum(x, 0.0)


def _pool(x: Any, kernel: int = 2, stride: int = 2, pad: int = 0) -> Any:
    window, strides = (1, kernel, kernel, 1), (1, stride, stride, 1)
    padding = [(0, 0), (pad, pad), (pad, pad), (0, 0)] if pad else "VALID"
    return jax.lax.reduce_window(x, -1e4 if pad else -jnp.inf, jax.lax.max, window, strides, padding)


def _conv(x: Any, layers: Iterator[Any], stride: int = 1, pad: int = 0) -> Any:
    weight, bias = next(layers), next(layers)
    sides = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, weight, [stride] * 2, [(pad, pad)] * 2, dimension_numbers=sides) + bias


def _dense(x: Any, *flat: Any) -> Any:
    for place in range(0, len(flat), 2):
        x = x @ flat[place] + flat[place + 1]
        x = _relu(x) if place + 2 < len(flat) else x
    return x


def _lenet(x: Any, *flat: Any) -> Any:
    layers = iter(flat)
    x = _pool(_relu(_conv(x, layers, 1, 2)))
    x = _pool(_relu(_conv(x, layers)))
    return _dense(x.reshape(x.shape[0], -1), *layers)


def _resnet(large: bool, x: Any, *flat: Any) -> Any:
    layers = iter(flat)
    x = _relu(_conv(x, layers, 2, 3) if large else _conv(x, layers, 1, 1))
    x = _pool(x, 3, 2, 1) if large else x
    for _, stride in STRIDES:
        branch = _conv(_relu(_conv(x, layers, stride, 1)), layers, 1, 1)
        x = _relu(branch + (_conv(x, layers, stride, 0) if stride > 1 else x))
    return _dense(x.mean((1, 2)), *layers)


_NAMES = ("wq", "wk", "wv", "wo", "w1", "w2", "bq", "bk", "bv", "bo", "b1", "b2", "g1", "e1", "g2", "e2")


def _encoder(x: Any, *flat: Any) -> Any:
    tokens, width = ROWS["encoder"].shape
    heads = 2

    def norm(x: Any, scale: Any, offset: Any) -> Any:
        centred = x - x.mean(1, keepdims=True)
        return centred * jax.lax.rsqrt((centred * centred).mean(1, keepdims=True) + 1e-5) * scale + offset

    def split(x: Any) -> Any:
        return x.reshape(tokens, heads, width // heads).transpose(1, 0, 2)

    for layer in range(2):
        p = dict(zip(_NAMES, flat[layer * len(_NAMES) :], strict=False))
        q, k, v = (split(x @ p[f"w{name}"] + p[f"b{name}"]) for name in "qkv")
        mixed = jax.nn.softmax((q @ k.transpose(0, 2, 1)) * (width // heads) ** -0.5, axis=-1) @ v
        x = norm(x + mixed.transpose(1, 0, 2).reshape(tokens, width) @ p["wo"] + p["bo"], p["g1"], p["e1"])
        h = x @ p["w1"] + p["b1"]
        gelu = 0.5 * h * (1 + jnp.tanh(0.7978845608 * (h + 0.044715 * h * h * h)))
        x = norm(x + gelu @ p["w2"] + p["b2"], p["g2"], p["e2"])
    return x


def _logistic_step(x: Any, y: Any, weight: Any, bias: Any) -> Any:
    """A step of gradient descent, its gradient written out."""
    slope = (jax.nn.sigmoid(x @ weight + bias) - y) * (1.0 / x.shape[0])
    return weight - 0.1 * (x.T @ slope), bias - 0.1 * slope.sum(0)


def _mlp_step(x: Any, y: Any, *flat: Any) -> Any:
    """Forward, the gradient of cross-entropy after softmax, backward, and a step, all written out."""
    w1, b1, w2, b2, w3, b3 = flat
    z1 = x @ w1 + b1
    m1 = z1 > 0
    h1 = jnp.where(m1, z1, 0.0)
    z2 = h1 @ w2 + b2
    m2 = z2 > 0
    h2 = jnp.where(m2, z2, 0.0)
    d3 = (jax.nn.softmax(h2 @ w3 + b3, axis=1) - y) * (1.0 / x.shape[0])
    d2 = jnp.where(m2, d3 @ w3.T, 0.0)
    d1 = jnp.where(m1, d2 @ w2.T, 0.0)
    gradients = (x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0))
    return tuple(held - 0.1 * slope for held, slope in zip(flat, gradients, strict=True))


_CALLS: dict[str, Callable[..., Any]] = {
    "relu": _relu,
    "matmul": jnp.matmul,
    "maxpool": _pool,
    "softmax": partial(jax.nn.softmax, axis=1),
}

_STEPS: dict[str, Callable[..., Any]] = {"logistic-step": _logistic_step, "mlp-step": _mlp_step}

_NETS: dict[str, Callable[..., Any]] = {
    "mlp": _dense,
    "lenet": _lenet,
    "resnet": partial(_resnet, False),
    "resnet-large": partial(_resnet, True),
}
