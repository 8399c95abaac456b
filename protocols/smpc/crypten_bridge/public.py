"""Numbers that everybody knows, as CrypTen's scripts write them, for the engine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesh.errors import BadInput
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.sharing import FixedPoint

__all__ = ["addend", "factor", "is_public", "numbers_of"]

_WHOLE = 2.0**26  # integers under it are factors that need no truncation
_FINEST = 44  # fractional bits of the smallest factors


def is_public(value: Any) -> bool:
    """Whether it is a number, a list of them, or an array or tensor of torch's."""
    return isinstance(value, int | float | list | np.ndarray | np.generic) or torch.is_tensor(value)


def numbers_of(value: Any) -> NDArray[np.float64]:
    """As doubles. Raises BadInput: complex numbers, or what are none."""
    if torch.is_tensor(value):
        if value.is_complex():
            raise BadInput("Complex numbers cannot be shared.")
        value = value.detach().cpu().to(torch.float64).numpy()
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"Only numbers can be shared, not {type(value).__name__}.") from error


def addend(value: Any, fixed: FixedPoint, fraction: int) -> tuple[Words, int]:
    """Ring elements and their fractional bits: `fraction`, unless it is 0 and the numbers are no integers."""
    numbers = numbers_of(value)
    taken = fraction if fraction or _whole(numbers) else fixed.fraction
    return fixed.encode(numbers, fraction=taken), taken


def factor(value: Any, fixed: FixedPoint) -> tuple[Words, int]:
    """Ring elements and their fractional bits: none for integers, and for small numbers more than the format has.

    A learning rate of 0.001 has 18 significant bits then, where 18 fractional bits leave it 8.
    """
    numbers = numbers_of(value)
    if _whole(numbers):
        return fixed.encode(numbers, fraction=0), 0
    worst = float(np.abs(numbers).max(initial=0.0))
    more = max(0, math.floor(-math.log2(worst))) if 0 < worst < math.inf else 0
    bits = min(fixed.fraction + more, _FINEST)
    return fixed.encode(numbers, fraction=bits), bits


def _whole(numbers: NDArray[np.float64]) -> bool:
    return bool((np.abs(numbers) < _WHOLE).all() and (numbers == np.rint(numbers)).all())
