"""Sums and products of secret numbers: with constants, element by element, of matrices, and as convolutions.

A product is (m + l)(m' + l') with m seen by ranks 1 and 2 and l known to rank 0, who deals l l'. The ranks' parts are
m (m' + l'_i) + l_i m', and resharing them, truncated, sends one ring element each way between them: one element a
party and output in all, whatever was summed up on the way (Chaudhari et al. 2019, ASTRA, section 3; as many as Araki et
al. 2016).

Every operation takes off `bits` fractional bits, the number format's unless said otherwise; 0 for integers. What is
truncated must stay under 2**62 in absolute value: see `FixedPoint.limit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from mesh.errors import BadInput
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.kernels import Geometry, convolve, matmul, patches, summed
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Hand, Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import Rounding, settle, truncate

__all__ = [
    "add",
    "average_pool",
    "bilinear",
    "conv1d",
    "conv2d",
    "conv_transposed",
    "dot",
    "mean",
    "multiply",
    "product",
    "scale",
]

Operation = Callable[[Words, Words], Words]


def add(party: Party, secret: Secret, numbers: ArrayLike) -> Secret:
    """A secret plus real numbers that everybody knows. No message."""
    return party.add(secret, party.fixed.encode(numbers))


def scale(party: Party, secret: Secret, numbers: ArrayLike, *, rounding: Rounding = Rounding.NEAR) -> Secret:
    """A secret times real numbers that everybody knows, of a shape that broadcasts to the secret's."""
    factor = party.fixed.encode(numbers)
    return truncate(party, secret.map(lambda share: share * factor), party.fixed.fraction, rounding)


def bilinear(
    party: Party,
    operation: Operation,
    left: Secret,
    right: Secret,
    *,
    bits: int | None = None,
    rounding: Rounding = Rounding.NEAR,
    plus: Secret | None = None,
) -> Secret:
    """Any operation that is linear in each of two secrets, truncated in the round that shares its result.

    Args:
        operation: on ring elements, modulo 2**64; the same shapes everywhere give the same shape.
        plus: added before truncation, so with as many fractional bits as both factors together. Of the result's shape.
    """
    taken = party.fixed.fraction if bits is None else bits
    if isinstance(party, Checked):
        whole = party.product(operation, left, right)
        return truncate(party, whole if plus is None else whole + plus, taken, rounding)
    if party.helps:
        masks = np.asarray(operation(left.total, right.total))
        return settle(party, None, masks.shape, taken, rounding, product=Hand(masks.shape, lambda: masks))
    if party.rank == 2:
        pairs = [(left.first, right.second), (left.second, right.first)]
    elif left.size < right.size:  # the sum of the smaller one's shares will do: weights are left as they are
        pairs = [(left.total, right.second), (left.second, right.first)]
    else:
        pairs = [(left.second, right.total), (left.first, right.second)]
    part = summed(operation, pairs)
    if plus is not None:
        part = part + (plus.total if party.rank == 1 else plus.second)
    return settle(party, part, part.shape, taken, rounding, product=Hand(part.shape))


def multiply(
    party: Party, left: Secret, right: Secret, *, bits: int | None = None, rounding: Rounding = Rounding.NEAR
) -> Secret:
    """Element by element, shapes broadcast."""
    return bilinear(party, np.multiply, left, right, bits=bits, rounding=rounding)


def dot(
    party: Party, left: Secret, right: Secret, axis: int, *, bits: int | None = None, rounding: Rounding = Rounding.NEAR
) -> Secret:
    """Products element by element, added up along an axis: the price of the sum alone."""
    if isinstance(party, Checked):
        taken = party.fixed.fraction if bits is None else bits
        return truncate(party, party.product(np.multiply, left, right).sum(axis), taken, rounding)

    def operation(a: Words, b: Words) -> Words:
        return np.asarray((a * b).sum(axis, dtype=np.uint64))

    return bilinear(party, operation, left, right, bits=bits, rounding=rounding)


def product(
    party: Party, left: Secret, right: Secret, *, bits: int | None = None, rounding: Rounding = Rounding.NEAR
) -> Secret:
    """Of matrices, with the shapes of `numpy.matmul`."""
    return bilinear(party, matmul, left, right, bits=bits, rounding=rounding)


def conv2d(
    party: Party,
    planes: Secret,
    weights: Secret,
    geometry: Geometry | None = None,
    *,
    bits: int | None = None,
    rounding: Rounding = Rounding.NEAR,
) -> Secret:
    """(batch, channels, height, width) with (outputs, channels / groups, height, width) of weights: see `convolve`."""
    operation = partial(convolve, geometry=geometry or Geometry())
    return bilinear(party, operation, planes, weights, bits=bits, rounding=rounding)


def conv1d(
    party: Party,
    rows: Secret,
    weights: Secret,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
    rounding: Rounding = Rounding.NEAR,
) -> Secret:
    """(batch, channels, length) with (outputs, channels / groups, length) of weights. padding: before and after."""
    geometry = Geometry((1, stride), (1, dilation), (0, padding[0], 0, padding[1]), groups)
    out = conv2d(party, rows[:, :, None], weights[:, :, None], geometry, rounding=rounding)
    return out[:, :, 0]


def conv_transposed(
    party: Party,
    planes: Secret,
    weights: Secret,
    geometry: Geometry | None = None,
    *,
    surplus: tuple[int, int] = (0, 0),
    rounding: Rounding = Rounding.NEAR,
) -> Secret:
    """The gradient of `conv2d` with respect to its planes: (batch, channels, height, width) to a larger plane.

    Args:
        weights: (channels, outputs / groups, kernel height, kernel width).
        geometry: of the convolution that this is the transpose of.
        surplus: rows and columns more at the end, where several sizes would do.
    """
    laid = geometry or Geometry()
    kernel = [(size - 1) * step for size, step in zip(weights.shape[2:], laid.dilation, strict=True)]
    top, left, bottom, right = laid.padding
    around = (kernel[0] - top, kernel[1] - left, kernel[0] - bottom + surplus[0], kernel[1] - right + surplus[1])
    if min(around) < 0:
        raise BadInput(f"Padding {laid.padding} is wider than what the kernel {weights.shape[2:]} covers.")
    spaced = planes.map(partial(_spaced, stride=laid.stride))
    turned = weights.map(partial(_turned, groups=laid.groups))
    return conv2d(party, spaced, turned, Geometry((1, 1), laid.dilation, around, laid.groups), rounding=rounding)


def _spaced(planes: Words, *, stride: tuple[int, int]) -> Words:
    """With stride - 1 zeros between neighbours."""
    batch, channels, height, width = planes.shape
    out = np.zeros((batch, channels, (height - 1) * stride[0] + 1, (width - 1) * stride[1] + 1), planes.dtype)
    out[:, :, :: stride[0], :: stride[1]] = planes
    return out


def _turned(weights: Words, *, groups: int) -> Words:
    """(channels, outputs / groups, ...) to (outputs, channels / groups, ...), turned by half a turn."""
    channels, outputs, *kernel = weights.shape
    split = weights.reshape(groups, channels // groups, outputs, *kernel).swapaxes(1, 2)
    return split.reshape(groups * outputs, channels // groups, *kernel)[:, :, ::-1, ::-1]


def mean(party: Party, secret: Secret, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Secret:
    """Along axes. Off by under one unit and 2**-17 of itself; sums must stay under `limit`."""
    total = secret.sum(axis, keepdims=keepdims)
    count = secret.size // max(total.size, 1)
    if count == 0:
        raise BadInput("There is no mean of nothing.")
    bits = party.fixed.fraction + math.ceil(math.log2(count))
    return truncate(party, total.times(round(2**bits / count)), bits)


def average_pool(party: Party, planes: Secret, kernel: tuple[int, int], geometry: Geometry | None = None) -> Secret:
    """The mean of each window, zeros of the padding counted."""
    laid = geometry or Geometry(kernel)
    return mean(party, planes.map(lambda share: patches(share, kernel, laid)), (-2, -1))
