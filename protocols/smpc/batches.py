"""The values of some ports as they come in at a party, piece by piece. Reusable; knows no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.dealing import Taker, labelled, total, values_of
from protocols.smpc.program.steps import Array, Port
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.sharing import Secret

__all__ = ["Batch"]


class Batch:
    """Args:
    ports: in the order in which their owner sends them.
    taker: for what comes as shares; without one, it comes in clear.
    """

    def __init__(self, ports: Sequence[Port], taker: Taker | None) -> None:
        self._ports = tuple(ports)
        self._taker = taker
        self._rows = tuple(np.empty(total(self._ports), np.uint64) for _ in range(2 if taker else 1))
        self._have = 0

    def add(self, count: int, words: Words) -> None:
        """The next `count` numbers: share 2 of them where we hold that, nothing where we draw both; themselves, if
        they are no secret.

        Raises:
            BadInput: they are more than are due, or other words came than belong to so many.
        """
        place = slice(self._have, self._have + count)
        if count < 0 or place.stop > self._rows[0].size or (self._taker is None and words.size != count):
            raise BadInput(f"The owner sent {words.size} words where the program takes {self._rows[0].size} in all.")
        parts = (words,) if self._taker is None else self._taker.pair(words, count)
        for row, part in zip(self._rows, parts, strict=True):
            row[place] = part
        self._have = place.stop

    def values(self) -> Mapping[str, Secret | Array]:
        """All of them, by name. Raises BadInput: some have not come in."""
        if self._have != self._rows[0].size:
            raise BadInput(f"The owner sent {self._have} numbers of {self._rows[0].size}.")
        if self._taker is None:
            return values_of(self._ports, self._rows[0])
        first, second = (labelled(self._ports, row) for row in self._rows)
        return {name: Secret(first[name], second[name]) for name in first}
