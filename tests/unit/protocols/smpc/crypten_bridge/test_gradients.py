"""CrypTen's autograd over secret tensors, against torch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.unit.protocols.smpc.crypten_bridge.test_tensor import PLANES, POSITIVE, UNIT, X, Y, values
from tests.unit.protocols.smpc.crypten_bridge.together import crypten, gradients, together

Function = Callable[..., Any]
WEIGHTS = values(2, 4, 3, 3, seed=5, scale=1.0)


def planar(name: str, **settings: Any) -> Function:
    def function(*arrays: Any) -> Any:
        if torch.is_tensor(arrays[0]):
            return getattr(functional, name)(*arrays, **settings)
        return getattr(arrays[0], name)(*arrays[1:], **settings)

    return function


CASES: dict[str, tuple[Function, tuple[Any, ...], float]] = {
    "add": (lambda a, b: a + b[0], (X, Y), 1e-4),
    "subtract": (lambda a, b: 1 - a - b, (X, Y), 1e-4),
    "multiply": (lambda a, b: a * b, (X, Y), 1e-4),
    "multiply by itself": (lambda a: a * a, (X,), 1e-4),
    "divide": (lambda a, b: a / b, (X, POSITIVE), 0.1),
    "divide by a number": (lambda a: a / 7, (X,), 1e-4),
    "matrices": (lambda a, b: a.matmul(b.t()), (X, Y), 2e-4),
    "square": (lambda a: a.square(), (X,), 1e-4),
    "cube": (lambda a: a.pow(3), (X,), 5e-3),
    "relu": (lambda a: a.relu(), (X,), 1e-4),
    "abs": (lambda a: a.abs(), (X,), 1e-4),
    "hardtanh": (lambda a: a.hardtanh() if not torch.is_tensor(a) else functional.hardtanh(a), (X,), 1e-4),
    "sigmoid": (lambda a: a.sigmoid(), (X,), 1e-4),
    "tanh": (lambda a: a.tanh(), (X,), 2e-4),
    "exp": (lambda a: a.exp(), (X / 3,), 1e-2),
    "log": (lambda a: a.log(), (POSITIVE,), 1e-3),
    "sqrt": (lambda a: a.sqrt(), (POSITIVE,), 1e-3),
    "reciprocal": (lambda a: a.reciprocal(), (POSITIVE,), 0.05),
    "sine": (lambda a: a.sin(), (X,), 1e-4),
    "softmax": (lambda a: a.softmax(1), (X,), 2e-4),
    "logarithm of softmax": (lambda a: a.log_softmax(1), (X,), 5e-4),
    "sum": (lambda a: a.sum(1), (X,), 1e-4),
    "mean": (lambda a: a.mean(0), (X,), 1e-4),
    "largest": (lambda a: a.max(1)[0], (X,), 1e-4),
    "least": (lambda a: a.min(1)[0], (X,), 1e-4),
    "norm": (lambda a: a.norm(), (X,), 1e-3),
    "transpose": (lambda a: a.transpose(0, 1).reshape(20), (X,), 1e-4),
    "take some": (lambda a: a.index_select(1, torch.tensor([0, 0, 3])), (X,), 1e-4),
    "gather": (lambda a: a.gather(0, torch.tensor([[0, 1, 1, 3, 0]])), (X,), 1e-4),
    "join": (lambda a, b: (torch if torch.is_tensor(a) else crypten).cat([a, b]), (X, Y), 1e-4),
    "pile up": (lambda a, b: (torch if torch.is_tensor(a) else crypten).stack([a, b]), (X, Y), 1e-4),
    "choose": (lambda a, b: a.where(Y > 0, b), (X, Y), 1e-4),
    "convolve": (planar("conv2d", stride=2, padding=1), (PLANES, WEIGHTS), 1e-3),
    "convolve in groups": (planar("conv2d", padding=1, groups=4), (PLANES, values(4, 1, 3, 3)), 1e-3),
    "convolve rows": (planar("conv1d", stride=2, padding=1), (PLANES[:, :, 0], WEIGHTS[:, :, 0]), 1e-3),
    "average windows": (planar("avg_pool2d", kernel_size=2), (PLANES,), 1e-4),
    "largest of windows": (planar("max_pool2d", kernel_size=3, stride=2, padding=1), (PLANES,), 1e-4),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_torchs(name: str) -> None:
    """Of the sum of the result times random weights, with respect to every argument."""
    function, arguments, bound = CASES[name]
    known = [argument.clone().requires_grad_() for argument in arguments]
    result = function(*known)
    weights = values(*result.shape, seed=9, scale=1.0) if result.dim() else torch.tensor(1.5)
    (result * weights).sum().backward()
    for one, got in zip(known, gradients(function, weights, *arguments), strict=True):
        assert one.grad.shape == got.shape
        assert float((one.grad - got).abs().max()) <= bound


LOSSES: dict[str, tuple[Any, Any, Any]] = {
    "MSELoss": (torch.nn.functional.mse_loss, X, Y),
    "L1Loss": (torch.nn.functional.l1_loss, X, Y),
    "BCELoss": (torch.nn.functional.binary_cross_entropy, Y.sigmoid(), (X > 0).float()),
    "BCEWithLogitsLoss": (torch.nn.functional.binary_cross_entropy_with_logits, X, (Y > 0).float()),
    "CrossEntropyLoss": (torch.nn.functional.cross_entropy, X, functional.one_hot(Y.argmax(1), 5).float()),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients_are_torchs(name: str) -> None:
    """Each of CrypTen's criteria."""
    expected, prediction, target = LOSSES[name]
    known = prediction.clone().requires_grad_()
    loss = expected(known, target)
    loss.backward()

    def program() -> Any:
        secret = crypten.cryptensor(prediction, requires_grad=True)
        private = getattr(crypten.nn, name)()(secret, crypten.cryptensor(target))
        private.backward()
        return [private.get_plain_text(), secret.grad.get_plain_text()]

    value, gradient = together(program)
    assert loss.item() == pytest.approx(float(value), abs=5e-4)
    assert float((known.grad - gradient).abs().max()) <= 5e-3


def test_dropout_leaves_out_the_same_at_all_three() -> None:
    """Some fall out, the rest grow by as much, and gradients flow through those alone."""

    def program() -> Any:
        secret = crypten.cryptensor(torch.ones(40, 50), requires_grad=True)
        kept = secret.dropout(0.25)
        kept.sum().backward()
        return [kept.get_plain_text(), secret.grad.get_plain_text()]

    kept, gradient = together(program)
    assert bool(((kept == 0) | ((kept - 4 / 3).abs() < 2 * UNIT)).all())
    assert 0.75 == pytest.approx(float((kept > 0).float().mean()), abs=0.05)
    assert bool(((gradient > 0) == (kept > 0)).all())


def test_what_needs_no_gradient_gets_none() -> None:
    """Inside `no_grad`, and after `detach`."""

    def program() -> Any:
        secret = crypten.cryptensor(X, requires_grad=True)
        with crypten.no_grad():
            assert not (secret * 2).requires_grad
        assert not secret.detach().requires_grad
        return [X]

    together(program)
