"""Blobs from a peer, each chunk verified before it is kept."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from mesh.blobs import CHUNK, BlobRef
from mesh.contracts import Sighting
from mesh.control import Chunk, Declined, Want, framed
from mesh.errors import PeerDeclined, PeerLost, PeerMisbehaved, PeerUnreachable, StoreError
from mesh.ids import PeerId
from mesh.messages import unpack
from mesh.store.fetch import StoredBlobs
from mesh.store.memory import Memory
from mesh.wire import Frame
from tests.harness.groups import peers

DATA = bytes(range(256)) * (CHUNK // 100)
REF = BlobRef.of(DATA)
SOURCE = peers(1)[0]


class Source:
    """A transport to one peer that has the blob.

    Attributes:
        asked: how often each chunk was.
    """

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.wrong: set[int] = set()
        self.dies_at: int | None = None
        self.empty = False
        self.half_way = asyncio.Event()

    async def call(self, to: Sighting, request: Frame) -> Frame:
        want = unpack(Want, request.body)
        self.asked[want.index] += 1
        if want.index:
            self.half_way.set()
        await asyncio.sleep(0)
        if self.dies_at == want.index:
            raise PeerLost(to.peer, "gone")
        if self.empty:
            return framed(Declined(reason="I have no such blob."))
        piece = bytearray(DATA[want.index * CHUNK : (want.index + 1) * CHUNK])
        if want.index in self.wrong:
            piece[0] ^= 1
        return framed(Chunk(data=memoryview(piece)))


def _find(peer: PeerId) -> Sighting:
    if peer != SOURCE:
        raise PeerUnreachable(peer, "It is not in sight.")
    return Sighting(peer, ())


def made() -> tuple[StoredBlobs, Memory, Source]:
    store, source = Memory(), Source()
    return StoredBlobs(store, source, _find), store, source  # type: ignore[arg-type]


async def test_a_blob_is_brought_once() -> None:
    """Chunk by chunk; afterwards it is ours."""
    blobs, store, source = made()
    assert DATA == await blobs.bring(REF, SOURCE) == await blobs.bring(REF, SOURCE)
    assert dict.fromkeys(range(REF.count), 1) == source.asked
    assert REF.digest in store


async def test_a_wrong_chunk_is_its_senders_fault() -> None:
    """It is not kept; those before it are."""
    blobs, store, source = made()
    source.wrong = {1}
    with pytest.raises(PeerMisbehaved, match="wrong chunk 1") as raised:
        await blobs.bring(REF, SOURCE)
    assert SOURCE == raised.value.peer
    assert 1 == store.resume(REF)
    assert REF.digest not in store


async def test_a_fetch_goes_on_where_the_last_one_died() -> None:
    """In another session, or from another peer."""
    blobs, _, source = made()
    source.dies_at = 2
    with pytest.raises(PeerLost):
        await blobs.bring(REF, SOURCE)
    source.dies_at = None
    assert DATA == await blobs.bring(REF, SOURCE)
    assert 1 == source.asked[0] == source.asked[1]


async def test_two_sessions_that_want_one_blob_fetch_it_once() -> None:
    """The second waits, and finds it."""
    blobs, _, source = made()
    async with asyncio.TaskGroup() as tasks:
        both = [tasks.create_task(blobs.bring(REF, SOURCE)) for _ in range(2)]
    assert [DATA, DATA] == [task.result() for task in both]
    assert {1} == set(source.asked.values())


async def test_a_second_session_takes_over_from_one_that_gave_up() -> None:
    """Cancelled half way, the first leaves what it had."""
    blobs, _, source = made()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(blobs.bring(REF, SOURCE))
        await source.half_way.wait()
        second = tasks.create_task(blobs.bring(REF, SOURCE))
        first.cancel()
    assert DATA == second.result()
    assert 1 == source.asked[0]
    assert {} == blobs._fetching


async def test_a_rotten_blob_is_fetched_again() -> None:
    """Rot is no reason to give up where there is a peer that has it."""
    blobs, store, _ = made()
    await blobs.bring(REF, SOURCE)

    def rotten(digest: str) -> bytes:
        store.remove(digest)
        store.read = lambda name: Memory.read(store, name)  # type: ignore[method-assign]
        raise StoreError("rotten")

    store.read = rotten  # type: ignore[method-assign]
    assert DATA == await blobs.bring(REF, SOURCE)
    assert REF.digest in store


async def test_a_source_that_lacks_it_says_so() -> None:
    """With its own words; and one that is not in sight is named."""
    blobs, _, source = made()
    source.empty = True
    with pytest.raises(PeerDeclined, match="no such blob"):
        await blobs.bring(REF, SOURCE)
    with pytest.raises(PeerUnreachable):
        await blobs.bring(REF, PeerId.of_key(b"nobody"))


async def test_a_listing_that_lies_is_found_out() -> None:
    """Whoever wrote the plan named a blob that its chunks do not make."""
    blobs, store, _ = made()
    with pytest.raises(StoreError, match="listing"):
        await blobs.bring(BlobRef("0" * 64, REF.size, REF.chunks), SOURCE)
    assert [] == list(store)
