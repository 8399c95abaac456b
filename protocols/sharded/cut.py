"""Where to cut: few bytes across, even work between, and not everywhere. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "choose"]

MOST = 32
"""Segments that a model is cut into at most. Each costs a blob and a line in every plan; a mesh has fewer devices."""

_CANDIDATES = 600
"""Cuts that are weighed against each other; the time grows with its square."""


def choose(work: Sequence[float], weights: Sequence[int], crossing: Mapping[int, int], most: int = MOST) -> list[int]:
    """The cuts at which a model falls into its segments.

    Minimises, exactly, a sum of prices. A segment costs s * log2(s) for its share s of the work, and as much for its
    share of the weights, 1 being the even share of `most` segments. A cut costs (1 + r) / ln 2, r being the bytes that
    cross it over those that cross the median cut. At such prices an even chain falls into `most` segments; splitting
    one of them once more would not pay, nor would splitting a hundredth off a large one, so a run of nearly free nodes
    stays with a neighbour. A cut moves to a place nearby where fewer bytes cross, unless that would make the segments
    very uneven; and where more than some fifty times the usual crosses, nothing is worth a cut.

    Args:
        work: of each node, in any unit.
        weights: of each node, bytes.
        crossing: bytes across each legal cut; cut i lies before node i, 0 < i < number of nodes.
        most: segments.

    Returns:
        The chosen cuts, ascending; fewer than `most`.
    """
    done, held = _shares(work), _shares(weights)
    at = np.array([0, *_thinned(crossing, done), len(work)])
    price = _cut_prices(crossing, at)
    segment = sum(_segment_prices(most * (shares[at][None, :] - shares[at][:, None])) for shares in (done, held))
    step = np.where(at[None, :] > at[:, None], segment + price[:, None], np.inf)
    best = step[0]
    tails = [best[-1]]
    came: list[NDArray[np.intp]] = []
    for _ in range(min(most, len(at) - 1) - 1):
        total = best[:, None] + step
        came.append(np.argmin(total, axis=0))
        best = np.min(total, axis=0)
        tails.append(best[-1])
    place = len(at) - 1
    cuts: list[int] = []
    for origins in reversed(came[: int(np.argmin(tails))]):
        place = int(origins[place])
        cuts.append(int(at[place]))
    return cuts[::-1]


def _shares(amounts: Sequence[float]) -> NDArray[np.float64]:
    """(n + 1,) share of the total that lies before each cut."""
    sums = np.array([0, *accumulate(amounts)], np.float64)
    return np.divide(sums, max(float(sums[-1]), 1e-300))


def _thinned(crossing: Mapping[int, int], done: NDArray[np.float64]) -> list[int]:
    """Of many cuts the one with the fewest bytes in each small stretch of the work."""
    if len(crossing) <= _CANDIDATES:
        return sorted(crossing)
    best: dict[int, int] = {}
    for cut in sorted(crossing):
        stretch = int(done[cut] * _CANDIDATES)
        if stretch not in best or crossing[cut] < crossing[best[stretch]]:
            best[stretch] = cut
    return sorted(best.values())


def _segment_prices(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return shares * np.log2(np.maximum(shares, 1e-300))


def _cut_prices(crossing: Mapping[int, int], at: NDArray[np.int_]) -> NDArray[np.float64]:
    """(len(at),) what cutting there costs; nothing at the model's own beginning and end."""
    usual = max(float(np.median(list(crossing.values()))) if crossing else 1.0, 1.0)
    return np.array([0.0, *((1 + crossing[int(cut)] / usual) / math.log(2) for cut in at[1:-1]), 0.0])
