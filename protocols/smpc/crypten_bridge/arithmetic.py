"""Sums, products, matrices, convolutions and averages of secret tensors, under CrypTen's names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.crypten_bridge.layout import as_pair, geometry_of
from protocols.smpc.crypten_bridge.public import addend, factor, is_public, numbers_of
from protocols.smpc.crypten_bridge.session import myself
from protocols.smpc.crypten_bridge.shared import Shared
from protocols.smpc.replicated import arithmetic, scaling
from protocols.smpc.replicated.kernels import Geometry, convolve, matmul
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.truncation import truncate

__all__ = ["Arithmetic"]

Operation = Callable[[Words, Words], Words]


class Arithmetic(Shared):
    """A factor that everybody knows costs no message, but for truncation; integers and bits not even that."""

    def add(self, other: Any) -> Self:
        party, mine = myself(), self._tensor
        if not is_public(other):
            theirs = self._pair(other)
            fraction = max(mine.fraction, theirs.fraction)
            return self._made(mine.at(fraction).secret() + theirs.at(fraction).secret(), fraction)
        words, fraction = addend(other, party.fixed, mine.fraction)
        mine, shape = mine.at(fraction), np.broadcast_shapes(tuple(mine.shape), words.shape)
        return self._made(party.add(mine.secret().broadcast_to(shape), words), fraction, mine)

    def sub(self, other: Any) -> Self:
        return self.add(-numbers_of(other) if is_public(other) else other.neg())

    def neg(self) -> Self:
        return self.around(self._tensor.apply("neg"))

    def mul(self, other: Any) -> Self:
        return self._times(np.multiply, other)

    def square(self) -> Self:
        return self._times(np.multiply, self)

    def div(self, other: Any) -> Self:
        """By numbers that everybody knows, or by secret ones of absolute value 2**-8 to 2**16; what is nearer to zero
        or farther counts as that."""
        if is_public(other):
            with np.errstate(divide="ignore"):
                return self.mul(1 / numbers_of(other))
        left, right = self._fine(), other._fine()
        shape = np.broadcast_shapes(left.shape, right.shape)
        party = myself()
        return self._made(scaling.divide(party, left.broadcast_to(shape), right.broadcast_to(shape)))

    def matmul(self, other: Any) -> Self:
        return self._times(matmul, other)

    def conv2d(self, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Self:
        """(batch, channels, height, width) with (outputs, channels / groups, height, width)."""
        return self._times(partial(convolve, geometry=geometry_of(stride, padding, dilation, groups)), kernel)

    def conv1d(self, kernel: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
        """(batch, channels, length) with (outputs, channels / groups, length)."""
        layout = {"stride": as_pair(stride, 1), "padding": as_pair(padding, 0), "dilation": as_pair(dilation, 1)}
        return self.unsqueeze(2).conv2d(kernel.unsqueeze(2), groups=groups, **layout).squeeze(2)

    def conv_transpose2d(self, kernel: Any, bias: None = None, **layout: Any) -> Self:
        """`layout`: stride, padding, output_padding, groups and dilation, as torch has them."""
        surplus, cut = as_pair(layout.pop("output_padding", 0)), as_pair(layout.pop("padding", 0))
        inside = _covered(cut, kernel.shape[2:], as_pair(layout.get("dilation", 1)))
        geometry = geometry_of(padding=inside, **layout)
        fraction = myself().fixed.fraction
        weights = self._pair(kernel).at(fraction).secret()
        party = myself()
        grown = arithmetic.conv_transposed(party, self._fine(), weights, geometry, surplus=surplus)
        top, left = cut[0] - inside[0], cut[1] - inside[1]
        return self._made(grown[:, :, top : grown.shape[2] - top, left : grown.shape[3] - left])

    def conv_transpose1d(self, kernel: Any, bias: None = None, **layout: Any) -> Any:
        """`layout` as for two dimensions."""
        flat = {name: size if name == "groups" else as_pair(size, int(name in _ONES)) for name, size in layout.items()}
        weights = kernel.unsqueeze(2)
        return self.unsqueeze(2).conv_transpose2d(weights, **flat).squeeze(2)

    def avg_pool2d(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Self:
        """The mean of each window, zeros of the padding counted."""
        if ceil_mode:
            raise BadInput("Averages over windows that reach beyond the padding are not defined here: no ceil_mode.")
        kernel = as_pair(kernel_size)
        geometry = geometry_of(kernel if stride is None else stride, padding)
        return self._made(_over_planes(self._fine(), partial(_averaged, kernel=kernel, geometry=geometry)))

    def __rtruediv__(self, other: Any) -> Any:
        return self.reciprocal().mul(other)

    def _times(self, operation: Operation, other: Any) -> Self:
        """A bilinear operation with a secret or a known operand, back to the number format's fractional bits."""
        party, mine = myself(), self._tensor
        if is_public(other):
            words, more = factor(other, party.fixed)
            beyond = max(0, mine.fraction + more - party.fixed.fraction)
            scaled = mine.secret().map(lambda share: np.asarray(operation(share, words)))
            return self._made(truncate(party, scaled, beyond), mine.fraction + more - beyond, mine)
        theirs = self._pair(other)
        beyond = max(0, mine.fraction + theirs.fraction - party.fixed.fraction)
        made = arithmetic.bilinear(party, operation, mine.secret(), theirs.secret(), bits=beyond)
        return self._made(made, mine.fraction + theirs.fraction - beyond)


_ONES = ("stride", "dilation")


def _covered(padding: tuple[int, int], kernel: Any, dilation: tuple[int, int]) -> tuple[int, int]:
    """As much padding as the kernel covers, where the engine's ends."""
    return min(padding[0], (kernel[0] - 1) * dilation[0]), min(padding[1], (kernel[1] - 1) * dilation[1])


def _averaged(planes: Any, kernel: tuple[int, int], geometry: Geometry) -> Any:
    return arithmetic.average_pool(myself(), planes, kernel, geometry)


def _over_planes(secret: Any, operation: Callable[[Any], Any]) -> Any:
    """An operation on (batch, channels, height, width), on an array without a batch as well."""
    if len(secret.shape) == 4:
        return operation(secret)
    out = operation(secret.reshape(1, *secret.shape))
    return out.reshape(*out.shape[1:])
