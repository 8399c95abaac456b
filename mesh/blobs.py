"""What a blob is called, and how to tell that a piece of it is genuine. No files, no network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mesh.errors import BadInput

__all__ = ["CHUNK", "BlobRef"]

CHUNK = 2**20
"""Bytes per chunk: the most that has to be sent again when a byte was changed on the way."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """The name of some bytes, which vouches for every chunk of them.

    Attributes:
        digest: SHA-256 of all the bytes, in hexadecimal.
        size: how many bytes.
        chunks: SHA-256 of each chunk of `CHUNK` bytes, the last one shorter; empty where there is only one.
    """

    digest: str
    size: int
    chunks: tuple[str, ...] = ()

    @classmethod
    def of(cls, data: bytes | memoryview) -> BlobRef:
        """The name of `data`."""
        view = memoryview(data)
        pieces = [view[start : start + CHUNK] for start in range(0, len(view), CHUNK)]
        chunks = tuple(_sha256(piece) for piece in pieces) if len(pieces) > 1 else ()
        return cls(_sha256(view), len(view), chunks)

    def __post_init__(self) -> None:
        expected = -(-self.size // CHUNK) if self.size > CHUNK else 0
        if self.size < 0 or len(self.chunks) != expected:
            raise BadInput(f"A blob of {self.size} bytes has {expected} chunks listed, not {len(self.chunks)}.")
        if not all(_is_digest(digest) for digest in (self.digest, *self.chunks)):
            raise BadInput("A blob is named by SHA-256 digests: 64 hexadecimal characters each.")

    @property
    def count(self) -> int:
        """How many chunks there are: at least one, unless it is empty."""
        return -(-self.size // CHUNK)

    def length(self, index: int) -> int:
        """Bytes in chunk `index`."""
        return min(CHUNK, self.size - index * CHUNK)

    def vouches_for(self, index: int, data: bytes | memoryview) -> bool:
        """Whether `data` is exactly chunk `index`."""
        expected = self.chunks[index] if self.chunks else self.digest
        return len(data) == self.length(index) and _sha256(data) == expected


def _sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
