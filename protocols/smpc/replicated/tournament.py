"""The largest of many: in stages, each of which compares all pairs of a few candidates at once.

Of w candidates the first that is not under any other is the best: w (w - 1) / 2 comparisons in one go, a conjunction of
w - 1 bits for each, and one choice among all. Two at a time take the fewest comparisons and the most rounds; which
widths are expected to be fastest depends on how many there are and on what a round costs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.carry import tree_for
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.combining import combined
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.signs import all_set, is_negative, negative_rows

__all__ = ["best_of", "best_with", "cheaper_apart"]

_WIDEST = 8  # candidates of one stage
_BYTE = 1e-9  # seconds that one more byte is taken to cost


def best_of(party: Party, stack: Secret, bits: int) -> Secret:
    """The largest along the first axis, for differences under 2**(bits - 1) units. Raises BadInput: of nothing."""
    return best_with(party, stack.reshape(1, *stack.shape), bits)[0]


def best_with(party: Party, kinds: Secret, bits: int) -> Secret:
    """The same for arrays that belong together: (kinds, length, *shape) to (kinds, *shape).

    The first is compared; of equals the first one counts, and the others follow it. Raises as `best_of`.
    """
    if not kinds.shape[1]:
        raise BadInput("There is no largest of nothing.")
    while (length := kinds.shape[1]) > 1:
        each = kinds.size // (kinds.shape[0] * length)
        width = 2 if isinstance(party, Checked) else _plan(length, each, bits, party.link.latency)[1]
        if width > 2:
            kinds = _stage(party, kinds, width, bits)
            continue
        even = 2 * (length // 2)
        left, right = kinds[:, 0:even:2], kinds[:, 1:even:2]
        difference = right - left
        lost = is_negative(party, -difference[0], bits=bits)
        best = left + select(party, lost, difference)
        kinds = Secret.concatenate([best, kinds[:, even:]], 1) if length % 2 else best
    return kinds[:, 0]


def cheaper_apart(
    party: Party, kernel: tuple[int, int], sizes: tuple[int, int], bits: int, *, at_least_zero: bool
) -> bool:
    """Whether windows are better searched along one axis and then along the other than at once.

    Args:
        sizes: how many windows there are along one axis, and in both.
        at_least_zero: whether zero is a candidate as well; apart, it is met last and alone.
    """
    if isinstance(party, Checked):
        return True
    down, across = kernel
    latency = party.link.latency
    apart = _plan(across, sizes[0], bits, latency)[0] + _plan(down, sizes[1], bits, latency)[0]
    if at_least_zero:
        apart += _plan(2, sizes[1], bits, latency)[0]
    return apart <= _plan(down * across + at_least_zero, sizes[1], bits, latency)[0]


def _stage(party: Party, kinds: Secret, width: int, bits: int) -> Secret:
    """(kinds, length, *shape) to (kinds, ceil(length / width), *shape)."""
    many, length, *shape = kinds.shape
    count = -(-length // width)
    spare = width * count - length  # those that are lacking are the last one again
    last = kinds[:, -1:].broadcast_to((many, spare, *shape))
    full = Secret.concatenate([kinds, last], 1) if spare else kinds
    rivals = full.reshape(many, count, width, *shape).map(lambda share: np.moveaxis(share, 2, 0))
    pairs = [(i, j) for i in range(width) for j in range(i + 1, width)]
    first, second = (rivals[[pair[side] for pair in pairs], 0] for side in (0, 1))
    lost = dict(zip(pairs, negative_rows(party, first - second, bits=bits), strict=True))
    groups = [[_beats(party, lost, i, j) for j in range(width) if j != i] for i in range(width - 1)]
    best = all_set(party, groups)
    choices = [(won, rivals[i] - rivals[width - 1]) for i, won in enumerate(best)]
    return combined(party, choices, plus=rivals[width - 1])


def _beats(party: Party, lost: dict[tuple[int, int], SecretBits], one: int, other: int) -> SecretBits:
    """Of equals, the first wins."""
    return party.flip(lost[one, other]) if one < other else lost[other, one]


@lru_cache(maxsize=4096)
def _plan(length: int, each: int, bits: int, latency: float) -> tuple[float, int]:
    """What it is expected to cost to find the best of `length`, `each` times, and how many to compare at once first."""
    if length <= 1:
        return 0.0, 1
    costs = []
    for width in range(2, min(length, _WIDEST) + 1):
        count = length // 2 if width == 2 else -(-length // width)
        pairs = width * (width - 1) // 2 * count * each
        tree = tree_for(bits - 1, pairs, latency=latency)
        spent = pairs * (tree.dealt + 2 * tree.opened + 3) / 8 + count * each * (width - 1) * 16 + count * each * 16
        rounds = len(tree.joins) + 2
        if width > 2:
            spent += count * each * (width - 1) * (2 ** (width - 1) + 2) / 8
            rounds += 1
        rest = _plan(-(-length // width), each, bits, latency)[0]
        costs.append((latency * rounds + _BYTE * spent + rest, width))
    return min(costs)
