"""A trained model as others use it: its weights by name, and as ports of a private program. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.smpc.program.steps import Port, Tensor
from protocols.smpc.training.network import Laid

__all__ = ["named_weights", "weight_ports"]


def weight_ports(network: Sequence[Laid]) -> tuple[Port, ...]:
    """A weight and a bias for each layer that has them, "w0", "b0", "w1" and so on, in the order of the row of all."""
    trained = [laid for laid in network if laid.weight]
    return tuple(
        port
        for number, laid in enumerate(trained)
        for port in (
            Port(f"w{number}", Tensor(2 * number, "number", laid.weight)),
            Port(f"b{number}", Tensor(2 * number + 1, "number", (laid.bias,))),
        )
    )


def named_weights(network: Sequence[Laid], row: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    """A row of all weights, cut up and named."""
    found, start = {}, 0
    for port in weight_ports(network):
        size = math.prod(port.tensor.shape)
        found[port.name] = row[start : start + size].reshape(port.tensor.shape).astype(np.float32)
        start += size
    return found
