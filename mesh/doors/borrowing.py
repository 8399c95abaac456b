"""The models that a door can have served: those of this device, and those that others lend it."""

from __future__ import annotations

from mesh.doors.views import Insides
from mesh.errors import BadInput, PeerMisbehaved
from mesh.store.catalogue import Manifest

__all__ = ["model_called"]


async def model_called(inside: Insides, name: str) -> Manifest:
    """A model of ours, or "NAME@PEER" of another device.

    What another device says of its model decides what is computed, and nothing else: who is told the answers and what
    is secret are for whoever asks to say.

    Raises:
        BadInput, PeerError: as `Catalogue.find` and `Browser.describe`; this node does not run what runs the model.
        PeerMisbehaved: its owner says of it what only whoever asks may decide.
    """
    if "@" not in name:
        return inside.catalogue.find(name)
    manifest = await inside.node.browser.describe(name)
    protocol = next((one for one in inside.installed.protocols if one.name == manifest.protocol), None)
    if protocol is None:
        raise BadInput(f"{name} is run by {manifest.protocol[:80]!r}, which this node does not run.")
    if strangers := manifest.spec.keys() - protocol.lent - {"lender", "model"}:
        what = ", ".join(sorted(strangers))[:200]
        raise PeerMisbehaved(manifest.at, f"It says of its model what only whoever asks may decide: {what}.")
    return manifest.run_as(protocol.modes)
