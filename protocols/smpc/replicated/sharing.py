"""Secrets cut in three and put together again, and real numbers as ring elements. Pure: knows no party and no link.

A number r is held as the integer round(r * 2**fraction) modulo 2**64. 18 fractional bits are the default, by these
figures: a product of two encodings needs twice the bits before it is truncated and must stay under 2**62 (see
`truncation`), so 16, 18 and 20 bits leave sums of products up to 2**30, 2**26 and 2**22; the rounding of a softmax
over 1,000 classes is 1.5e-5, 3.8e-6 and 1e-6 a term. Weights and activations of the networks tried stay under 2**12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mesh.errors import BadInput
from protocols.smpc.replicated.link import PARTIES, Words

__all__ = ["FixedPoint", "Secret", "SecretBits", "pairs_of", "recombine", "recombine_bits", "split", "split_bits"]

Draw = Callable[[tuple[int, ...], DTypeLike], Words]
"""Uniform unsigned integers of a shape and dtype, from a cryptographic source."""


@dataclass(frozen=True, eq=False)
class Secret:
    """One party's two of the three additive shares of an array: (x_rank, x_(rank + 1)). Both of one shape and dtype.

    What can be done without a message is an operator here: sums, differences, public integer factors, and every
    rearrangement of elements. `total`, the sum of both, is computed once.
    """

    first: Words
    second: Words

    def __post_init__(self) -> None:
        object.__setattr__(self, "first", np.asarray(self.first))  # numpy makes scalars of arrays without axes
        object.__setattr__(self, "second", np.asarray(self.second))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.first.shape

    @property
    def size(self) -> int:
        return self.first.size

    @cached_property
    def total(self) -> Words:
        """The sum of both shares: the whole mask at rank 0, the masked value and half its mask at rank 1."""
        return np.asarray(self.first + self.second)

    def map(self, function: Callable[[Words], Words]) -> Secret:
        """The same linear function of both shares."""
        return Secret(function(self.first), function(self.second))

    def __add__(self, other: Secret) -> Secret:
        return Secret(self.first + other.first, self.second + other.second)

    def __sub__(self, other: Secret) -> Secret:
        return Secret(self.first - other.first, self.second - other.second)

    def __neg__(self) -> Secret:
        return self.map(np.negative)

    def times(self, factor: int | NDArray[np.integer[Any]]) -> Secret:
        """Times public integers, which are not fixed-point numbers: nothing is truncated."""
        if isinstance(factor, int):
            whole: Words = np.asarray(factor % 2**64, np.uint64)
        else:
            whole = factor.astype(np.uint64)
        return self.map(lambda share: share * whole)

    def __getitem__(self, index: Any) -> Secret:
        return self.map(lambda share: np.asarray(share[index]))

    def reshape(self, *shape: int) -> Secret:
        return self.map(lambda share: share.reshape(shape))

    def transpose(self, *axes: int) -> Secret:
        return self.map(lambda share: share.transpose(*axes))

    def broadcast_to(self, shape: tuple[int, ...]) -> Secret:
        return self.map(lambda share: np.broadcast_to(share, shape))

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Secret:
        return self.map(lambda share: np.asarray(share.sum(axis, dtype=share.dtype, keepdims=keepdims)))

    def pad(self, widths: Sequence[tuple[int, int]]) -> Secret:
        """With zeros around: (before, after) for every axis."""
        return self.map(lambda share: np.pad(share, widths))

    @staticmethod
    def concatenate(secrets: Sequence[Secret], axis: int = 0) -> Secret:
        return Secret(
            np.concatenate([secret.first for secret in secrets], axis),
            np.concatenate([secret.second for secret in secrets], axis),
        )

    @staticmethod
    def stack(secrets: Sequence[Secret], axis: int = 0) -> Secret:
        return Secret(
            np.stack([secret.first for secret in secrets], axis),
            np.stack([secret.second for secret in secrets], axis),
        )


@dataclass(frozen=True, eq=False)
class SecretBits:
    """One party's two of the three shares, under exclusive or, of one bit for each element of an array.

    Attributes:
        first, second: (columns,) words of 64 bits, packed as `slicing.lanes` says.
        shape: of the array that the bits belong to.
    """

    first: Words
    second: Words
    shape: tuple[int, ...]

    def __xor__(self, other: SecretBits) -> SecretBits:
        return SecretBits(self.first ^ other.first, self.second ^ other.second, self.shape)


def split(secret: Words, draw: Draw) -> tuple[Words, Words, Words]:
    """Three shares that add up to the secret modulo 2**64, or 2**32 for 32-bit words. Any two of them are uniform."""
    first, second = draw(secret.shape, secret.dtype), draw(secret.shape, secret.dtype)
    return first, second, secret - first - second


def split_bits(secret: Words, draw: Draw) -> tuple[Words, Words, Words]:
    """Three shares whose exclusive or is the secret. Any two of them are uniform."""
    first, second = draw(secret.shape, secret.dtype), draw(secret.shape, secret.dtype)
    return first, second, secret ^ first ^ second


def recombine(shares: Sequence[Words]) -> Words:
    """The secret of three additive shares. Raises BadInput: not three, or of different shapes or dtypes."""
    first, second, third = _three(shares)
    return first + second + third


def recombine_bits(shares: Sequence[Words]) -> Words:
    """The secret of three shares under exclusive or. Raises BadInput as `recombine` does."""
    first, second, third = _three(shares)
    return first ^ second ^ third


def pairs_of(shares: Sequence[Words]) -> tuple[Secret, Secret, Secret]:
    """What each of the three parties is handed: (x_0, x_1), (x_1, x_2) and (x_2, x_0). Raises BadInput."""
    first, second, third = _three(shares)
    return Secret(first, second), Secret(second, third), Secret(third, first)


def _three(shares: Sequence[Words]) -> tuple[Words, Words, Words]:
    if len(shares) != PARTIES or len({(share.shape, share.dtype) for share in shares}) != 1:
        raise BadInput("A secret has three shares of one shape and dtype; hand in one from each party's first.")
    return shares[0], shares[1], shares[2]


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Real numbers as integers modulo 2**64.

    Attributes:
        fraction: bits after the binary point, 0 to 30. One more halves the rounding error and quarters the largest
            product.
    """

    fraction: int = 18

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 30:
            raise BadInput(f"Fixed-point numbers have 0 to 30 fractional bits, not {self.fraction}.")

    @property
    def unit(self) -> float:
        """The smallest step between two numbers."""
        return 2.0**-self.fraction

    @property
    def limit(self) -> float:
        """What the absolute value of an input, and of any sum of products, must stay under: 2**(62 - 2 * fraction)."""
        return 2.0 ** (62 - 2 * self.fraction)

    def encode(self, numbers: ArrayLike, *, fraction: int | None = None) -> NDArray[np.uint64]:
        """Real numbers to ring elements, to the nearest unit (ties to even), off by at most half of one.

        Raises:
            BadInput: a number that is not finite, or not under `limit`. Nothing is cut off silently.
        """
        bits: Final = self.fraction if fraction is None else fraction
        values = np.asarray(numbers, np.float64)
        worst = float(np.abs(values).max(initial=0.0))
        if not worst < self.limit:
            raise BadInput(
                f"The largest number is {worst:g}, but with {self.fraction} fractional bits they must be finite and "
                f"under {self.limit:g}: scale them down or use fewer fractional bits."
            )
        return np.rint(values * 2.0**bits).astype(np.int64).view(np.uint64)

    def decode(self, words: NDArray[np.uint64], *, fraction: int | None = None) -> NDArray[np.float64]:
        """Ring elements to real numbers: exact up to 53 bits."""
        bits: Final = self.fraction if fraction is None else fraction
        return words.view(np.int64).astype(np.float64) * 2.0**-bits
