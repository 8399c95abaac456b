"""What every store of blobs does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.blobs import CHUNK, BlobRef
from mesh.errors import BadInput, StoreError
from mesh.store.contract import Store

__all__ = ["CHECKS", "Check"]

Check = Callable[[Store], None]

SMALL, LARGE = b"small", bytes(range(256)) * (5 * CHUNK // 512) + b"tail"  # of two and a half chunks, and a little
NAMES = [
    "",
    "0" * 63,
    "0" * 65,
    "A" * 64,
    "../../etc/passwd",
    "../" + "0" * 61,
    "0" * 63 + "/",
    "0" * 63 + "\n",
    "\0" * 64,
]


def _chunk(ref: BlobRef, index: int) -> bytes:
    return LARGE[index * CHUNK : index * CHUNK + ref.length(index)]


def what_is_added_is_read(store: Store) -> None:
    """Under its SHA-256, whole, and as often as one likes."""
    for data in (SMALL, LARGE, b""):
        ref = store.add(data)
        assert BlobRef.of(data) == ref
        assert ref.digest in store
        assert data == store.read(ref.digest) == store.read(ref.digest)


def adding_twice_costs_nothing(store: Store) -> None:
    """The same bytes are the same blob."""
    assert store.add(SMALL) == store.add(SMALL)
    assert [BlobRef.of(SMALL).digest] == list(store)


def blobs_are_listed_in_order(store: Store) -> None:
    """Whole ones only."""
    digests = sorted(store.add(bytes([number])).digest for number in range(5))
    store.append(BlobRef.of(LARGE), 0, LARGE[:CHUNK])
    assert digests == list(store)


def what_is_not_here_is_said_to_be_missing(store: Store) -> None:
    """By reading it or a chunk of it; removing it is no error."""
    digest = BlobRef.of(SMALL).digest
    assert digest not in store
    for act in (store.read, lambda name: store.chunk(name, 0)):
        with pytest.raises(StoreError, match=digest[:12]):
            act(digest)
    store.remove(digest)


def chunks_make_the_blob(store: Store) -> None:
    """Each is vouched for by the name; past the end there is none."""
    ref = store.add(LARGE)
    pieces = [store.chunk(ref.digest, index) for index in range(ref.count)]
    assert all(ref.vouches_for(index, piece) for index, piece in enumerate(pieces))
    assert b"".join(pieces) == LARGE
    for index in (ref.count, 2**40, 2**70):
        with pytest.raises(StoreError):
            store.chunk(ref.digest, index)


def a_removed_blob_is_gone(store: Store) -> None:
    """And can be added again."""
    ref = store.add(SMALL)
    store.remove(ref.digest)
    assert ref.digest not in store
    assert SMALL == store.read(store.add(SMALL).digest)


def what_is_no_digest_is_refused(store: Store) -> None:
    """No name leads out of the store."""
    for name in NAMES:
        for act in (store.__contains__, store.read, store.remove, lambda name: store.chunk(name, 0)):
            with pytest.raises(BadInput):
                act(name)


def a_fetch_ends_in_a_blob(store: Store) -> None:
    """Chunk by chunk; it is not there before it is whole."""
    ref = BlobRef.of(LARGE)
    assert 0 == store.resume(ref)
    for index in range(ref.count):
        assert ref.digest not in store
        store.append(ref, index, memoryview(_chunk(ref, index)))
    assert LARGE == store.finish(ref) == store.read(ref.digest)
    assert 0 == store.resume(ref)


def a_broken_fetch_goes_on_where_it_stopped(store: Store) -> None:
    """With every chunk that is genuine, and none after one that is not."""
    ref = BlobRef.of(LARGE)
    store.append(ref, 0, _chunk(ref, 0))
    assert 1 == store.resume(ref) == store.resume(ref)
    store.append(ref, 1, b"x" * CHUNK)
    assert 1 == store.resume(ref)
    store.append(ref, 1, _chunk(ref, 1)[:1000])
    assert 1 == store.resume(ref)
    for index in (1, 2):
        store.append(ref, index, _chunk(ref, index))
    assert LARGE == store.finish(ref)


def a_listing_that_lies_makes_no_blob(store: Store) -> None:
    """Chunks that are each what they should be, of a whole that is not."""
    true = BlobRef.of(LARGE)
    lie = BlobRef("0" * 64, true.size, true.chunks)
    for index in range(lie.count):
        store.append(lie, index, _chunk(true, index))
    with pytest.raises(StoreError, match="listing is wrong"):
        store.finish(lie)
    assert lie.digest not in store
    assert 0 == store.resume(lie)


def an_empty_blob_can_be_fetched(store: Store) -> None:
    """It has no chunks."""
    ref = BlobRef.of(b"")
    assert 0 == store.resume(ref) == ref.count
    assert b"" == store.finish(ref) == store.read(ref.digest)


def a_fetch_that_lost_its_chunks_is_no_blob(store: Store) -> None:
    """It says so in our own words."""
    with pytest.raises(StoreError):
        store.finish(BlobRef.of(SMALL))


CHECKS: tuple[Check, ...] = (
    what_is_added_is_read,
    adding_twice_costs_nothing,
    blobs_are_listed_in_order,
    what_is_not_here_is_said_to_be_missing,
    chunks_make_the_blob,
    a_removed_blob_is_gone,
    what_is_no_digest_is_refused,
    a_fetch_ends_in_a_blob,
    a_broken_fetch_goes_on_where_it_stopped,
    a_listing_that_lies_makes_no_blob,
    an_empty_blob_can_be_fetched,
    a_fetch_that_lost_its_chunks_is_no_blob,
)
"""All of it. A new kind of store is accepted when it passes."""
