"""The models that a device knows by name: one small file each, beside the blobs they are made of."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from mesh.blobs import BlobRef
from mesh.errors import BadInput, StoreError
from mesh.store.contract import Store
from mesh.store.directory import write_atomically

__all__ = ["Catalogue", "Manifest", "Port"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a model: its name, dtype and declared shape, where -1 is any size."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model is and what it is made of.

    Attributes:
        protocol: which protocol runs it.
        source: the file that was added.
        blobs: what it was made into; the protocol's spec says how they fit together.
        spec: fields of that protocol's spec which the model decides.
        notes: for people and for readers of files, such as how a picture becomes its input.
        kept: fields of `spec` that no other device is told. A model that has some can be lent: the spec of its protocol
            takes `lender` and `model` in their place, the id of the device that keeps it and its name there.
        at: the device that keeps it, if it is another one.
    """

    name: str
    protocol: str
    source: BlobRef
    blobs: tuple[BlobRef, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    spec: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    at: str = ""

    def for_others(self, notes: Collection[str]) -> Manifest:
        """What those may know to whom this model is lent. `notes`: those of them that they need."""
        return replace(
            self,
            source=BlobRef.of(b""),
            blobs=(),
            spec={name: value for name, value in self.spec.items() if name not in self.kept},
            notes={name: note for name, note in self.notes.items() if name in notes},
            kept=(),
        )

    def lent_by(self, peer: str) -> Manifest:
        """As it is used on another device than `peer`, which keeps it."""
        return replace(self, spec={**self.spec, "lender": peer, "model": self.name}, at=peer)

    def run_as(self, modes: Mapping[str, Mapping[str, Any]]) -> Manifest:
        """With other ways to run it."""
        return replace(self, notes={**self.notes, "modes": {name: dict(mode) for name, mode in modes.items()}})

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput(f"{self.name[:80]!r} cannot name a model: use up to 64 of a-z, 0-9, dot, dash, underscore.")


class Catalogue:
    """Args:
    folder: made when it does not exist.
    store: where the blobs are.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder = folder
        self._store = store

    def put(self, manifest: Manifest) -> None:
        """Keep a model under its name, in place of any other.

        Raises:
            StoreError: one of its blobs is not here.
            BadInput: another device keeps it.
        """
        if manifest.at:
            raise BadInput(f"The model {manifest.name} is kept by another device: use it from there.")
        for ref in manifest.blobs:
            if ref.digest not in self._store:
                raise StoreError(f"The model {manifest.name} needs blob {ref.digest[:12]}, which is not in the store.")
        write_atomically(self._folder / f"{manifest.name}.json", msgspec.json.encode(manifest))

    def find(self, name: str) -> Manifest:
        """The model of that name.

        Raises:
            BadInput: there is none; the message names those there are.
            StoreError: its file is damaged.
        """
        if not _NAME.fullmatch(name):
            raise BadInput(f"{name[:80]!r} names no model.")
        try:
            data = (self._folder / f"{name}.json").read_bytes()
        except OSError:
            known = ", ".join(self.names()) or "none yet; add one with `mesh models add NAME FILE.onnx`"
            raise BadInput(f"There is no model {name!r} here. Known: {known}.") from None
        try:
            return msgspec.json.decode(data, type=Manifest)
        except (msgspec.DecodeError, BadInput) as error:
            raise StoreError(f"{name}.json is damaged ({error}): add the model again.") from error

    def names(self) -> list[str]:
        """Every model's name, in order."""
        return sorted(path.stem for path in self._folder.glob("*.json") if _NAME.fullmatch(path.stem))

    def remove(self, name: str) -> None:
        """Forget a model, and drop those of its blobs that no other model needs. Raises as `find`."""
        gone = self.find(name)
        (self._folder / f"{name}.json").unlink(missing_ok=True)
        needed = {ref.digest for other in self.names() for ref in self.find(other).blobs}
        for ref in gone.blobs:
            if ref.digest not in needed:
                self._store.remove(ref.digest)
