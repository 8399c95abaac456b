"""Signs, choices and maxima of secret tensors, under CrypTen's names.

What a comparison gives is an integer, 0 or 1, so that multiplying by it truncates nothing. Of equals, the one that
stands first counts as the largest (CrypTen draws one).
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from protocols.smpc.crypten_bridge.session import myself
from protocols.smpc.crypten_bridge.shared import Shared
from protocols.smpc.crypten_bridge.tournament import winners
from protocols.smpc.replicated import comparison
from protocols.smpc.replicated.bits import to_ring
from protocols.smpc.replicated.sharing import Secret

__all__ = ["Comparing"]


class Comparing(Shared):
    """Exact, for values and differences under 2**61 units."""

    def _ltz(self) -> Self:
        """1 where a value is negative, 0 elsewhere."""
        party = myself()
        return self._made(to_ring(party, comparison.is_negative(party, self._tensor.secret())), 0)

    def eq(self, other: Any) -> Self:
        party = myself()
        same = comparison.is_zero(party, (self - other)._tensor.secret())
        return self._made(to_ring(party, same), 0)

    def ne(self, other: Any) -> Any:
        return 1 - self.eq(other)

    def relu(self) -> Self:
        return self._made(comparison.relu(myself(), self._tensor.secret()), self._tensor.fraction)

    def abs(self) -> Self:
        return self._made(comparison.absolute(myself(), self._tensor.secret()), self._tensor.fraction)

    def hardtanh(self, min_value: float = -1.0, max_value: float = 1.0, **bounds: float) -> Self:
        """Values brought between two known ones."""
        low, high = bounds.get("min_val", min_value), bounds.get("max_val", max_value)
        return self._made(comparison.clamp(myself(), self._fine(), low, high))

    def where(self, condition: Any, other: Any) -> Any:
        """Ourselves where a known or secret condition is 1, `other` where it is 0."""
        return (self - other) * (condition.float() if hasattr(condition, "float") else condition) + other

    def max(self, dim: int | None = None, keepdim: bool = False, one_hot: bool = True) -> Any:
        """The largest of all; or along an axis, and where it stands: as ones and zeros, or as a number."""
        party, fraction = myself(), self._tensor.fraction
        if dim is None:
            flat = self._tensor.secret().reshape(-1)
            return self._made(comparison.largest(party, flat, 0), fraction)
        if self._tensor.dim() == 0:
            return self.clone(), self.argmax(one_hot=one_hot)
        best, marks = winners(party, self._first(dim))
        value = self._made(best, fraction)
        return (value.unsqueeze(dim) if keepdim else value), self._placed(marks, dim, keepdim, one_hot)

    def argmax(self, dim: int | None = None, keepdim: bool = False, one_hot: bool = True) -> Any:
        if self._tensor.dim() == 0:
            return self.new(1 if one_hot else 0, precision=0)
        if dim is None:
            marks = self.flatten().argmax(0, one_hot=one_hot)
            return marks.view(self.size()) if one_hot else marks
        return self._placed(winners(myself(), self._first(dim))[1], dim, keepdim, one_hot)

    def _first(self, dim: int) -> Secret:
        return self._tensor.secret().map(lambda share: np.ascontiguousarray(np.moveaxis(share, dim, 0)))

    def _placed(self, marks: Secret, dim: int, keepdim: bool, one_hot: bool) -> Any:
        """Marks along the first axis as CrypTen wants them."""
        if one_hot:
            return self._made(marks.map(lambda share: np.moveaxis(share, 0, dim)), 0)
        numbers = np.arange(marks.shape[0]).reshape(-1, *[1] * (len(marks.shape) - 1))
        place = self._made(marks.times(numbers).sum(0), 0)
        return place.unsqueeze(dim) if keepdim else place
