"""Links described in one line, for programs that are given nothing but an address, as torch's rendezvous gives it.

    mesh://PEER@HOST:PORT,PEER@HOST:PORT,...?identity=FOLDER&session=NAME[&rank=N][&within=SECONDS]

The parties stand in rank order, each with the address where it listens. `FOLDER` holds this device's identity, which
tells which of the parties we are; `{rank}` in it becomes the rank, for several parties on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from mesh.contracts import Address
from mesh.errors import ConfigError
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.blocking import Links, Listener

__all__ = ["Invitation", "open_url"]

_FORM = "mesh://PEER@HOST:PORT,PEER@HOST:PORT?identity=FOLDER&session=NAME"


@dataclass(frozen=True, slots=True)
class Invitation:
    """What such a line says."""

    roster: tuple[tuple[PeerId, Address], ...]
    identity: Path
    session: SessionId
    within: float

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a line.

        Raises:
            ConfigError: it has another form, or lacks something; says what.
            IdentityError: what should be a peer's id is none.
        """
        parts = urlsplit(url)
        words = dict(parse_qsl(parts.query))
        unknown = words.keys() - {"identity", "session", "rank", "world_size", "within"}
        if parts.scheme != "mesh" or unknown or not {"identity", "session"} <= words.keys():
            raise ConfigError(f"{url[:200]!r} says not how to meet: expected {_FORM}.")
        roster = tuple(_party(text) for text in parts.netloc.split(","))
        if words.get("world_size", str(len(roster))) != str(len(roster)):
            raise ConfigError(f"{len(roster)} parties are named, and {words['world_size']} are asked for.")
        folder = words["identity"].replace("{rank}", words.get("rank", ""))
        try:
            within = float(words.get("within", "30"))
        except ValueError as error:
            raise ConfigError(f"within={words['within'][:40]} is no number of seconds.") from error
        return cls(roster, Path(folder), SessionId(words["session"]), within)

    def rank(self) -> int:
        """Our place among the parties, which the identity tells. Raises as `Identity.load`, and ConfigError: none."""
        return self.place_of(Identity.load(self.identity))

    def place_of(self, identity: Identity) -> int:
        """Where `identity` stands among the parties. Raises ConfigError: nowhere."""
        for rank, (peer, _) in enumerate(self.roster):
            if peer == identity.peer:
                return rank
        raise ConfigError(f"{self.identity} is the identity of {identity.peer.short}, which is no party here.")


def open_url(url: str) -> Links:
    """Links to all parties that `url` names. Raises as `Invitation.parse`, `Identity.load` and `Links.open` do."""
    invitation = Invitation.parse(url)
    identity = Identity.load(invitation.identity)
    place = invitation.roster[invitation.place_of(identity)][1]
    listener = Listener(place.host, place.port)
    return Links.open(
        identity, invitation.roster, session=invitation.session, listener=listener, within=invitation.within
    )


def _party(text: str) -> tuple[PeerId, Address]:
    peer, at, address = text.partition("@")
    if not at:
        raise ConfigError(f"{text[:80]!r} is no party: expected {_FORM}.")
    return PeerId.parse(peer), Address.parse(address)
