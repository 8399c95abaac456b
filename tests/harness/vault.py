"""A vault in memory, for stories in virtual time."""

from __future__ import annotations

from mesh.errors import StoreError
from mesh.ids import PeerId
from mesh.protocol import Sealed, Vault

__all__ = ["PlainVault"]


class PlainVault(Vault):
    """Nothing in it is sealed, and nothing is over."""

    def __init__(self) -> None:
        self._kept: dict[tuple[PeerId, str], bytes] = {}

    def put(self, owner: PeerId, name: str, data: bytes, *, seconds: float) -> None:
        self._kept[owner, name] = data

    def read(self, owner: PeerId, name: str) -> bytes:
        if (owner, name) not in self._kept:
            raise StoreError(f"Nothing is kept as {name}.")
        return self._kept[owner, name]

    def listing(self, prefix: str = "", owner: PeerId | None = None) -> list[Sealed]:
        return [
            Sealed(whose, name, len(data), 0.0)
            for (whose, name), data in sorted(self._kept.items())
            if owner in (None, whose) and (not prefix or f"{name}/".startswith(f"{prefix}/"))
        ]

    def remove(self, owner: PeerId, prefix: str) -> int:
        gone = [sealed.name for sealed in self.listing(prefix, owner)]
        for name in gone:
            del self._kept[owner, name]
        return len(gone)
