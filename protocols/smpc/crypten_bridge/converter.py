"""What CrypTen's converter from PyTorch and ONNX lacks on this torch: its exporter, and some operators.

torch exports by another way since 2.9 unless told otherwise, which CrypTen 0.4.1 cannot read; and it writes `Identity`
where two layers have equal weights, so that no network with two batch norms could be converted.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import torch

from protocols.smpc.crypten_bridge.names import crypten

__all__ = ["Identity", "LayerNormalization", "Tanh", "mend_converter"]

_OPSET = 17  # what CrypTen's converter is written for
Module: Any = crypten.nn.Module


def mend_converter() -> None:
    """From now on, in this process, `crypten.nn.from_pytorch` and `from_onnx` know more. Twice changes nothing."""
    converter = crypten.nn.onnx_converter
    converter._export_pytorch_model = _exported
    converter.ONNX_TO_CRYPTEN.update(Identity=Identity, Tanh=Tanh, LayerNormalization=LayerNormalization)


class Identity(Module):  # type: ignore[misc]  # CrypTen is not annotated
    """What comes in."""

    def forward(self, x: Any) -> Any:
        return x

    @staticmethod
    def from_onnx(attributes: dict[str, Any] | None = None) -> Identity:
        return Identity()


class Tanh(Module):  # type: ignore[misc]
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return x.tanh()

    @staticmethod
    def from_onnx(attributes: dict[str, Any] | None = None) -> Tanh:
        return Tanh()


class LayerNormalization(Module):  # type: ignore[misc]
    """(x, weight, bias): x less its mean, over the root of its variance, along the last axes.

    For a variance from 2**-16 to 2**16.
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.axis = axis
        self.epsilon = epsilon

    def forward(self, inputs: Any) -> Any:
        x, *rest = inputs
        start = self.axis % x.dim()
        rows = x.flatten(start) if start < x.dim() - 1 else x
        centred = rows - rows.mean(start, keepdim=True)
        variance = centred.square().mean(start, keepdim=True) + self.epsilon
        if crypten.CrypTensor.AUTOGRAD_ENABLED and variance.requires_grad:
            inverse = variance.sqrt().reciprocal()  # which have gradients
        else:
            inverse = variance.inv_sqrt()
        out = (centred * inverse).reshape(x.size()) * rest[0]
        return out + rest[1] if len(rest) > 1 else out

    @classmethod
    def from_onnx(cls, attributes: dict[str, Any] | None = None) -> Self:
        given = attributes or {}
        return cls(given.get("axis", -1), given.get("epsilon", 1e-5))


def _exported(file: Any, model: Any, example: Any) -> Any:
    """In CrypTen's function of this name, `operator_export_type` is no more, and `dynamo` is needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that CrypTen needs is the older one, and says so
        torch.onnx.export(
            model, example, file, dynamo=False, do_constant_folding=False, export_params=True, opset_version=_OPSET,
            input_names=["input"], output_names=["output"],
        )  # fmt: skip
    return file
