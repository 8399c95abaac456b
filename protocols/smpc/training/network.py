"""Networks that can be trained on shares: their layers, the shapes in between, and where their weights begin.

Pure. Weights begin at numbers that everybody knows: they are worked out from a public seed by a hash, so that all
three parties begin at the same ones whatever their libraries are. What training makes of them is secret.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput

__all__ = ["MOST_WEIGHTS", "Laid", "Layer", "Shape", "initial_weights", "lay_out", "uniform"]

Shape = tuple[int, ...]
Kind = Literal["dense", "conv", "relu", "max-pool", "average-pool", "flatten"]

MOST_WEIGHTS = 2**24
"""Numbers in a model that is trained: 256 MiB of shares at each party, and as much again for each row of momenta."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, as a person writes it.

    Attributes:
        kind: what it does.
        size: outputs of a dense layer, channels of a convolution, side of a pooling window.
        kernel: side of a convolution's kernel.
        stride, padding: of a convolution; pooling windows lie side by side.
    """

    kind: Kind
    size: int = 0
    kernel: int = 0
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Laid:
    """A layer in its place.

    Attributes:
        before, after: shapes of one row of data there, without the batch.
        weight: shape of its matrix or kernels; () if it has none. A bias has `weight[-1]` entries after a matrix
            (inputs, outputs), and `weight[0]` after kernels (outputs, inputs, height, width).
    """

    layer: Layer
    before: Shape
    after: Shape
    weight: Shape = ()

    @property
    def bias(self) -> int:
        """Entries of the bias."""
        if not self.weight:
            return 0
        return self.weight[-1] if self.layer.kind == "dense" else self.weight[0]

    @property
    def count(self) -> int:
        """Numbers that are trained: the weight's and then the bias's."""
        return math.prod(self.weight) + self.bias if self.weight else 0


def lay_out(layers: Sequence[Layer], shape: Shape) -> tuple[Laid, ...]:
    """Every layer with its shapes. A rectifier right before max-pooling goes after it: the same, on fewer numbers.

    Args:
        shape: of one row of data: (columns,) or (channels, height, width).

    Raises:
        BadInput: a layer does not fit what comes before it, nothing is trained, or too much is.
    """
    out: list[Laid] = []
    for number, layer in enumerate(_swapped(layers)):
        try:
            out.append(_laid(layer, shape))
        except BadInput as error:
            raise BadInput(f"Layer {number + 1}, {layer.kind}: {error}") from None
        shape = out[-1].after
    if not 0 < sum(laid.count for laid in out) <= MOST_WEIGHTS:
        raise BadInput(f"A network has 1 to {MOST_WEIGHTS} weights; this one has {sum(laid.count for laid in out)}.")
    if len(shape) != 1:
        raise BadInput(f"The network ends in a shape of {shape}; end it with a flatten or a dense layer.")
    return tuple(out)


def _swapped(layers: Sequence[Layer]) -> list[Layer]:
    out = list(layers)
    for at in range(len(out) - 1):
        if (out[at].kind, out[at + 1].kind) == ("relu", "max-pool"):
            out[at], out[at + 1] = out[at + 1], out[at]
    return out


def _laid(layer: Layer, shape: Shape) -> Laid:
    match layer.kind:
        case "dense":
            _require(len(shape) == 1, f"takes rows, and here come {shape}: put a flatten before it.")
            _require(layer.size > 0, "needs its number of outputs: size.")
            return Laid(layer, shape, (layer.size,), (shape[0], layer.size))
        case "conv":
            _require(len(shape) == 3, f"takes (channels, height, width), and here comes {shape}.")
            _require(layer.size > 0 and layer.kernel > 0 and layer.stride > 0, "needs size, kernel and stride above 0.")
            _require(0 <= layer.padding < layer.kernel, "takes a padding of 0 to one less than its kernel.")
            sides = [(side + 2 * layer.padding - layer.kernel) // layer.stride + 1 for side in shape[1:]]
            _require(min(sides) > 0, f"has a kernel that does not fit {shape}.")
            return Laid(layer, shape, (layer.size, *sides), (layer.size, shape[0], layer.kernel, layer.kernel))
        case "max-pool" | "average-pool":
            _require(len(shape) == 3 and layer.size > 1, "takes (channels, height, width) and a size of 2 or more.")
            sides = [side // layer.size for side in shape[1:]]
            _require(min(sides) > 0, f"has a window that does not fit {shape}.")
            return Laid(layer, shape, (shape[0], *sides))
        case "flatten":
            return Laid(layer, shape, (math.prod(shape),))
        case "relu":
            return Laid(layer, shape, shape)


def _require(fine: bool, sentence: str) -> None:
    if not fine:
        raise BadInput(sentence)


def initial_weights(network: Sequence[Laid], seed: int) -> NDArray[np.float64]:
    """Every weight and bias in one row: uniform after He et al. 2015 (Glorot and Bengio 2010 in the last layer, zero in
    the only one), biases zero."""
    trained = [laid for laid in network if laid.weight]
    rows = []
    for number, laid in enumerate(trained):
        inputs = laid.count // laid.bias - 1
        last = laid is trained[-1]
        spread = math.sqrt(6 / (inputs + laid.bias if last else inputs)) if len(trained) > 1 else 0.0
        size = math.prod(laid.weight)
        rows += [spread * (2 * uniform(b"weights %d %d" % (seed, number), size) - 1), np.zeros(laid.bias)]
    return np.concatenate(rows)


def uniform(label: bytes, count: int) -> NDArray[np.float64]:
    """Numbers from 0 to 1, the same everywhere for one label: 32 bits each of SHAKE-256."""
    words = np.frombuffer(hashlib.shake_256(b"veilmesh training " + label).digest(4 * count), "<u4")
    return words.astype(np.float64) / 2.0**32
