"""Which party computes here and now: a tensor of CrypTen's does not say whose it is."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from mesh.errors import Misuse
from protocols.smpc.replicated.party import Party

__all__ = ["become", "myself"]

_MYSELF: Final[ContextVar[Party]] = ContextVar("party")


def myself() -> Party:
    """The party that this thread is. Raises Misuse: none yet."""
    try:
        return _MYSELF.get()
    except LookupError:
        raise Misuse("No session was begun: call crypten_bridge.init() first, in the thread that computes.") from None


def become(party: Party) -> None:
    """From now on this thread computes for that party."""
    _MYSELF.set(party)
