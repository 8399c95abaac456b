"""Signs and zeros of secrets, as shared bits: what every comparison is made of.

The sign of x = a + b, with a known to rank 0 and b to ranks 1 and 2, is a_top xor b_top xor the carry of the lower bits
(`carry`). Numbers known to be small are compared on fewer bits: |x| < 2**(bits - 1) is then the caller's promise.

On 64 bits a sign costs 45 bytes over all three links, 15 a party, and 5 rounds between ranks 1 and 2 (for few values 53
bytes and 3 rounds); on 46 bits 32 bytes and 4 rounds (for the fewest values 137 bytes and 2 rounds); a choice by it,
such as a ReLU, 32 bytes and one round more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.replicated.carry import Sum, Tree, conjunction, tree_for, work_out, work_out_all
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.slicing import WORD, columns_of

__all__ = ["all_set", "is_negative", "is_zero", "negative_rows", "signs"]


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


def negative_rows(party: Party, secret: Secret, *, bits: int = WORD) -> list[SecretBits]:
    """`is_negative` of (rows, *shape), as bits of each row by itself. Not for a party that checks."""
    rows, shape = secret.shape[0], secret.shape[1:]
    size = secret.size // max(rows, 1)
    columns = columns_of(size)
    laid = np.zeros((rows, WORD * columns), np.uint64)
    laid[:, :size] = _known(party, secret).reshape(rows, size)
    known = np.ascontiguousarray(laid.reshape(rows, WORD, columns).transpose(1, 0, 2)).reshape(-1)
    part = work_out(party, _tree(party, secret, bits), known, top=True)
    joined = party.reshare_bits(part, rows * columns, (rows * columns * WORD,))
    return [_cut(joined, slice(row * columns, (row + 1) * columns), shape) for row in range(rows)]


def all_set(party: Party, groups: Sequence[Sequence[SecretBits]]) -> list[SecretBits]:
    """For each group, of up to 7 arrays of bits of one shape, whether all of them are set. One round.

    All groups have as many. Not for a party that checks.
    """
    shape, columns = groups[0][0].shape, groups[0][0].first.size
    seen = [np.stack([_bits_known(party, each) for each in group]) for group in groups]
    part = conjunction(party, np.concatenate(seen, axis=1))
    joined = party.reshare_bits(part, len(groups) * columns, (len(groups) * columns * WORD,))
    return [_cut(joined, slice(at * columns, (at + 1) * columns), shape) for at in range(len(groups))]


def _cut(bits: SecretBits, columns: slice, shape: tuple[int, ...]) -> SecretBits:
    return SecretBits(bits.first[columns], bits.second[columns], shape)


def _bits_known(party: Party, bits: SecretBits) -> Words:
    if party.helps:
        return bits.first ^ bits.second
    return bits.second if party.rank == 1 else bits.first


def _known(party: Party, secret: Secret) -> Words:
    """What this rank knows of x = a + b: a at rank 0, b at the two others. (n,) contiguous words."""
    known = secret.total if party.helps else secret.second if party.rank == 1 else secret.first
    return np.ascontiguousarray(known).reshape(-1)
