"""The contract of a store of blobs. Every implementation must pass `tests/contract/store.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from mesh.blobs import BlobRef

__all__ = ["Store"]


class Store(ABC):
    """Blobs under their SHA-256. A blob is there whole, or not at all; a fetch in progress is kept apart.

    Everywhere, BadInput is raised for what is no SHA-256 in hexadecimal.
    """

    @abstractmethod
    def __contains__(self, digest: str) -> bool:
        """Whether the whole blob is here."""

    @abstractmethod
    def __iter__(self) -> Iterator[str]:
        """The digest of every whole blob, in order."""

    @abstractmethod
    def add(self, data: bytes) -> BlobRef:
        """Keep these bytes; their name. Keeping them twice costs nothing. Raises StoreError if there is no room."""

    @abstractmethod
    def read(self, digest: str) -> bytes:
        """The whole blob, checked against its name.

        Raises:
            StoreError: it is not here, or its bytes have rotted; a rotten blob is removed.
        """

    @abstractmethod
    def chunk(self, digest: str, index: int) -> bytes:
        """One chunk as it is kept; whoever asked for it verifies it. Raises StoreError if there is none."""

    @abstractmethod
    def remove(self, digest: str) -> None:
        """Drop a blob. It need not be here."""

    @abstractmethod
    def resume(self, ref: BlobRef) -> int:
        """How many chunks of a fetch that was broken off are here and genuine; what follows them is dropped.

        Raises StoreError if what is here cannot be looked at.
        """

    @abstractmethod
    def append(self, ref: BlobRef, index: int, data: bytes | memoryview) -> None:
        """Keep the next chunk of a fetch; it has been verified. Raises StoreError if there is no room."""

    @abstractmethod
    def finish(self, ref: BlobRef) -> bytes:
        """Every chunk is here: make it a blob. Raises StoreError if the whole is not what its name says."""
