"""Who computes here and now: a tensor of CrypTen's does not say which party it belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from mesh.errors import Misuse
from protocols.smpc.replicated.party import Party

__all__ = ["Session", "current", "take_place"]


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """One party's place.

    Attributes:
        party: its link, its keys and its number format.
        public: a `torch.Generator` in the same state at all three, for what all may know: which neurons drop out.
    """

    party: Party
    public: Any


_CURRENT: Final[ContextVar[Session]] = ContextVar("session")


def current() -> Session:
    """The session of this thread. Raises Misuse: none was begun."""
    try:
        return _CURRENT.get()
    except LookupError:
        raise Misuse("No session was begun: call crypten_bridge.init() first, in the thread that computes.") from None


def take_place(session: Session) -> None:
    """From now on this thread computes in that session."""
    _CURRENT.set(session)
