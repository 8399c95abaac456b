"""Random numbers that no party knows."""

from __future__ import annotations

import numpy as np

from protocols.smpc.replicated.bits import to_ring
from protocols.smpc.replicated.link import PARTIES, Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.polynomial import below
from protocols.smpc.replicated.sharing import Secret

__all__ = ["uniform"]


def uniform(party: Party, shape: tuple[int, ...]) -> Secret:
    """From 0 to 1, as many values as the number format has there, each with the same chance.

    Each pair of parties draws one number of `fraction` bits; the sum of the three modulo 1 is what none of them knows,
    since each lacks one. Two comparisons in the same rounds take the whole ones off it.
    """
    bits = party.fixed.fraction
    mask = np.uint64((1 << bits) - 1)

    def drawn(number: int) -> Words:
        """Share `number`, which ranks number - 1 and number hold."""
        other = number if party.rank == (number - 1) % PARTIES else (number - 1) % PARTIES
        return party.randomness.shared_with(other).draw(shape) & mask

    total = Secret(drawn(party.rank), drawn((party.rank + 1) % PARTIES))
    under = below(party, total, np.array([1 << bits, 2 << bits], np.uint64), bits=bits + 3)
    beyond = party.add(-to_ring(party, under).sum(0), np.array([2], np.uint64))  # how many whole ones the sum has
    return total - beyond.times(1 << bits)
