"""Blobs from a peer, chunk by chunk, each verified before it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mesh.blobs import BlobRef
from mesh.contracts import Sighting, Transport
from mesh.control import Chunk, Want, ask
from mesh.errors import PeerMisbehaved, StoreError
from mesh.ids import PeerId
from mesh.protocol import Blobs
from mesh.store.contract import Store

__all__ = ["StoredBlobs"]


class StoredBlobs(Blobs):
    """Our own store, filled from peers on demand. A fetch that broke off goes on where it stopped.

    Args:
        find: where a peer was last seen; raises PeerUnreachable.
    """

    def __init__(self, store: Store, transport: Transport, find: Callable[[PeerId], Sighting]) -> None:
        self._store = store
        self._transport = transport
        self._find = find
        self._fetching: dict[str, asyncio.Event] = {}

    async def bring(self, ref: BlobRef, source: PeerId) -> bytes:
        async with self._alone_with(ref.digest):
            return self._kept(ref) or await self._fetched(ref, source)

    def _kept(self, ref: BlobRef) -> bytes | None:
        if ref.digest not in self._store:
            return None
        try:
            return self._store.read(ref.digest)
        except StoreError:
            return None  # it rotted and is removed: that is no reason not to fetch it again

    @asynccontextmanager
    async def _alone_with(self, digest: str) -> AsyncIterator[None]:
        # Two sessions may want the same blob at once: the second one waits, and then finds it or goes on with it.
        while (other := self._fetching.get(digest)) is not None:
            await other.wait()
        self._fetching[digest] = done = asyncio.Event()
        try:
            yield
        finally:
            del self._fetching[digest]
            done.set()

    async def _fetched(self, ref: BlobRef, source: PeerId) -> bytes:
        for index in range(self._store.resume(ref), ref.count):
            chunk = await ask(self._transport, self._find(source), Want(digest=ref.digest, index=index), Chunk)
            if not ref.vouches_for(index, chunk.data):
                raise PeerMisbehaved(source, f"It sent a wrong chunk {index} of blob {ref.digest[:12]}.")
            self._store.append(ref, index, chunk.data)
        return self._store.finish(ref)
