"""What has arrived in one session and nobody has asked for yet."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Sequence

from mesh.contracts import Channel
from mesh.errors import MeshError, Misuse, PeerLost, PeerMisbehaved, WireError
from mesh.ids import PeerId, Rank
from mesh.messages import Message, message, unpack
from mesh.wire import Frame

__all__ = ["End", "Inbox"]

_Key = tuple[Rank, tuple[str, ...], str]
_FRAME_COST = 1024  # what a waiting frame takes besides its text and body: empty ones are no free ride


@message("mesh.end", reveals="why this device left the session, and whom it lost")
class End(Message, frozen=True):
    """The last word on a channel.

    Attributes:
        reason: a sentence for a person.
        culprit: the peer whose loss or fault made this device leave; "" if it was its own doing.
    """

    reason: str
    culprit: str


class Inbox:
    """Frames by (sender, scope, kind), within a budget of bytes per sender.

    Args:
        rank: our own place in the roster.

    Attributes:
        kinds: the words that may be said here.
    """

    def __init__(self, roster: Sequence[PeerId], rank: Rank, *, kinds: frozenset[str], budget: int) -> None:
        self.kinds = kinds
        self._roster = roster
        self._me = roster[rank]
        self._budget = budget
        self._held: dict[Rank, int] = defaultdict(int)
        self._ready: dict[_Key, deque[Frame]] = {}
        self._waiting: dict[_Key, deque[asyncio.Future[Frame]]] = {}
        self._gone: dict[Rank, MeshError] = {}

    async def fill(self, sender: Rank, channel: Channel) -> None:
        """Read `channel` until it ends; whoever waits for `sender` then gets the reason."""
        try:
            async for frame in channel:
                self._put(sender, frame)
        except WireError as error:
            self._lose(sender, PeerMisbehaved(self._roster[sender], str(error)))
        except MeshError as error:
            self._lose(sender, error)

    async def take(self, key: _Key) -> Frame:
        """The oldest frame under `key`, or the next to come.

        Raises:
            PeerLost, PeerMisbehaved: its sender is gone, and none is left.
            Misuse: no such word in this vocabulary.
        """
        sender, _, kind = key
        if kind not in self.kinds:
            raise Misuse(f"{kind!r} is not in this protocol's vocabulary")
        if ready := self._ready.get(key):
            frame = ready.popleft()
            self._held[sender] -= _cost(frame)
            if not ready:
                del self._ready[key]
            return frame
        if sender in self._gone:
            raise self._gone[sender]
        return await self._wait(key)

    async def _wait(self, key: _Key) -> Frame:
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, deque())
        waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(key, future.result())  # it came just as we were told to stop waiting
            raise
        finally:
            waiting.remove(future)
            if not waiting:
                del self._waiting[key]

    def _put(self, sender: Rank, frame: Frame) -> None:
        if frame.kind == End.kind:
            raise self._farewell(sender, unpack(End, frame.body))
        if frame.kind not in self.kinds:
            raise PeerMisbehaved(self._roster[sender], f"{frame.kind[:80]!r} is no word of this protocol.")
        key = (sender, frame.scope, frame.kind)
        if self._hand_over(key, frame):
            return
        self._held[sender] += _cost(frame)
        if self._held[sender] > self._budget:
            raise PeerMisbehaved(self._roster[sender], f"It sent more than {self._budget} bytes that nobody asked for.")
        self._ready.setdefault(key, deque()).append(frame)

    def _hand_over(self, key: _Key, frame: Frame) -> bool:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(frame)
                return True
        return False

    def _give_back(self, key: _Key, frame: Frame) -> None:
        # Somebody else may wait for the very same: what came must not lie here while they do.
        if not self._hand_over(key, frame):
            self._held[key[0]] += _cost(frame)
            self._ready.setdefault(key, deque()).appendleft(frame)

    def _farewell(self, sender: Rank, end: End) -> PeerLost:
        # Whoever left because of a third party must not be blamed for it. We are no third party: a peer that names us,
        # or a stranger, left on its own account.
        teller = self._roster[sender]
        if end.culprit in self._roster and end.culprit not in (teller, self._me):
            return PeerLost(PeerId(end.culprit), end.reason, witness=teller)
        return PeerLost(teller, end.reason)

    def _lose(self, sender: Rank, error: MeshError) -> None:
        self._gone[sender] = error
        for key, waiting in self._waiting.items():
            if key[0] == sender:
                for future in waiting:
                    if not future.done():
                        future.set_exception(error)


def _cost(frame: Frame) -> int:
    return _FRAME_COST + len(frame.body) + sum(map(len, frame.scope))
