"""Comparisons of secrets, and what is made of them: choices, maxima, pooling.

The sign of x = a + b, with a known to rank 0 and b to ranks 1 and 2, is a_top xor b_top xor the carry of the lower bits
(`carry`). Numbers known to be small are compared on fewer bits: |x| < 2**(bits - 1) is then the caller's promise.

On 64 bits a sign costs 45 bytes over all three links, 15 a party, and 5 rounds between ranks 1 and 2 (for few values 53
bytes and 3 rounds); on 32 bits 23 bytes and 4 rounds; a ReLU 32 bytes and one round more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import ArrayLike

from mesh.errors import BadInput
from protocols.smpc.replicated.bits import select
from protocols.smpc.replicated.carry import Sum, Tree, tree_for, work_out, work_out_all
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.kernels import Geometry
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.slicing import WORD, columns_of

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


def is_negative(party: Party, secret: Secret, *, bits: int = WORD) -> SecretBits:
    """Whether each value is under zero, for |values| < 2**(bits - 1) units.

    Raises:
        BadInput: bits not in 2..64.
    """
    tree = _tree(party, secret, bits)
    if isinstance(party, Checked):
        return party.negative(secret, bits)
    sign = work_out(party, tree, _known(party, secret), top=True)
    return party.reshare_bits(sign, columns_of(secret.size), secret.shape)


def signs(party: Party, secrets: Sequence[tuple[Secret, int]]) -> list[SecretBits]:
    """`is_negative` of several arrays, each on bits of its own, in the rounds of one.

    Args:
        secrets: values and the bits on which they are told.

    Raises:
        BadInput: bits not in 2..64.
    """
    if isinstance(party, Checked):
        return [is_negative(party, secret, bits=bits) for secret, bits in secrets]
    sums = [Sum(_tree(party, secret, bits), _known(party, secret), top=True) for secret, bits in secrets]
    parts = work_out_all(party, sums)
    columns = [columns_of(secret.size) for secret, _ in secrets]
    whole = None if party.helps else np.concatenate([part for part in parts if part is not None])
    joined = party.reshare_bits(whole, sum(columns), (sum(columns) * WORD,))
    ends = list(accumulate(columns, initial=0))
    return [
        SecretBits(joined.first[start:stop], joined.second[start:stop], secret.shape)
        for (secret, _), (start, stop) in zip(secrets, pairwise(ends), strict=True)
    ]


def _tree(party: Party, secret: Secret, bits: int) -> Tree:
    if not 2 <= bits <= WORD:
        raise BadInput(f"Signs are told on 2 to {WORD} bits, not {bits}.")
    return tree_for(bits - 1, secret.size, latency=party.link.latency)


def is_zero(party: Party, secret: Secret) -> SecretBits:
    """Whether each value is zero: whether the sum of the lower shares and the third minus 1 is all ones, bit by bit."""
    if isinstance(party, Checked):
        return party.zero(secret)
    known = _known(party, secret)
    tree = tree_for(WORD, secret.size, carry=False, latency=party.link.latency)
    same = work_out(party, tree, known if party.helps else known - np.uint64(1))
    return party.reshare_bits(same, columns_of(secret.size), secret.shape)


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
    """The maximum along an axis, as a tree: ceil(log2(length)) comparisons one after another."""
    return _largest(party, secret.map(lambda share: np.moveaxis(share, axis, 0)), bits)


def argmax(party: Party, secret: Secret, axis: int, *, bits: int = WORD) -> tuple[Secret, Secret]:
    """The maximum along an axis and where it stands, as an integer; of equals, the first."""
    rest = secret.map(lambda share: np.ascontiguousarray(np.moveaxis(share, axis, 0)))
    length = rest.shape[0]
    if length == 0:
        raise BadInput("There is no largest of nothing.")
    numbers = np.arange(length, dtype=np.uint64).reshape(-1, *[1] * (len(rest.shape) - 1))
    place = party.public(np.broadcast_to(numbers, rest.shape).copy())
    both = Secret.stack([rest, place], 1)
    while (length := both.shape[0]) > 1:
        half = length // 2
        left, right, odd = both[0 : 2 * half : 2], both[1 : 2 * half : 2], both[2 * half :]
        lost = less(party, left[:, 0], right[:, 0], bits=bits)
        picked = select(party, lost, (right - left).map(_second_first), None).map(_second_first) + left
        both = Secret.concatenate([picked, odd])
    return both[0, 0], both[0, 1]


def max_pool(
    party: Party, secret: Secret, kernel: tuple[int, int], geometry: Geometry | None = None, *, bits: int = WORD
) -> Secret:
    """The maximum of each window, along the width first and then along the height: fewest comparisons.

    Args:
        secret: (batch, channels, height, width), values under 2**(bits - 2) units where there is padding, so that
            what pads is under all of them; differences under 2**(bits - 1) units where there is none.
    """
    laid = geometry or Geometry(kernel)
    top, left, bottom, right = laid.padding
    floor = np.full((), 1 << (bits - 2) if any(laid.padding) else 0, np.uint64)
    raised = party.add(secret, floor[None]).pad([(0, 0), (0, 0), (top, bottom), (left, right)])
    for axis in (3, 2):
        step, apart, size = laid.stride[axis - 2], laid.dilation[axis - 2], kernel[axis - 2]
        count = (raised.shape[axis] - (size - 1) * apart - 1) // step + 1
        if count < 1:
            raise BadInput(f"A window of {kernel} does not fit a padded plane of {raised.shape[2:]}.")
        lead = (slice(None),) * axis
        views = [raised[*lead, k * apart : k * apart + (count - 1) * step + 1 : step] for k in range(size)]
        raised = _largest(party, Secret.stack(views), bits)
    return party.add(raised, np.negative(floor[None]))


def _largest(party: Party, stack: Secret, bits: int) -> Secret:
    """Along the first axis."""
    if not stack.shape[0]:
        raise BadInput("There is no largest of nothing.")
    while (length := stack.shape[0]) > 1:
        half = length // 2
        best = maximum(party, stack[:half], stack[half : 2 * half], bits=bits)
        stack = Secret.concatenate([best, stack[2 * half :]]) if length % 2 else best
    return stack[0]


def _second_first(share: Words) -> Words:
    return np.ascontiguousarray(share.swapaxes(0, 1))


def _shifted(party: Party, secret: Secret, number: ArrayLike) -> Secret:
    return party.add(secret, party.fixed.encode(-np.asarray(number, np.float64)))


def _known(party: Party, secret: Secret) -> Words:
    """What this rank knows of x = a + b: a at rank 0, b at the two others. (n,) contiguous words."""
    known = secret.total if party.helps else secret.second if party.rank == 1 else secret.first
    return np.ascontiguousarray(known).reshape(-1)
