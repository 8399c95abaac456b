"""Rearranging: elements moved, padded, gathered and written, on both shares alike and without a message."""

from __future__ import annotations

from typing import Any, Self

import torch

from mesh.errors import BadInput
from protocols.smpc.crypten_bridge.pair import Pair
from protocols.smpc.crypten_bridge.shared import CrypTensor, Shared

__all__ = ["Structure"]


class Structure(Shared):
    """What CrypTen's generic code cannot do with two shares at once. The rest `Pair` does."""

    def __getitem__(self, index: Any) -> Any:
        """A part, with the gradient that belongs to it (which CrypTen's own tensors lose here)."""
        if CrypTensor.AUTOGRAD_ENABLED and self.requires_grad:
            return self.__getattribute__("__getitem__")(index)  # through CrypTen's autograd, and here again
        return self.around(self._tensor.apply("__getitem__", index))

    def __setitem__(self, index: Any, value: Any) -> None:
        theirs = self._pair(value)
        fraction = max(self._tensor.fraction, theirs.fraction)
        self._raise(fraction)
        theirs = theirs.at(fraction)
        self._tensor.first[index] = theirs.first
        self._tensor.second[index] = theirs.second

    def pad(self, pad: Any, mode: str = "constant", value: Any = 0) -> Self:
        """With a known number around, or a secret one without axes. `pad` as torch has it: the last axis first."""
        if mode != "constant":
            raise BadInput(f"Secret tensors are padded with a constant, not in mode {mode!r}.")
        grown = torch.nn.functional.pad
        pair = self._tensor
        padded = self.around(Pair(grown(pair.first, pad), grown(pair.second, pad), pair.fraction))
        if not isinstance(value, Shared) and value == 0:
            return padded
        around = grown(torch.zeros(pair.shape), pad, value=1.0)
        filling: Self = value.mul(around) if isinstance(value, Shared) else self.new(around * value)
        total: Self = padded.add(filling)
        return total

    def index_add(self, dim: int, index: Any, tensor: Any) -> Self:
        """A copy, with `tensor` added at known places along an axis."""
        return self._accumulated("index_add_", dim, index, tensor)

    def scatter_add(self, dim: int, index: Any, other: Any) -> Self:
        """A copy, with `other` added at known places."""
        return self._accumulated("scatter_add_", dim, index, other)

    def scatter(self, dim: int, index: Any, src: Any) -> Self:
        """A copy, with `src` written at known places."""
        return self._accumulated("scatter_", dim, index, src)

    def take(self, index: Any, dimension: int | None = None) -> Self:
        """As torch's `take`; along an axis, as ONNX's Gather."""
        index = index.long()
        if dimension is None or self._tensor.dim() == 0:
            return self.around(self._tensor.apply("take", index))
        places = [slice(None)] * self._tensor.dim()
        places[dimension] = index
        return self.around(self._tensor.apply("__getitem__", tuple(places)))

    def weighted_index(self, dim: int | None = None) -> Any:
        """One-hot along an axis, at a secret random place, with our values as the chances."""
        if dim is None:
            return self.flatten().weighted_index(0).view(self.size())
        reached = self.cumsum(dim)
        length = self.size(dim)
        whole = reached.narrow(dim, length - 1, 1)
        beyond = reached.gt(self.rand(whole.size()) * whole)
        earlier = beyond.narrow(dim, 0, length - 1).pad([0, 0] * (self.dim() - 1 - dim % self.dim()) + [1, 0])
        return beyond - earlier

    def _accumulated(self, name: str, dim: int, index: Any, other: Any) -> Self:
        theirs = self._pair(other)
        fraction = max(self._tensor.fraction, theirs.fraction)
        result = self._tensor.at(fraction).clone()
        result.apply(name, dim, index, theirs.at(fraction))
        return self.around(result)

    def _raise(self, fraction: int) -> None:
        if fraction != self._tensor.fraction:
            self._tensor.write(self._tensor.at(fraction))
