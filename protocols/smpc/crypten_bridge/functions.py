"""Exponentials, logarithms, quotients, roots, softmax and random numbers, under CrypTen's names.

CrypTen's approximations start from a guess that suits a narrow range and go wrong outside of it; these are the
engine's, which look up where a value lies first, and say what they do with what lies outside of their range.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.crypten_bridge.pair import Pair
from protocols.smpc.crypten_bridge.randomness import uniform
from protocols.smpc.crypten_bridge.session import myself
from protocols.smpc.crypten_bridge.shared import KIND, CrypTensor, Shared
from protocols.smpc.replicated import functions, scaling
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.comparison import is_negative
from protocols.smpc.replicated.polynomial import FINE, fit, polynomial
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import truncate

__all__ = ["Functions"]


class Functions(Shared):
    """Errors are those of `replicated.functions` and `replicated.scaling`."""

    def exp(self) -> Self:
        """e**x for x up to 14; what is larger counts as 14."""
        return self._made(functions.exponential(myself(), self._fine()))

    def log(self, input_in_01: bool = False) -> Self:
        """Of numbers from 2**-16 to 2**18, or from 2**-18 to 1 if so promised; others count as the nearer end."""
        low, high = (-18, 2) if input_in_01 else (-16, 18)
        return self._made(scaling.logarithm(myself(), self._fine(), low=low, high=high))

    def reciprocal(self, input_in_01: bool = False) -> Self:
        """Of numbers of either sign and absolute value 2**-10 to 2**24, or from 2**-16 to 1 if so promised."""
        party, x = myself(), self._fine()
        if input_in_01:
            return self._made(scaling.reciprocal(party, x, low=-16, high=2))
        negative = is_negative(party, x)
        inverse = scaling.reciprocal(party, x - select(party, negative, x.times(2)), low=-10, high=24)
        return self._made(inverse - select(party, negative, inverse.times(2)))

    def inv_sqrt(self) -> Self:
        """Of numbers from 2**-16 to 2**18."""
        if CrypTensor.AUTOGRAD_ENABLED and self.requires_grad:
            raise BadInput("inv_sqrt has no gradient of its own: use sqrt() and reciprocal(), or detach().")
        return self._made(scaling.inverse_root(myself(), self._fine(), low=-16, high=18))

    def sqrt(self) -> Self:
        """Of numbers up to 2**22; of those under 2**-18, 0."""
        return self._made(scaling.square_root(myself(), self._fine()))

    def cossin(self) -> tuple[Self, Self]:
        """Cosine and sine of any number of radians. Off by at most 2 units and 1e-12 of the angle."""
        party = myself()
        # A turn is 2**64: the ring itself takes whole turns off, and what is left is the angle, from -pi to pi.
        angle = self._fine().times(round(2.0 ** (64 - party.fixed.fraction) / (2 * math.pi)))
        negative = is_negative(party, angle)
        above = angle - select(party, negative, angle.times(2))
        shifted = party.add(above, np.asarray([2**64 - 2**62], np.uint64))  # from -2**62 to 2**62: a quarter turn each
        u = truncate(party, shifted, 62 - FINE)
        cosine = truncate(party, polynomial(party, u, _falling()), FINE - party.fixed.fraction)
        sine = truncate(party, polynomial(party, u, _bump()), FINE - party.fixed.fraction)
        return self._made(cosine), self._made(sine - select(party, negative, sine.times(2)))

    _eix = cossin

    def cos(self) -> Self:
        return self.cossin()[0]

    def sin(self) -> Self:
        return self.cossin()[1]

    def sigmoid(self) -> Self:
        return self._made(functions.sigmoid(myself(), self._fine()))

    def tanh(self) -> Self:
        return self._made(functions.hyperbolic_tangent(myself(), self._fine()))

    def erf(self) -> Self:
        return self._made(functions.erf(myself(), self._fine()))

    def softmax(self, dim: int, **_: Any) -> Any:
        return self._made(functions.softmax(myself(), self._rows(dim), dim)).view(self.size())

    def log_softmax(self, dim: int, **_: Any) -> Any:
        return self._made(functions.log_softmax(myself(), self._rows(dim), dim)).view(self.size())

    @staticmethod
    def rand(*sizes: Any, device: Any = None) -> Any:
        """Numbers from 0 to 1, the same chance for each, that no party knows."""
        shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
        made = CrypTensor.__CRYPTENSOR_TYPES__[KIND].around
        return made(Pair.of(uniform(myself(), shape), myself().fixed.fraction))

    def _rows(self, dim: int) -> Secret:
        x = self._fine()
        return x if x.shape else x.reshape(1)


@cache
def _falling() -> NDArray[np.float64]:
    """cos(pi / 2 (1 + u)) for u from -1 to 1."""
    return fit(lambda u: -np.sin(np.pi / 2 * u), -1, 1, 11)


@cache
def _bump() -> NDArray[np.float64]:
    """sin(pi / 2 (1 + u)) for u from -1 to 1."""
    return fit(lambda u: np.cos(np.pi / 2 * u), -1, 1, 10)
