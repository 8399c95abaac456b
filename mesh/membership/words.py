"""What nodes say to each other about who is alive."""

from __future__ import annotations

from mesh.membership.view import Rumour
from mesh.messages import Message, message

__all__ = ["QUESTIONS", "VOCABULARY", "Alive", "Look", "Ping", "Seen", "Sync"]


@message("mesh.ping", reveals="who this device believes to be in the mesh, and what those say of themselves")
class Ping(Message, frozen=True):
    """Are you there? And the news; and the digest of my view."""

    news: tuple[Rumour, ...]
    digest: bytes


@message("mesh.alive", reveals="who this device believes to be in the mesh, and what those say of themselves")
class Alive(Message, frozen=True):
    """I am. And my news, and my digest."""

    news: tuple[Rumour, ...]
    digest: bytes


@message("mesh.look", reveals="that we got no answer from a device")
class Look(Message, frozen=True):
    """Do you get an answer from that one?"""

    peer: str


@message("mesh.seen", reveals="whether this device got an answer from another")
class Seen(Message, frozen=True):
    """So it is."""

    alive: bool


@message("mesh.sync", reveals="who this device believes to be in the mesh, and what those say of themselves")
class Sync(Message, frozen=True):
    """All that I believe; answer with yours."""

    members: tuple[Rumour, ...]


VOCABULARY: tuple[type[Message], ...] = (Ping, Alive, Look, Seen, Sync)

QUESTIONS = (Ping.kind, Look.kind, Sync.kind)
"""What a node is asked, by kind."""
