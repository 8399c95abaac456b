"""Products of matrices and convolutions modulo 2**64 or 2**32, by the compiled kernels. Shapes are checked.

Measured on one core of 3 GHz with AVX2 and no AVX-512, in thousand million multiply-adds a second: 64-bit words 9 to
11 in large matrices (13 in the innermost loop), 4 with a few rows or columns, where memory is the limit; 32-bit words
25 to 33.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int, c_ssize_t, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.errors import Misuse
from protocols.smpc.replicated.native.library import Library, pointer

__all__ = ["Layout", "Linear"]

Words = NDArray[Any]

_BITS = {np.dtype(np.uint64): 64, np.dtype(np.uint32): 32}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kernel is laid over padded planes: (down, across) strides, dilations, and the number of groups."""

    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True, slots=True)
class Linear:
    """The kernels for one size of word.

    Attributes:
        level: which instructions may be used.
        dtype: of everything that is handed in and comes out.
    """

    level: int
    dtype: np.dtype[Any]
    _matmul: Callable[..., int]
    _convolve: Callable[..., int]

    @classmethod
    def of(cls, library: Library, dtype: np.dtype[Any]) -> Linear:
        """Raises Misuse: neither uint64 nor uint32."""
        if dtype not in _BITS:
            raise Misuse(f"Ring elements are uint64 or uint32, not {dtype}.")
        return _bound(library, dtype)

    def matmul(self, left: Words, right: Words, onto: Words | None = None) -> Words:
        """(batch, m, k) by (batch, k, n), whatever their strides, and 1 for either batch; (batch, m, n), C-contiguous.

        Args:
            onto: a result to add to, in place, instead of a new one.
        """
        batch, (rows, depth), columns = max(len(left), len(right)), left.shape[1:], right.shape[2]
        out = self._result(onto, (batch, rows, columns), left, right)
        if depth != right.shape[1] or {len(left), len(right)} - {1, batch}:
            raise Misuse(f"Matrices {left.shape} and {right.shape} have no product.")
        failed = self._matmul(
            self.level, batch, rows, columns, depth,
            pointer(left), *self._strides(left), pointer(right), *self._strides(right),
            pointer(out), rows * columns, columns, onto is not None,
        )  # fmt: skip
        return _made(out, failed)

    def convolve(self, planes: Words, weights: Words, layout: Layout, onto: Words | None = None) -> Words:
        """Cross-correlation of padded planes (batch, channels, height, width) with (outputs, channels / groups, ...).

        Returns:
            (batch, outputs, rows, columns), C-contiguous.
        """
        planes, weights = np.ascontiguousarray(planes), np.ascontiguousarray(weights)
        sizes = [
            (size - (side - 1) * apart - 1) // step + 1
            for size, side, step, apart in zip(
                planes.shape[2:], weights.shape[2:], layout.stride, layout.dilation, strict=True
            )
        ]
        if min(sizes) < 1 or planes.shape[1] != weights.shape[1] * layout.groups or len(weights) % layout.groups:
            raise Misuse(f"Weights {weights.shape} do not fit planes {planes.shape} with {layout}.")
        out = self._result(onto, (len(planes), len(weights), *sizes), planes, weights)
        told = (*planes.shape, *weights.shape, *sizes, *layout.stride, *layout.dilation, layout.groups)
        where = (c_ssize_t * len(told))(*told)
        failed = self._convolve(self.level, where, pointer(planes), pointer(weights), pointer(out), onto is not None)
        return _made(out, failed)

    def _result(self, onto: Words | None, shape: tuple[int, ...], *given: Words) -> Words:
        out: Words = np.empty(shape, self.dtype) if onto is None else onto
        if any(array.dtype != self.dtype for array in (*given, out)):
            raise Misuse(f"These kernels are for {self.dtype} alone.")
        if out.shape != shape or not out.flags.c_contiguous:
            raise Misuse(f"A result of shape {shape} cannot be added to an array of shape {out.shape}.")
        return out

    def _strides(self, array: Words) -> list[int]:
        """In words, and 0 for a batch of one, which stands for any number."""
        steps = [step // self.dtype.itemsize for step in array.strides]
        return [steps[0] if len(array) > 1 else 0, *steps[1:]]


@cache
def _bound(library: Library, dtype: np.dtype[Any]) -> Linear:
    bits = _BITS[dtype]
    matmul = library.function(
        f"ring_matmul{bits}",
        c_int, *[c_ssize_t] * 4, *[c_void_p, *[c_ssize_t] * 3] * 2, c_void_p, *[c_ssize_t] * 2, c_int,
        gives=c_int,
    )  # fmt: skip
    convolve = library.function(
        f"ring_convolve{bits}", c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_int, gives=c_int
    )
    return Linear(int(library.level), dtype, matmul, convolve)


def _made(out: Words, failed: int) -> Words:
    if failed:
        raise MemoryError(f"There is no memory for the blocks of a product of shape {out.shape}.")
    return out
