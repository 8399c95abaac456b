"""What this device shows of its own to others who may see it, and what it deletes when told to. No network.

A model can be lent if its manifest keeps fields of its spec to itself: whoever is offered it learns all the rest, and
neither those fields nor what any blob of it is called.
"""

from __future__ import annotations

from mesh.control import Described, Forgotten, Shown, Specimen
from mesh.errors import BadInput, MeshError, StoreError
from mesh.ids import PeerId
from mesh.messages import canonical
from mesh.protocol import Permits, Vault
from mesh.store.catalogue import Catalogue, Manifest
from mesh.store.contract import Store

__all__ = ["Shelf", "Showcase"]

_TOLD = ("image",)
"""Notes of a model that whoever uses it needs. How it may be run is for whoever asks to know."""


class Showcase:
    """Args:
    vault: where others' things are kept; None keeps nothing.
    """

    def __init__(self, catalogue: Catalogue, permits: Permits, vault: Vault | None) -> None:
        self._catalogue = catalogue
        self._permits = permits
        self._vault = vault

    def listing(self, peer: PeerId) -> Shown:
        """The models that `peer` may have computed."""
        names = [name for name in self._catalogue.names() if self._permits.offers_to(name, peer)]
        models = [model for name in names if (model := self._found(name)) is not None]
        return Shown(models=tuple(Specimen(one.name, one.protocol, one.inputs, one.outputs) for one in models))

    def describe(self, peer: PeerId, name: str) -> Described:
        """All of one model that is no secret. Raises BadInput: there is none that `peer` may have."""
        manifest = self._found(name) if self._permits.offers_to(name, peer) else None
        if manifest is None:  # one sentence for all: who may not have a model is not told which there are
            raise BadInput(f"I offer you no model {name[:80]!r}.")
        return Described(manifest=canonical(manifest.for_others(_TOLD)))

    def forget(self, peer: PeerId, name: str) -> Forgotten:
        """Delete what is kept here for `peer` under a name."""
        if self._vault is None:
            return Forgotten(count=0)
        return Forgotten(count=self._vault.remove(peer, f"shares/{name}"))

    def _found(self, name: str) -> Manifest | None:
        """A model that can be lent."""
        try:
            manifest = self._catalogue.find(name)
        except MeshError:
            return None  # there is none, or it is damaged
        return manifest if manifest.kept else None


class Shelf:
    """What a node's desk answers from, besides its protocols: blobs, and what is shown. Either may be missing."""

    def __init__(self, store: Store | None = None, showcase: Showcase | None = None) -> None:
        self._store = store
        self._showcase = showcase

    @property
    def showcase(self) -> Showcase:
        """Raises BadInput: nothing is shown here."""
        if self._showcase is None:
            raise BadInput("I show nothing.")
        return self._showcase

    def chunk(self, digest: str, index: int) -> bytes:
        """One chunk of a blob. Raises StoreError: there is none."""
        if self._store is None or index < 0:
            raise StoreError("I have no such blob.")
        return self._store.chunk(digest, index)
