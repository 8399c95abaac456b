"""The link of three devices: over channels that somebody else has opened, checked and encrypted."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from mesh.errors import Misuse
from protocols.smpc.replicated.link import PARTIES, Link, Words, bytes_of

__all__ = ["ChannelLink", "Channels"]

_AHEAD = 64 * 2**20
"""Bytes posted that may still be on their way: rank 0 runs that far ahead of the others, and costs so much memory."""


class Channels(Protocol):
    """What is needed of them: messages that keep their order and their length, as `mesh.transport.blocking.Links` has.

    A message of another length than expected must end in `PeerMisbehaved`, a silent peer in `PeerLost`.
    """

    peers: Any
    """Everybody's name, in rank order."""
    rank: int

    def begin_send(self, peer: Any, data: memoryview) -> Any:
        """Send without waiting. None if it has already left; else what `finish_send` wants."""

    def finish_send(self, peer: Any, ticket: Any) -> None:
        """Wait until the data has left and its memory may change."""

    def receive_into(self, peer: Any, into: memoryview) -> None:
        """Fill `into` with the next message."""


class ChannelLink(Link):
    """A link over them. Each array is a message of its own, so that its length is checked where it arrives."""

    def __init__(self, channels: Channels) -> None:
        """Raises Misuse: not three parties."""
        if len(channels.peers) != PARTIES:
            raise Misuse(f"Replicated sharing is for {PARTIES} parties, and these channels join {len(channels.peers)}.")
        super().__init__(channels.rank)
        self._channels = channels
        self._under_way: deque[tuple[Any, Any, memoryview]] = deque()
        self._ahead = 0

    def post(self, to: int, out: Sequence[Words]) -> None:
        """See `Link`: at most 64 MiB are under way at a time."""
        self._check(to, to)
        views, peer = bytes_of(out), self._channels.peers[to]
        for view in views:
            ticket = self._channels.begin_send(peer, view)
            if ticket is not None:
                self._under_way.append((peer, ticket, view))
                self._ahead += len(view)
            self.sent += len(view)
        self._let_leave(_AHEAD)

    def _let_leave(self, all_but: int) -> None:
        """Wait until no more than so many bytes of what was posted are under way."""
        while self._ahead > all_but:
            peer, ticket, view = self._under_way.popleft()
            self._channels.finish_send(peer, ticket)
            self._ahead -= len(view)

    def _carry(self, to: int, out: Sequence[memoryview], source: int, into: Sequence[memoryview]) -> None:
        channels, taker, giver = self._channels, self._channels.peers[to], self._channels.peers[source]
        tickets = [channels.begin_send(taker, view) for view in out]
        for view in into:
            channels.receive_into(giver, view)
        for ticket in tickets:
            if ticket is not None:
                channels.finish_send(taker, ticket)
        self._let_leave(0)
