"""Models that other devices lend: who has which, all that others may know of one, and having kept things deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mesh.contracts import Discovery, Sighting, Transport
from mesh.control import Browse, Describe, Described, Forget, Forgotten, Shown, Specimen, ask
from mesh.errors import BadFrame, BadInput, MeshError, PeerDeclined, PeerError, PeerMisbehaved, PeerUnreachable
from mesh.ids import PeerId
from mesh.messages import from_canonical
from mesh.recruit import ASKING
from mesh.store.catalogue import Manifest

__all__ = ["Browser", "Lent"]

_MOST = 1024


@dataclass(frozen=True, slots=True)
class Lent:
    """A model that we may have computed, and the device that keeps it."""

    peer: PeerId
    model: Specimen


class Browser:
    """Asks around on behalf of one node. Keeps nothing."""

    def __init__(self, transport: Transport, discovery: Discovery) -> None:
        self._transport = transport
        self._discovery = discovery

    async def lent(self) -> list[Lent]:
        """What everyone in sight lends us, in order of id and name, after `ASKING` seconds at most."""
        found: list[Lent] = []

        async def hear(sighting: Sighting) -> None:
            try:
                async with asyncio.timeout(ASKING):
                    shown = await ask(self._transport, sighting, Browse(), Shown)
            except (MeshError, TimeoutError):
                return  # of another version, gone, or busy: it lends nothing now
            found.extend(Lent(sighting.peer, model) for model in shown.models[:_MOST])

        async with asyncio.TaskGroup() as tasks:
            for sighting in self._discovery.sightings():
                tasks.create_task(hear(sighting))
        return sorted(found, key=lambda lent: (lent.peer, lent.model.name))

    async def describe(self, name: str) -> Manifest:
        """All that others may know of a model "NAME@PEER", PEER being an id or enough of its beginning.

        Raises:
            BadInput: no device in sight is meant, or several are; or it lends us no such model.
            PeerError: it does not answer, or not as it should.
        """
        model, _, prefix = name.partition("@")
        sighting = self._named(prefix)
        try:
            async with asyncio.timeout(ASKING):
                described = await ask(self._transport, sighting, Describe(name=model), Described)
            manifest = from_canonical(Manifest, described.manifest)
        except TimeoutError:
            raise PeerUnreachable(sighting.peer, f"It did not answer within {ASKING:.0f} s.") from None
        except PeerDeclined as error:
            raise BadInput(
                f"{sighting.peer.short} does not lend us {model[:80]!r} ({error.reason}) Its owner may, with "
                f'offers = ["{model[:80]}=<this device\'s id>"] in its settings; `mesh models list` shows what is lent.'
            ) from error
        except BadFrame as error:
            raise PeerMisbehaved(sighting.peer, f"What it says of its model is none: {error}") from error
        if manifest.name != model or manifest.at or manifest.blobs or manifest.kept:
            raise PeerMisbehaved(sighting.peer, "It describes another model than the one asked for.")
        return manifest.lent_by(sighting.peer)

    async def forget(self, peers: Sequence[PeerId], name: str) -> dict[PeerId, PeerError]:
        """Have each of them delete what it keeps for us under a name. Who could not be told, and why."""
        failed: dict[PeerId, PeerError] = {}

        async def tell(peer: PeerId) -> None:
            try:
                sighting = self._named(peer)
                async with asyncio.timeout(ASKING):
                    await ask(self._transport, sighting, Forget(name=name), Forgotten)
            except PeerError as error:
                failed[peer] = error
            except (MeshError, TimeoutError):
                failed[peer] = PeerUnreachable(peer, "It cannot be told now; what it keeps is over in time.")

        async with asyncio.TaskGroup() as tasks:
            for peer in peers:
                tasks.create_task(tell(peer))
        return failed

    def _named(self, prefix: str) -> Sighting:
        fitting = [one for one in self._discovery.sightings() if prefix and one.peer.startswith(prefix)]
        if len(fitting) == 1:
            return fitting[0]
        seen = ", ".join(one.peer.short for one in self._discovery.sightings()) or "nobody"
        raise BadInput(
            f"{'No' if not fitting else 'More than one'} device in sight begins with {prefix[:60]!r}: {seen}."
        )
