"""A party's two shares of an array as torch tensors, which are rearranged together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.sharing import Secret

__all__ = ["Pair"]

Tensor = Any  # torch is not annotated here

_TOGETHER = frozenset({
    "__getitem__", "clone", "contiguous", "cumsum", "expand", "expand_as", "flatten", "flip", "gather", "index_fill_",
    "index_select", "movedim", "narrow", "neg", "permute", "repeat", "reshape", "roll", "select", "split", "squeeze",
    "sum", "t", "take", "trace", "transpose", "unbind", "unfold", "unsqueeze", "view",
})  # fmt: skip
"""Methods of a tensor that are linear, or only move elements: on shares they do what they do on values."""

_ASKED = frozenset({"__len__", "dim", "nelement", "numel", "size"})
"""What both shares answer alike."""


class Pair:
    """What CrypTen expects behind a tensor of its own: something shaped as a torch tensor is.

    Attributes:
        first, second: int64 tensors of one shape: the ring elements x_rank and x_(rank + 1), read as signed.
        fraction: how many of their bits stand after the binary point: the number format's, or 0 for integers.
    """

    __slots__ = ("_seen", "first", "fraction", "second")

    def __init__(self, first: Tensor, second: Tensor, fraction: int) -> None:
        self.first = first
        self.second = second
        self.fraction = fraction
        self._seen: tuple[tuple[int, int], Secret] | None = None

    @classmethod
    def of(cls, secret: Secret, fraction: int, *apart: Pair) -> Pair:
        """A secret's shares without a copy, but where they lie in the memory of `apart` or of each other: a pair may be
        written to."""
        held = [_memory(share) for pair in apart for share in (pair.first, pair.second)]
        first = _own(secret.first, held)
        return cls(_signed(first), _signed(_own(secret.second, [*held, first])), fraction)

    def secret(self) -> Secret:
        """The shares as the engine reads them, without a copy. Kept, with their sum, until they are written to."""
        versions = (self.first._version, self.second._version)
        if self._seen is None or self._seen[0] != versions:
            self._seen = (versions, Secret(_memory(self.first), _memory(self.second)))
        return self._seen[1]

    def at(self, fraction: int) -> Pair:
        """The same values with that many fractional bits, not fewer than now. No message."""
        if fraction == self.fraction:
            return self
        return Pair(self.first << (fraction - self.fraction), self.second << (fraction - self.fraction), fraction)

    def write(self, other: Pair) -> None:
        """Take over values of our shape, in our memory, so that views of it see them."""
        if other.fraction == self.fraction and other.first.shape == self.first.shape:
            self.first.copy_(other.first)
            self.second.copy_(other.second)
        else:  # what views this memory reads it in our format
            self.first, self.second, self.fraction = other.first.clone(), other.second.clone(), other.fraction
            self._seen = None

    def apply(self, name: str, *args: Any, **settings: Any) -> Any:
        """A method of torch's on both shares; of a `Pair` among the arguments each share gets the share that fits."""

        def of(share: Tensor, which: str) -> Any:
            fitting = [getattr(one, which) if isinstance(one, Pair) else one for one in args]
            return getattr(share, name)(*fitting, **settings)

        first, second = of(self.first, "first"), of(self.second, "second")
        if isinstance(first, tuple | list):
            return tuple(Pair(*both, self.fraction) for both in zip(first, second, strict=True))
        return Pair(first, second, self.fraction)

    def __getattr__(self, name: str) -> Any:
        if name in _TOGETHER:
            return partial(self.apply, name)
        if name in _ASKED:
            return getattr(self.first, name)
        raise AttributeError(f"secret shares have no {name!r}")

    def __imul__(self, factor: int) -> Pair:
        self.first *= factor
        self.second *= factor
        return self

    @staticmethod
    def cat(pairs: Sequence[Pair], dim: int = 0) -> Pair:
        return _joined(torch.cat, pairs, dim)

    @staticmethod
    def stack(pairs: Sequence[Pair], dim: int = 0) -> Pair:
        return _joined(torch.stack, pairs, dim)

    @property
    def shape(self) -> Any:
        return self.first.shape

    @property
    def device(self) -> Any:
        return self.first.device

    def __reduce__(self) -> tuple[Any, ...]:
        return Pair, (self.first.contiguous(), self.second.contiguous(), self.fraction)


def _joined(join: Any, pairs: Sequence[Pair], dim: int) -> Pair:
    fraction = max(pair.fraction for pair in pairs)
    alike = [pair.at(fraction) for pair in pairs]
    return Pair(join([pair.first for pair in alike], dim), join([pair.second for pair in alike], dim), fraction)


def _memory(share: Tensor) -> Words:
    words: Words = share.detach().numpy().view(np.uint64)
    return words


def _own(words: Words, held: Sequence[Words]) -> Words:
    """The words, where a tensor may write to them and nobody else reads them; else a copy."""
    alone = words.flags.writeable and not any(np.may_share_memory(words, other) for other in held)
    return words if alone and all(step > 0 for step in words.strides) else words.copy()


def _signed(words: Words) -> Tensor:
    return torch.from_numpy(words.view(np.int64))
