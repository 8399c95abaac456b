"""Blobs from a peer, chunk by chunk, each verified before it is kept."""

from __future__ import annotations

from collections.abc import Callable

from mesh.blobs import BlobRef
from mesh.contracts import Sighting, Transport
from mesh.control import Chunk, Want, ask
from mesh.errors import PeerMisbehaved
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

    async def bring(self, ref: BlobRef, source: PeerId) -> bytes:
        if ref.digest in self._store:
            return self._store.read(ref.digest)
        for index in range(self._store.resume(ref), ref.count):
            chunk = await ask(self._transport, self._find(source), Want(digest=ref.digest, index=index), Chunk)
            if not ref.vouches_for(index, chunk.data):
                raise PeerMisbehaved(source, f"It sent a wrong chunk {index} of blob {ref.digest[:12]}.")
            self._store.append(ref, index, chunk.data)
        return self._store.finish(ref)
