"""Everything that can go wrong, and whose fault it is.

MeshError
  + ConfigError            our settings are wrong; nothing has started
  + IdentityError          a key, certificate or peer id does not fit
  + BadInput               a person handed in a file, tensor or option that cannot be used
  + StoreError             the device's own store cannot keep or find a blob
  + NoNode                 no node answers on this device
  + Misuse                 our own code broke a contract: a bug here, never the peer's
  + WireError              bytes that are no frame
    - FrameTooLarge
    - BadFrame
  + PeerError              one peer failed us; carries .peer
    - PeerUnreachable      it never answered
    - PeerLost             it answered, then went away
    - PeerDeclined         it said no; carries .reason, a sentence
    - PeerMisbehaved       it sent what the protocol forbids
  + SessionError
    - NoPlan               these candidates cannot do this job; says what is missing
    - QuorumLost           too few ranks are left to go on
    - DeadlinePassed
    - Busy                 as much is in flight as was agreed; carries .after, seconds
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BadFrame",
    "BadInput",
    "Busy",
    "ConfigError",
    "DeadlinePassed",
    "FrameTooLarge",
    "IdentityError",
    "MeshError",
    "Misuse",
    "NoNode",
    "NoPlan",
    "PeerDeclined",
    "PeerError",
    "PeerLost",
    "PeerMisbehaved",
    "PeerUnreachable",
    "QuorumLost",
    "SessionError",
    "StoreError",
    "WireError",
    "first_error",
    "one_line",
]

_SENTENCE = 400  # characters: what a peer writes ends up in logs, on screens and in what we tell others


class MeshError(Exception):
    """Base of every error that the mesh raises on purpose."""

    retry: ClassVar[bool] = False
    """Whether the same job may succeed if it is simply submitted again."""


class ConfigError(MeshError):
    """Our settings are wrong. Raised before anything has started."""


class IdentityError(MeshError):
    """A key, a certificate or a peer id does not fit the others."""


class BadInput(MeshError):
    """A person handed in a file, a tensor or an option that cannot be used. Says what would do."""


class StoreError(MeshError):
    """The device's own store cannot keep, find or vouch for a blob."""


class NoNode(MeshError):
    """No node of this device answers a program that wants to use it, or it went away meanwhile."""

    retry = True


class Misuse(MeshError):
    """Our own code broke a contract. A bug on this device, never the peer's fault."""


class WireError(MeshError):
    """Bytes that are no frame."""


class FrameTooLarge(WireError):
    """A frame over the limit, seen before its body was read."""


class BadFrame(WireError):
    """A frame that does not parse, or that does not fit the message it claims to be."""


class PeerError(MeshError):
    """One peer failed us.

    Attributes:
        peer: its id.
        reason: a sentence for a person, made safe to show.
        witness: whose word we have for it, where we did not see it ourselves; "" where we did.
    """

    def __init__(self, peer: str, reason: str, *, witness: str = "") -> None:
        reason = one_line(reason)
        super().__init__(f"{peer[:7]}: {reason}")
        self.peer = peer
        self.reason = reason
        self.witness = witness


class PeerUnreachable(PeerError):
    """The peer never answered."""

    retry = True


class PeerLost(PeerError):
    """The peer answered once, and is gone."""

    retry = True


class PeerDeclined(PeerError):
    """The peer said no. `reason` is a sentence written for a person."""


class PeerMisbehaved(PeerError):
    """The peer sent what the protocol forbids."""


class SessionError(MeshError):
    """A session could not be formed or could not go on."""


class NoPlan(SessionError):
    """These candidates cannot do this job. The message says what is missing."""


class QuorumLost(SessionError):
    """Too few ranks are left to go on."""

    retry = True


class DeadlinePassed(SessionError):
    """The job's time is up."""

    retry = True


class Busy(SessionError):
    """As much is in flight as was agreed; nothing was taken on.

    Attributes:
        after: seconds after which asking again makes sense.
    """

    retry = True

    def __init__(self, reason: str, after: float) -> None:
        super().__init__(reason)
        self.after = after


def one_line(text: str) -> str:
    """What somebody else wrote, safe to show: one line of printable characters, cut off where it grows long."""
    cut = text if len(text) <= _SENTENCE else f"{text[:_SENTENCE]}…"
    return cut if cut.isprintable() else "".join(sign if sign.isprintable() else " " for sign in cut)


def first_error(group: BaseExceptionGroup[BaseException]) -> MeshError:
    """The one `MeshError` that a task group's failure comes down to.

    A peer that broke the rules is named before one that was merely lost: the loss is often our own answer to it.

    Raises:
        BaseException: the first that is none of ours, unchanged: a bug is not to be dressed up as a peer's failure.
    """
    flat = list(_leaves(group))
    for error in flat:
        if not isinstance(error, MeshError):
            raise error
    ours = [error for error in flat if isinstance(error, MeshError)]
    return min(ours, key=lambda error: not isinstance(error, PeerMisbehaved))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
