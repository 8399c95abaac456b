"""Products of matrices and convolutions of ring elements with numpy alone, where there are no compiled kernels.

A 64-bit word is cut in three signed limbs of 22, 22 and 20 bits. Products of limbs, added up over at most 1,024 terms,
are exact in float64, and only the six pairs whose weight is under 2**64 count; they are three calls of the linear
algebra that numpy brings along. Measured on one core with AVX2 and no AVX-512, thousand million multiply-adds a second,
512 cubed: numpy's uint64 matmul 0.5, torch's int64 0.18, this 2.7 to 3.0, the compiled kernels 9 to 11 (float64 itself
20). With AVX-512, torch's int64 kernel was measured at 29, so whichever is faster here and now is found out once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from protocols.smpc.replicated.link import Words

__all__ = ["by_limbs", "by_products", "by_shifts", "fastest", "matmul"]

_LIMB = 22
_TERMS = 1024  # products of limbs that float64 adds up exactly: 2**(2 * 21) * 2 * 1024 = 2**53
_SMALL = 20_000  # multiply-adds under which cutting costs more than it saves


def matmul(left: Words, right: Words) -> Words:
    """`numpy.matmul` modulo 2**64 or 2**32, with its rules for shapes: (..., m, k) by (..., k, n)."""
    rows = left.shape[-2] if left.ndim > 1 else 1
    columns = right.shape[-1] if right.ndim > 1 else 1
    few = min(rows, columns) < 3 or rows * columns * left.shape[-1] < _SMALL
    if few or not left.dtype == right.dtype == np.uint64:
        return np.asarray(np.matmul(left, right))
    return fastest()(left, right)


@cache
def fastest() -> Callable[[Words, Words], Words]:
    """The faster kernel on this machine, torch's among them if torch is loaded. Their results are the same."""
    torch = sys.modules.get("torch")  # importing it takes seconds: whoever wants it has it
    if torch is None:
        return by_limbs

    def by_torch(left: Words, right: Words) -> Words:
        a, b = (torch.from_numpy(np.ascontiguousarray(side).view(np.int64)) for side in (left, right))
        product: Words = torch.matmul(a, b).numpy().view(np.uint64)
        return product

    sample = np.arange(192 * 192, dtype=np.uint64).reshape(192, 192)
    return by_torch if 2 * _seconds(by_torch, sample) < _seconds(by_limbs, sample) else by_limbs


def _seconds(kernel: Callable[[Words, Words], Words], sample: Words) -> float:
    def once() -> float:
        start = time.perf_counter()
        kernel(sample, sample)
        return time.perf_counter() - start

    return min(once() for _ in range(5))


def by_limbs(left: Words, right: Words) -> Words:
    """(..., m, k) by (..., k, n) modulo 2**64, by products of limbs in float64. Exact."""
    terms = left.shape[-1]
    if terms > _TERMS:
        halves = [slice(0, terms // 2), slice(terms // 2, terms)]
        first, second = (by_limbs(left[..., part], right[..., part, :]) for part in halves)
        first += second
        return first
    rising = np.concatenate(_limbs(left), axis=-1)
    falling = np.concatenate(_limbs(right)[::-1], axis=-2)
    high = np.matmul(rising, falling).astype(np.int64)
    high <<= _LIMB
    high += np.matmul(rising[..., : 2 * terms], falling[..., terms:, :]).astype(np.int64)
    high <<= _LIMB
    high += np.matmul(rising[..., :terms], falling[..., 2 * terms :, :]).astype(np.int64)
    words: Words = high.view(np.uint64)
    return words


def _limbs(words: Words) -> list[NDArray[np.float64]]:
    """Three signed limbs, least significant first: 22, 22 and 20 bits."""
    rest = words.astype(np.uint64).view(np.int64)
    limbs = []
    for _ in range(2):
        limb = rest << (64 - _LIMB)
        limb >>= 64 - _LIMB
        limbs.append(limb.astype(np.float64))
        rest -= limb
        rest >>= _LIMB
    limb = rest << (2 * _LIMB)  # the sum may have left the top limb's 20 bits
    limb >>= 2 * _LIMB
    return [*limbs, limb.astype(np.float64)]


def by_products(seen: Words, weights: Words) -> Words:
    """A convolution with its windows laid out: arguments and result as `by_shifts` has them."""
    groups, each = weights.shape[:2]
    flat = np.asarray(seen.reshape(groups, -1, int(np.prod(seen.shape[4:]))))
    product = matmul(weights.reshape(groups, each, -1), flat)
    return product.reshape(groups * each, *seen.shape[4:]).swapaxes(0, 1)


def by_shifts(seen: Words, weights: Words) -> Words:
    """A multiple of the shifted plane for each weight, added up: 0.7 to 1.2 ns a multiply-add, and no copy of windows.

    Args:
        seen: a view (groups, depth, kernel height, kernel width, batch, rows, columns).
        weights: (groups, outputs / groups, depth, kernel height, kernel width).

    Returns:
        (batch, outputs, rows, columns).
    """
    groups, each = weights.shape[:2]
    out = np.zeros((each, groups, *seen.shape[4:]), weights.dtype)
    term = np.empty_like(out[0])
    for place in np.ndindex(*weights.shape[2:]):
        shifted = np.ascontiguousarray(seen[:, *place])
        for total, factors in zip(out, weights[:, :, *place].T, strict=True):
            np.multiply(shifted, factors.reshape(groups, 1, 1, 1), out=term)
            np.add(total, term, out=total)
    return out.transpose(2, 1, 0, 3, 4).reshape(seen.shape[4], groups * each, *seen.shape[5:])
