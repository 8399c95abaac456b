"""Losses on shares: how far the outputs are from the labels, and which way is down.

The slope is that of one row's loss with respect to the network's last outputs; none of the three needs the loss itself,
which is worked out only where it is to be revealed. The logistic loss and the cross-entropy take the network's outputs
before the sigmoid or softmax, whose own slope cancels against theirs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.replicated.arithmetic import bilinear
from protocols.smpc.replicated.functions import log_softmax, sigmoid, softmax
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.polynomial import Pieces, piecewise
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import truncate
from protocols.smpc.training.layers import BITS

__all__ = ["LossKind", "label_columns", "loss", "slope"]

LossKind = Literal["squared", "logistic", "cross-entropy"]


def label_columns(kind: LossKind, outputs: int) -> int:
    """How many columns of labels go with so many outputs. Raises BadInput: they do not go together."""
    if kind == "logistic" and outputs != 1:
        raise BadInput(f"The logistic loss is of one output, and the network has {outputs}: use cross-entropy.")
    if kind == "cross-entropy" and outputs < 2:
        raise BadInput("Cross-entropy is of two classes or more: use the logistic loss for one output.")
    return outputs


def slope(party: Party, kind: LossKind, outputs: Secret, labels: Secret) -> Secret:
    """(batch, columns) both: of half the squared difference, of the logistic loss, or of the cross-entropy. Labels of
    the logistic loss are 0 or 1, those of the cross-entropy one 1 a row."""
    match kind:
        case "squared":
            return outputs - labels
        case "logistic":
            return sigmoid(party, outputs, bits=BITS) - labels
        case "cross-entropy":
            return softmax(party, outputs, 1, bits=BITS) - labels


def loss(party: Party, kind: LossKind, outputs: Secret, labels: Secret) -> Secret:
    """The batch's mean, of shape (1,)."""
    rows = outputs.shape[0]
    match kind:
        case "squared":
            return _mean_of_products(party, outputs - labels, outputs - labels, 2 * rows)
        case "logistic":
            grown = piecewise(party, outputs, _softplus(), plus_relu=True, bits=BITS)
            share = round(2.0**party.fixed.fraction / rows)
            mean = truncate(party, grown.sum().reshape(1).times(share), party.fixed.fraction)
            return mean - _mean_of_products(party, outputs, labels, rows)
        case "cross-entropy":
            return -_mean_of_products(party, log_softmax(party, outputs, 1, bits=BITS), labels, rows)


def _mean_of_products(party: Party, left: Secret, right: Secret, rows: int) -> Secret:
    def total(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return np.asarray((a * b).sum(dtype=np.uint64)).reshape(1)

    added = bilinear(party, total, left, right)
    return truncate(party, added.times(round(2.0**party.fixed.fraction / rows)), party.fixed.fraction)


def _softplus() -> Pieces:
    return Pieces.of(lambda x: np.log1p(np.exp(-np.abs(x))), -16, 16, width=2, degree=5)
