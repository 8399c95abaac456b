"""Products of matrices and convolutions of ring elements, as fast as this processor and this installation allow.

The compiled kernels do the work where they were built (see `native`), and numpy does where not (see `portable`): the
results are the same, bit by bit. Both know words of 64 and of 32 bits. Products are added up in place, so that a sum of
two, which is what ranks 1 and 2 need, writes and reads nothing in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.replicated import portable
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.native.library import library
from protocols.smpc.replicated.native.linear import Layout, Linear

__all__ = ["Geometry", "convolve", "convolve_portably", "matmul", "padded", "patches", "summed"]

_FEW = 16  # outputs under which laying out the windows costs more than multiplying them, in numpy
_LONG = 2048  # values a multiplication must have at once to be worth a step of Python
_SMALL = 512  # multiply-adds under which calling a kernel costs more than numpy's own product

Operation = Callable[[Words, Words], Words]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a kernel is laid over a plane: (height, width) each; padding as (top, left, bottom, right)."""

    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1


def summed(operation: Operation, pairs: Sequence[tuple[Words, Words]]) -> Words:
    """An operation on each of some pairs, and the sum of the results; by the kernels here, in place."""
    kernel = operation.func if isinstance(operation, partial) else operation
    out = np.asarray(operation(*pairs[0]))
    if kernel not in (matmul, convolve):
        return np.asarray(sum((operation(*pair) for pair in pairs[1:]), start=out))
    for left, right in pairs[1:]:
        out = kernel(left, right, **(operation.keywords if isinstance(operation, partial) else {}), onto=out)
    return out


def matmul(left: Words, right: Words, onto: Words | None = None) -> Words:
    """`numpy.matmul` modulo 2**64 or 2**32, with its rules for shapes: (..., m, k) by (..., k, n).

    Args:
        onto: a C-contiguous array of the result's shape that the product is added to, and that is returned.

    Raises:
        ValueError: the shapes do not fit.
    """
    linear, shape = _linear(left, right), _shape(left, right)
    if linear is None or math.prod(shape) * left.shape[-1] < _SMALL:
        return _added(onto, portable.matmul(left, right))
    a = left[None] if left.ndim == 1 else left
    b = right[:, None] if right.ndim == 1 else right
    if b.ndim == 2:  # whatever is stacked on the left shares it, so it is all rows of one matrix
        a, b = a.reshape(1, -1, a.shape[-1]), b[None]
    else:
        a, b = _stacked(a, b)
    stack = (max(len(a), len(b)), a.shape[1], b.shape[2])
    return linear.matmul(a, b, None if onto is None else onto.reshape(stack)).reshape(shape)


def _linear(*arrays: Words) -> Linear | None:
    found, dtype = library(), arrays[0].dtype
    if found is None or dtype not in (np.uint64, np.uint32) or any(array.dtype != dtype for array in arrays):
        return None
    return Linear.of(found, dtype)


def _shape(left: Words, right: Words) -> tuple[int, ...]:
    """Of the product."""
    if not left.ndim or not right.ndim or left.shape[-1] != right.shape[-2 if right.ndim > 1 else 0]:
        raise ValueError(f"Matrices of shapes {left.shape} and {right.shape} have no product.")
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2]) if max(left.ndim, right.ndim) > 2 else ()
    return (*stack, *left.shape[-2:-1], *(right.shape[-1:] if right.ndim > 1 else ()))


def _stacked(a: Words, b: Words) -> tuple[Words, Words]:
    """With one axis before the last two, which may stay 1 where it stands for any number."""
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])

    def flat(side: Words) -> Words:
        wide = side if math.prod(side.shape[:-2]) == 1 else np.broadcast_to(side, (*stack, *side.shape[-2:]))
        return np.asarray(wide.reshape(math.prod(wide.shape[:-2]), *side.shape[-2:]))

    return flat(a), flat(b)


def _added(onto: Words | None, product: Words) -> Words:
    if onto is None:
        return product
    np.add(onto, product, out=onto)
    return onto


def padded(planes: Words, geometry: Geometry, fill: int = 0) -> Words:
    """(batch, channels, height, width) with the geometry's padding around each plane."""
    if not any(geometry.padding):
        return planes
    top, left, bottom, right = geometry.padding
    *stack, height, width = planes.shape
    out: Words = np.full((*stack, top + height + bottom, left + width + right), fill, planes.dtype)
    out[..., top : top + height, left : left + width] = planes
    return out


def patches(planes: Words, kernel: Pair, geometry: Geometry, *, fill: int = 0) -> Words:
    """(batch, channels, height, width) to a view (batch, channels, rows, columns, kernel height, kernel width).

    Raises:
        BadInput: the kernel is larger than the padded plane.
    """
    around = padded(planes, geometry, fill)
    down, across = geometry.dilation
    window = _fitting(around, kernel, geometry)
    views = np.lib.stride_tricks.sliding_window_view(around, window, axis=(2, 3))
    return np.asarray(views[:, :, :: geometry.stride[0], :: geometry.stride[1], ::down, ::across])


def _fitting(around: Words, kernel: Pair, geometry: Geometry) -> Pair:
    """The height and width that a kernel covers. Raises BadInput: more than there is."""
    window = (kernel[0] - 1) * geometry.dilation[0] + 1, (kernel[1] - 1) * geometry.dilation[1] + 1
    if window[0] > around.shape[2] or window[1] > around.shape[3]:
        raise BadInput(f"A kernel that covers {window} does not fit a padded plane of {around.shape[2:]}.")
    return window


def convolve(planes: Words, weights: Words, geometry: Geometry, onto: Words | None = None) -> Words:
    """Cross-correlation modulo 2**64 or 2**32, as every network means it.

    Args:
        planes: (batch, channels, height, width).
        weights: (outputs, channels / groups, kernel height, kernel width).
        onto: a C-contiguous array of the result's shape that the result is added to, and that is returned.

    Returns:
        (batch, outputs, rows, columns).

    Raises:
        BadInput: channels or outputs do not fit the groups, or the kernel the plane.
    """
    outputs, depth, *kernel = weights.shape
    if planes.shape[1] != depth * geometry.groups or outputs % geometry.groups:
        raise BadInput(f"Weights {weights.shape} in {geometry.groups} groups do not fit an input of {planes.shape}.")
    linear = _linear(planes, weights)
    if linear is None:
        return _added(onto, convolve_portably(planes, weights, geometry))
    around = padded(planes, geometry)
    _fitting(around, (kernel[0], kernel[1]), geometry)
    return linear.convolve(around, weights, Layout(geometry.stride, geometry.dilation, geometry.groups), onto)


def convolve_portably(planes: Words, weights: Words, geometry: Geometry) -> Words:
    """`convolve` by numpy alone."""
    outputs, depth, *kernel = weights.shape
    groups = geometry.groups
    seen = patches(planes, (kernel[0], kernel[1]), geometry)
    batch, _, rows, columns = seen.shape[:4]
    seen = seen.reshape(batch, groups, depth, rows, columns, *kernel).transpose(1, 2, 5, 6, 0, 3, 4)
    grouped: Any = weights.reshape(groups, outputs // groups, depth, *kernel)
    few = outputs // groups <= _FEW and groups * batch * rows * columns >= _LONG
    return np.asarray((portable.by_shifts if few else portable.by_products)(seen, grouped))
