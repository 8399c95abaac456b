"""How many bytes of frames went to each peer, and how many came from it."""

from __future__ import annotations

from mesh.contracts import Traffic
from mesh.ids import PeerId

__all__ = ["Tally"]


class Tally:
    """Only ever counts attested peers, so it cannot be filled by strangers."""

    def __init__(self) -> None:
        self._sent: dict[PeerId, int] = {}
        self._received: dict[PeerId, int] = {}

    def sent(self, peer: PeerId, count: int) -> None:
        """`count` more bytes have gone to `peer`."""
        self._sent[peer] = self._sent.get(peer, 0) + count

    def received(self, peer: PeerId, count: int) -> None:
        """`count` more bytes have come from `peer`."""
        self._received[peer] = self._received.get(peer, 0) + count

    def by_peer(self) -> dict[PeerId, Traffic]:
        """So far, in order of id."""
        peers = sorted(self._sent.keys() | self._received.keys())
        return {peer: Traffic(self._sent.get(peer, 0), self._received.get(peer, 0)) for peer in peers}
