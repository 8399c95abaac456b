"""What is made of comparisons: choices, maxima, pooling. Exact, all of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mesh.errors import BadInput
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.kernels import Geometry
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.signs import is_negative, is_zero, signs
from protocols.smpc.replicated.slicing import WORD
from protocols.smpc.replicated.tournament import best_of, best_with, cheaper_apart

__all__ = [
    "absolute",
    "argmax",
    "clamp",
    "equal",
    "is_negative",
    "is_zero",
    "largest",
    "less",
    "max_pool",
    "maximum",
    "minimum",
    "relu",
    "signs",
]


def less(party: Party, left: Secret, right: Secret, *, bits: int = WORD) -> SecretBits:
    """left < right, for differences under 2**(bits - 1) units."""
    return is_negative(party, left - right, bits=bits)


def equal(party: Party, left: Secret, right: Secret) -> SecretBits:
    """left == right, as ring elements."""
    return is_zero(party, left - right)


def relu(party: Party, secret: Secret, *, bits: int = WORD) -> Secret:
    """Exactly the value or zero, for |values| < 2**(bits - 1) units."""
    return select(party, party.flip(is_negative(party, secret, bits=bits)), secret)


def absolute(party: Party, secret: Secret, *, bits: int = WORD) -> Secret:
    """Exactly |values|."""
    return secret - select(party, is_negative(party, secret, bits=bits), secret.times(2))


def maximum(party: Party, left: Secret, right: Secret, *, bits: int = WORD) -> Secret:
    """The larger of two, for differences under 2**(bits - 1) units."""
    return right + relu(party, left - right, bits=bits)


def minimum(party: Party, left: Secret, right: Secret, *, bits: int = WORD) -> Secret:
    """The smaller of two, for differences under 2**(bits - 1) units."""
    return left - relu(party, left - right, bits=bits)


def clamp(party: Party, secret: Secret, low: float, high: float, *, bits: int = WORD) -> Secret:
    """Values brought into a known range, as far outside of it as they may lie. Both comparisons share their rounds."""
    ends = Secret.stack([_shifted(party, secret, low), -_shifted(party, secret, high)])
    beyond = relu(party, -ends, bits=bits)  # by how much the value is under the low end, and over the high one
    return secret + beyond[0] - beyond[1]


def largest(party: Party, secret: Secret, axis: int, *, bits: int = WORD) -> Secret:
    """The maximum along an axis, in as many stages as `tournament` finds cheapest."""
    return best_of(party, secret.map(lambda share: np.moveaxis(share, axis, 0)), bits)


def argmax(party: Party, secret: Secret, axis: int, *, bits: int = WORD) -> tuple[Secret, Secret]:
    """The maximum along an axis and where it stands, as an integer; of equals, the first."""
    rest = secret.map(lambda share: np.ascontiguousarray(np.moveaxis(share, axis, 0)))
    length = rest.shape[0]
    if length == 0:
        raise BadInput("There is no largest of nothing.")
    numbers = np.arange(length, dtype=np.uint64).reshape(-1, *[1] * (len(rest.shape) - 1))
    place = party.public(np.broadcast_to(numbers, rest.shape).copy())
    both = best_with(party, Secret.stack([rest, place]), bits)
    return both[0], both[1]


def max_pool(
    party: Party,
    secret: Secret,
    kernel: tuple[int, int],
    geometry: Geometry | None = None,
    *,
    at_least_zero: bool = False,
    bits: int = WORD,
) -> Secret:
    """The maximum of each window: along the width and then along the height, which takes fewest comparisons, or at
    once, which takes fewest rounds, as `tournament` finds cheaper.

    Args:
        secret: (batch, channels, height, width), values under 2**(bits - 2) units where there is padding, so that
            what pads is under all of them; differences under 2**(bits - 1) units where there is none.
        at_least_zero: whether zero is in every window.
    """
    laid = geometry or Geometry(kernel)
    top, left, bottom, right = laid.padding
    floor = np.full((), 1 << (bits - 2) if any(laid.padding) else 0, np.uint64)
    raised = party.add(secret, floor[None]).pad([(0, 0), (0, 0), (top, bottom), (left, right)])
    rows = _windows(raised, kernel, laid, 3)
    columns = _windows(rows[0], kernel, laid, 2)
    if cheaper_apart(party, kernel, (rows[0].size, columns[0].size), bits, at_least_zero=at_least_zero):
        raised = best_of(party, Secret.stack(rows), bits)
        raised = best_of(party, Secret.stack(_windows(raised, kernel, laid, 2)), bits)
        raised = party.add(raised, np.negative(floor[None]))
        return relu(party, raised, bits=bits) if at_least_zero else raised
    views = [view for row in rows for view in _windows(row, kernel, laid, 2)]
    if at_least_zero:
        views.append(party.public(np.full(views[0].shape, floor, np.uint64)))
    return party.add(best_of(party, Secret.stack(views), bits), np.negative(floor[None]))


def _windows(planes: Secret, kernel: tuple[int, int], laid: Geometry, axis: int) -> list[Secret]:
    """For each place in a window, along one axis, what lies there in all windows."""
    step, apart, size = laid.stride[axis - 2], laid.dilation[axis - 2], kernel[axis - 2]
    count = (planes.shape[axis] - (size - 1) * apart - 1) // step + 1
    if count < 1:
        raise BadInput(f"A window of {kernel} does not fit a padded plane of {planes.shape[2:]}.")
    lead = (slice(None),) * axis
    return [planes[*lead, k * apart : k * apart + (count - 1) * step + 1 : step] for k in range(size)]


def _shifted(party: Party, secret: Secret, number: ArrayLike) -> Secret:
    return party.add(secret, party.fixed.encode(-np.asarray(number, np.float64)))
