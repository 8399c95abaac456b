"""Every operation of the engine, as one party sees it: the same for all inputs, in number, order, length and law."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated import arithmetic, comparison, functions, scaling
from tests.unit.protocols.smpc.parties import FIXED, compute
from tests.unit.protocols.smpc.statistics import alike, uniform

Array = Any
Program = Callable[..., Any]

COUNT = 1200
POSITIVE = (np.full(COUNT, 0.5), 1.0 + np.arange(COUNT) % 97)
ANY = (np.zeros(COUNT), np.where(np.arange(COUNT) % 3, 100.5, -3.25))


def pictures(x: Any) -> Any:
    return x.reshape(1, 3, 20, 20)


def kernel(x: Any) -> Any:
    return x[:108].reshape(4, 3, 3, 3)


OPERATIONS: dict[str, Program] = {
    "add": lambda party, x: arithmetic.add(party, x, 1.5),
    "average_pool": lambda party, x: arithmetic.average_pool(party, pictures(x), (2, 2)),
    "bilinear": lambda party, x: arithmetic.bilinear(party, np.multiply, x, x, plus=x),
    "conv1d": lambda party, x: arithmetic.conv1d(party, x.reshape(4, 3, 100), x[:27].reshape(3, 3, 3)),
    "conv2d": lambda party, x: arithmetic.conv2d(party, pictures(x), kernel(x)),
    "conv_transposed": lambda party, x: arithmetic.conv_transposed(party, pictures(x), x[:108].reshape(3, 4, 3, 3)),
    "dot": lambda party, x: arithmetic.dot(party, x.reshape(300, 4), x.reshape(300, 4), axis=1),
    "mean": lambda party, x: arithmetic.mean(party, x.reshape(300, 4), 1),
    "multiply": lambda party, x: arithmetic.multiply(party, x, x),
    "product": lambda party, x: arithmetic.product(party, x.reshape(30, 40), x.reshape(40, 30)),
    "scale": lambda party, x: arithmetic.scale(party, x, 0.3),
    "absolute": comparison.absolute,
    "argmax": lambda party, x: comparison.argmax(party, x.reshape(4, 300), 0)[1],
    "clamp": lambda party, x: comparison.clamp(party, x, -1.0, 1.0),
    "equal": lambda party, x: comparison.equal(party, x, x),
    "is_negative": comparison.is_negative,
    "is_zero": comparison.is_zero,
    "largest": lambda party, x: comparison.largest(party, x.reshape(4, 300), 0),
    "less": lambda party, x: comparison.less(party, x, -x),
    "max_pool": lambda party, x: comparison.max_pool(party, pictures(x), (2, 2)),
    "maximum": lambda party, x: comparison.maximum(party, x, -x),
    "minimum": lambda party, x: comparison.minimum(party, x, -x),
    "relu": comparison.relu,
    "signs": lambda party, x: tuple(comparison.signs(party, [(x, 64), (x[:500], 40)])),
    "erf": functions.erf,
    "exponential": functions.exponential,
    "gelu": functions.gelu,
    "hyperbolic_tangent": functions.hyperbolic_tangent,
    "layer_norm": lambda party, x: functions.layer_norm(party, x.reshape(12, 100), 1),
    "log_softmax": lambda party, x: functions.log_softmax(party, x.reshape(12, 100), 1),
    "sigmoid": functions.sigmoid,
    "silu": functions.silu,
    "softmax": lambda party, x: functions.softmax(party, x.reshape(12, 100), 1),
    "divide": lambda party, x: scaling.divide(party, x, x),
    "inverse_root": scaling.inverse_root,
    "logarithm": scaling.logarithm,
    "over_root": lambda party, x: scaling.over_root(party, x, x.times(2**18), low=-18, high=22, fraction=36),
    "reciprocal": partial(scaling.reciprocal, high=16),
    # Shares of a whole, both of which that operation takes with 26 fractional bits.
    "shares_of": lambda party, x: scaling.shares_of(party, x.times(2**8), x.times(2**9), high=16),
    "square_root": scaling.square_root,
}
"""By the name under which the engine offers it."""


def test_no_operation_is_left_out() -> None:
    """What the engine's rooms offer is what is looked at here."""
    offered = {name for room in (arithmetic, comparison, functions, scaling) for name in room.__all__}
    assert offered <= OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_two_inputs_give_views_alike(name: str) -> None:
    """To each single party: messages of one number, order and length, each uniform, and alike in distribution.

    The inputs differ as much as they can: all the same against many, and for divisors and roots, positive ones.
    """
    inputs = POSITIVE if hasattr(scaling, name) else ANY
    one, other = (_views(OPERATIONS[name], given, seed) for seed, given in enumerate(inputs))

    for rank, (first, second) in enumerate(zip(one, other, strict=True)):
        assert list(map(len, first)) == list(map(len, second))
        assert rank or not first  # rank 0 hears nothing at all until a result is opened
        assert not first or alike(b"".join(first), b"".join(second))
        for message in (*first, *second):
            assert len(message) < 2000 or uniform(message)


def _views(program: Program, inputs: Array, seed: int) -> list[list[bytes]]:
    """By rank, what it heard before the opening, message by message."""
    links = compute(program, FIXED.encode(inputs), seed=seed, record=True).links
    return [link.heard[: link.heard.index(b"")] for link in links]
