"""What a party computes in a way of its own if it takes nobody's word: all that needs messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret, SecretBits

__all__ = ["Checked", "Operation"]

Operation = Callable[[Words, Words], Words]
"""On ring elements, linear in each of both."""


class Checked(Party, ABC):
    """A party whose operations are these, and not the semi-honest engine's.

    Everything else is made of them, so it needs no second version. See `party.CheckedParty` for what they do.
    """

    @abstractmethod
    def product(self, operation: Operation, left: Secret, right: Secret) -> Secret:
        """Any bilinear operation of two secrets, modulo 2**64: nothing is truncated."""

    @abstractmethod
    def divided(self, secret: Secret, bits: int, *, exact: bool) -> Secret:
        """Values under 2**62 by 2**bits, to either neighbour, or exactly to the nearest integer (halves up)."""

    @abstractmethod
    def negative(self, secret: Secret, bits: int) -> SecretBits:
        """Whether each value is under zero, for |values| < 2**(bits - 1)."""

    @abstractmethod
    def zero(self, secret: Secret) -> SecretBits:
        """Whether each value is zero."""

    @abstractmethod
    def ring(self, bits: SecretBits) -> Secret:
        """Each bit as the integer 0 or 1."""

    @abstractmethod
    def share(self, owner: int, values: Words | None, shape: tuple[int, ...]) -> Secret:
        """As `opening.share`."""

    @abstractmethod
    def reveal(self, secret: Secret, to: Collection[int]) -> Words | None:
        """As `opening.reveal`, once everything computed so far is checked."""
