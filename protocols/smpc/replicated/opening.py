"""Values in and results out: a party's own array becomes shares, and shares become known to those who may know."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np

from mesh.errors import Misuse, PeerMisbehaved
from protocols.smpc.replicated.checked.contract import Checked
from protocols.smpc.replicated.link import PARTIES, Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Purpose
from protocols.smpc.replicated.sharing import Secret

__all__ = ["reveal", "share"]

_DIGEST = 32

_AT_ONCE = 2**20
"""Values that go to all receivers in one round: 8 MiB each way."""


def share(party: Party, owner: int, values: Words | None, shape: tuple[int, ...]) -> Secret:
    """What one of the three brings in, as shares. One word a value, from the owner to one other.

    Args:
        owner: whose it is.
        values: (shape) ring elements at the owner; None at the others.

    Raises:
        Misuse: the owner gave nothing or another shape.
    """
    if isinstance(party, Checked):
        return party.share(owner, values, shape)
    giver, taker = (0, 1) if owner == 0 else (owner, 3 - owner)
    partner = 2 if owner == 0 else 0
    numbers = (party.rank, (party.rank + 1) % PARTIES)
    held = {number: np.zeros(shape, np.uint64) for number in numbers}
    drawn = 0 if {giver, partner} == {0, 2} else 1  # the share that owner and partner both hold
    sent = next(number for number in range(PARTIES) if number != drawn and number in _common(giver, taker))
    if party.rank == giver:
        if values is None or values.shape != shape:
            raise Misuse(f"Rank {owner} must bring in an array of shape {shape} to share it.")
        held[drawn] = party.randomness.shared_with(partner, Purpose.INPUT).draw(shape)
        np.subtract(values, held[drawn], out=held[sent])
        party.link.exchange(taker, [held[sent]], taker, ())
    elif party.rank == partner:
        held[drawn] = party.randomness.shared_with(giver, Purpose.INPUT).draw(shape)
    else:
        party.link.exchange(giver, (), giver, [held[sent]])
    return Secret(held[numbers[0]], held[numbers[1]])


def _common(one: int, other: int) -> set[int]:
    """The shares that both hold."""
    return {one, (one + 1) % PARTIES} & {other, (other + 1) % PARTIES}


def reveal(party: Party, secret: Secret, to: Collection[int] = range(PARTIES)) -> Words | None:
    """Make a secret known to some of the parties, and to no others. One round; for large ones, one a receiver.

    The share that a receiver lacks is held by both others: one sends it, the other its SHA-256, so that a party whose
    shares are not the ones its neighbour holds is found out before the result is used.

    Returns:
        The ring elements at the receivers, None at the others.

    Raises:
        PeerMisbehaved: the two others do not hold the same share.
    """
    if isinstance(party, Checked):
        return party.reveal(secret, to)
    receivers = sorted(to)
    if secret.size > _AT_ONCE and len(receivers) > 1:  # what is sent ahead is bounded, and nobody would read any of it
        results = [reveal(party, secret, [receiver]) for receiver in receivers]
        return next((words for words in results if words is not None), None)
    found: Words | None = None
    for receiver in receivers:
        ahead, behind = (receiver + 1) % PARTIES, (receiver - 1) % PARTIES
        if party.rank == behind:  # holds shares receiver - 1 and receiver: the first is lacking
            party.link.post(receiver, [np.ascontiguousarray(secret.first)])  # all three may wait for one another
        elif party.rank == ahead:
            party.link.post(receiver, [_digest(np.ascontiguousarray(secret.second))])
    if party.rank in to:
        lacking: Words = np.empty(secret.shape, np.uint64)
        digest: Words = np.empty(_DIGEST, np.uint8)
        party.link.exchange(party.link.previous, (), party.link.previous, [lacking])
        party.link.exchange(party.link.next, (), party.link.next, [digest])
        if not np.array_equal(_digest(lacking), digest):
            raise PeerMisbehaved(
                f"party {party.link.previous}",
                f"It and party {party.link.next} hold different versions of one share; nothing was revealed.",
            )
        found = secret.total + lacking
    return found


def _digest(share: Words) -> Words:
    return np.frombuffer(hashlib.sha256(share.data).digest(), np.uint8).copy()
