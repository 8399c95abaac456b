"""A blob's name vouches for every piece of it."""

from __future__ import annotations

import hashlib

import pytest

from mesh.blobs import CHUNK, BlobRef
from mesh.errors import BadInput

D = "0" * 64


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_chunks_cover_a_blob_exactly(size: int) -> None:
    """Their lengths add up, each is vouched for in its place and no other bytes are."""
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    ref = BlobRef.of(data)
    assert hashlib.sha256(data).hexdigest() == ref.digest
    assert size == sum(ref.length(index) for index in range(ref.count))
    for index in range(ref.count):
        piece = data[index * CHUNK : (index + 1) * CHUNK]
        assert ref.vouches_for(index, piece)
        assert not ref.vouches_for(index, piece[:-1])
        assert not ref.vouches_for(index, piece[:-1] + bytes([piece[-1] ^ 1]))


@pytest.mark.parametrize(
    ("digest", "size", "chunks"),
    [
        (D, -1, ()),
        (D, CHUNK + 1, ()),
        (D, CHUNK + 1, (D,)),
        (D, CHUNK + 1, (D, "x" * 64)),
        (D, 5, (D,)),
        ("../" + D[3:], 5, ()),
        (D.upper().replace("0", "A"), 5, ()),
        (D[:-1], 5, ()),
        (D, 2**70, (D,)),
    ],
)
def test_a_name_that_contradicts_itself_is_refused(digest: str, size: int, chunks: tuple[str, ...]) -> None:
    """As many chunks as the size needs, each named by a SHA-256 in hexadecimal."""
    with pytest.raises(BadInput):
        BlobRef(digest, size, chunks)
