"""Blobs in a directory, each under its SHA-256. Whoever can read the directory can read them.

    <root>/sha256/ab/ab12...       a whole blob, verified when it was written
    <root>/partial/ab12...         the first chunks of one that is still being fetched

Writes are atomic: a blob is there whole, or not at all, also after a power cut.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mesh.blobs import CHUNK, BlobRef
from mesh.errors import BadInput, StoreError
from mesh.store.contract import Store

__all__ = ["Directory", "write_atomically"]


class Directory(Store):
    """A store on disk.

    Args:
        root: made when it does not exist; only its owner may look inside.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            for folder in (root, root / "sha256", root / "partial"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"The store {root} cannot be used: {error.strerror}.") from error

    def __contains__(self, digest: str) -> bool:
        return self._path(digest).is_file()

    def __iter__(self) -> Iterator[str]:
        names = sorted(path.name for path in (self.root / "sha256").glob("??/*"))
        yield from (name for name in names if _is_digest(name))  # a power cut may have left a draft behind

    def add(self, data: bytes) -> BlobRef:
        ref = BlobRef.of(data)
        if ref.digest not in self:
            write_atomically(self._path(ref.digest), data)
        return ref

    def read(self, digest: str) -> bytes:
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"The blob {digest[:12]} is not in the store {self.root}.") from error
        if hashlib.sha256(data).hexdigest() != digest:
            path.unlink(missing_ok=True)
            raise StoreError(f"The blob {digest[:12]} was damaged on disk, and is removed: fetch or add it again.")
        return data

    def chunk(self, digest: str, index: int) -> bytes:
        try:
            with self._path(digest).open("rb") as file:
                file.seek(index * CHUNK)
                data = file.read(CHUNK)
        except (OSError, ValueError, OverflowError) as error:
            raise StoreError(f"The blob {digest[:12]} is not here.") from error
        if not data and index:
            raise StoreError(f"The blob {digest[:12]} has no chunk {index}.")
        return data

    def remove(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def resume(self, ref: BlobRef) -> int:
        path, index = self._partial(ref), 0
        try:
            with path.open("r+b") as file:
                while index < ref.count and ref.vouches_for(index, file.read(CHUNK)):
                    index += 1
                file.truncate(index * CHUNK)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}.") from error
        return index

    def append(self, ref: BlobRef, index: int, data: bytes | memoryview) -> None:
        try:
            with self._partial(ref).open("r+b" if index else "wb") as file:
                file.seek(index * CHUNK)
                file.write(data)
        except OSError as error:
            raise StoreError(f"The blob {ref.digest[:12]} cannot be kept in {self.root}: {error.strerror}.") from error

    def finish(self, ref: BlobRef) -> bytes:
        path = self._partial(ref)
        try:
            data = path.read_bytes() if ref.size else b""
        except OSError as error:
            raise StoreError(f"The chunks of blob {ref.digest[:12]} are gone from {self.root}.") from error
        if hashlib.sha256(data).hexdigest() != ref.digest:
            path.unlink(missing_ok=True)
            raise StoreError(f"The chunks of blob {ref.digest[:12]} do not make that blob: its listing is wrong.")
        write_atomically(self._path(ref.digest), data)
        path.unlink(missing_ok=True)
        return data

    def _partial(self, ref: BlobRef) -> Path:
        return self.root / "partial" / ref.digest

    def _path(self, digest: str) -> Path:
        if not _is_digest(digest):
            raise BadInput(f"{digest[:80]!r} names no blob: expected 64 hexadecimal characters.")
        return self.root / "sha256" / digest[:2] / digest


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        Path(draft).replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        Path(draft).unlink(missing_ok=True)
