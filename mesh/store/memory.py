"""Blobs in memory, for a mesh within one process. Nothing outlives it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mesh.blobs import CHUNK, BlobRef
from mesh.errors import BadInput, StoreError
from mesh.store.contract import Store

__all__ = ["Memory"]


class Memory(Store):
    """A store that is gone when its process is."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._partial: dict[str, bytearray] = {}

    def __contains__(self, digest: str) -> bool:
        return _digest(digest) in self._blobs

    def __iter__(self) -> Iterator[str]:
        yield from sorted(self._blobs)

    def add(self, data: bytes) -> BlobRef:
        ref = BlobRef.of(data)
        self._blobs[ref.digest] = bytes(data)
        return ref

    def read(self, digest: str) -> bytes:
        if digest not in self:
            raise StoreError(f"The blob {digest[:12]} is not in the store.")
        return self._blobs[digest]

    def chunk(self, digest: str, index: int) -> bytes:
        data = self.read(digest)[index * CHUNK : (index + 1) * CHUNK]
        if not data and index:
            raise StoreError(f"The blob {digest[:12]} has no chunk {index}.")
        return data

    def remove(self, digest: str) -> None:
        self._blobs.pop(_digest(digest), None)

    def resume(self, ref: BlobRef) -> int:
        kept, index = self._partial.setdefault(ref.digest, bytearray()), 0
        while index < ref.count and ref.vouches_for(index, bytes(kept[index * CHUNK : (index + 1) * CHUNK])):
            index += 1
        del kept[index * CHUNK :]
        return index

    def append(self, ref: BlobRef, index: int, data: bytes | memoryview) -> None:
        kept = self._partial.setdefault(ref.digest, bytearray())
        kept[index * CHUNK :] = data

    def finish(self, ref: BlobRef) -> bytes:
        data = bytes(self._partial.pop(ref.digest, b""))
        if hashlib.sha256(data).hexdigest() != ref.digest:
            raise StoreError(f"The chunks of blob {ref.digest[:12]} do not make that blob: its listing is wrong.")
        self._blobs[ref.digest] = data
        return data


def _digest(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise BadInput(f"{text[:80]!r} names no blob: expected 64 hexadecimal characters.")
    return text
