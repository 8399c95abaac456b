"""Whom a node sees: those that it hears of by any way, and of whom its view does not say that they are gone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from mesh.contracts import Address, Discovery, Sighting
from mesh.errors import ConfigError, IdentityError, StoreError
from mesh.ids import PeerId
from mesh.membership.view import State, View
from mesh.store.directory import write_atomically

__all__ = ["Known", "Present"]

log = logging.getLogger(__name__)

MOST = 64
"""Peers that are remembered from one run to the next: enough to find all others."""


class Known:
    """Those whom this device knew when it ran last, where it knew them to be: so a mesh forms again without multicast.

    Args:
        file: where they are kept between runs.

    Attributes:
        sightings: as they were when this run began.
    """

    def __init__(self, file: Path) -> None:
        self.sightings: Sequence[Sighting] = _read(file)
        self._file = file
        self._noted: list[tuple[str, tuple[str, ...]]] = []

    def note(self, view: View, me: PeerId) -> None:
        """Remember who is present now. What cannot be written is only logged: nothing rests on it."""
        present = [(str(member.peer), member.statement.facts.addresses) for member in view.present()]
        noted = [entry for entry in present if entry[0] != me][:MOST]
        if not noted or noted == self._noted:
            return
        self._noted = noted
        try:
            write_atomically(self._file, msgspec.json.encode(noted))
        except StoreError as error:
            log.warning("who was present is not remembered: %s", error)


class Present(Discovery):
    """Sees whoever its view holds to be present, and whoever is heard of otherwise, but for those that are gone.

    Args:
        heard: other ways of finding.
        view: of this device.
    """

    def __init__(self, heard: Discovery, view: View) -> None:
        self._heard = heard
        self._view = view
        self._me: PeerId | None = None

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        self._me = me.peer
        async with self._heard.announce(me):
            yield

    def sightings(self) -> Sequence[Sighting]:
        found = {sighting.peer: sighting.addresses for sighting in self._heard.sightings()}
        for member in self._view:
            if member.state >= State.DEAD:
                found.pop(member.peer, None)
            elif member.peer != self._me:
                places = (*member.statement.facts.places(), *found.get(member.peer, ()))
                found[member.peer] = tuple(dict.fromkeys(places))
        return [Sighting(peer, addresses) for peer, addresses in sorted(found.items())]


def _read(file: Path) -> list[Sighting]:
    try:
        entries = msgspec.json.decode(file.read_bytes(), type=list[tuple[str, tuple[str, ...]]])
        return [Sighting(PeerId.parse(peer), tuple(map(Address.parse, places))) for peer, places in entries[:MOST]]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError, IdentityError, ConfigError) as error:
        log.warning("who was present last time cannot be read from %s: %s", file, error)
        return []
