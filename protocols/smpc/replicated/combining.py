"""Sums of choices: several bits, each with values that count where it is set, truncated and shared in one go."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from protocols.smpc.replicated.bits import chosen, lifted, select, to_ring
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits
from protocols.smpc.replicated.truncation import settle, truncate

__all__ = ["combined"]


def combined(
    party: Party,
    choices: Sequence[tuple[SecretBits, Secret]],
    *,
    lifts: Sequence[tuple[SecretBits, int]] = (),
    plus: Secret | None = None,
    taken: int = 0,
) -> Secret:
    """A sum of choices, of bits times known integers, and of a secret, with `taken` bits taken off, shared once.

    One round, or two if bits are taken off: the sum must stay under 2**62 then. At least one choice is needed.

    Args:
        choices: bits and values of one shape each; stacks of what is to be added up have an axis more, the first.
        plus: of the result's shape, which is that of the last axes of the choices.
    """
    shape = plus.shape if plus is not None else choices[0][1].shape
    if isinstance(party, Checked):
        total = plus
        for bits, values in choices:
            picked = select(party, bits, values)
            picked = picked if picked.shape == shape else picked.sum(0)
            total = picked if total is None else total + picked
        for bits, factor in lifts:
            raised = to_ring(party, bits).times(factor)
            total = raised if total is None else total + raised
        return truncate(party, total or choices[0][1], taken)
    part: Words | None = None
    for bits, values in choices:
        part = _added(part, chosen(party, bits, values), shape)
    for bits, factor in lifts:
        found = lifted(party, bits)
        part = _added(part, None if found is None else found * np.uint64(factor % 2**64), shape)
    if part is not None and plus is not None:
        part += plus.total if party.rank == 1 else plus.second
    return settle(party, part, shape, taken)


def _added(part: Words | None, more: Words | None, shape: tuple[int, ...]) -> Words | None:
    if more is None:
        return None
    more = more.reshape(-1, *shape).sum(0, dtype=np.uint64) if more.size != math.prod(shape) else more.reshape(shape)
    return more if part is None else np.add(part, more, out=part)
