"""What one collective says at one rank: tensors to and from the other ranks of its group, under a label of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import torch

from mesh.errors import Misuse
from mesh.transport.blocking import Links, PeerId, Raffle, Receipt, Ticket

__all__ = ["Circle", "Leaving", "Talk", "bytes_of"]

Leaving: TypeAlias = "tuple[int, Ticket] | None"
"""What was begun to be sent, and to whom. None if it has left."""


@dataclass(frozen=True, slots=True)
class Circle:
    """A group's members: where its ranks are among the parties of the session.

    Attributes:
        rank: ours in the group.
        parties: for each rank of the group, its rank among `links.peers`.
        mark: 8 bytes that begin every label of this group, and of no other.
    """

    links: Links
    rank: int
    parties: tuple[int, ...]
    mark: bytes

    @classmethod
    def of(cls, links: Links, name: str, rank: int, parties: Sequence[int]) -> Circle:
        """The group called `name`, which all its members call the same."""
        return cls(links, rank, tuple(parties), hashlib.sha256(name.encode()).digest()[:8])

    @property
    def size(self) -> int:
        return len(self.parties)

    @property
    def others(self) -> tuple[int, ...]:
        """All ranks but ours, beginning with the next one, so that not everybody writes to rank 0 first."""
        return tuple((self.rank + step) % self.size for step in range(1, self.size))

    def label(self, number: int) -> bytes:
        """The label of the collective that is our `number`th; the same number means the same collective everywhere."""
        return self.mark + number.to_bytes(8, "big")

    def tagged(self, tag: int) -> bytes:
        """The label of what one rank sends to another by itself under `tag`, 0 <= tag < 2**63."""
        if not 0 <= tag < 2**63:
            raise Misuse(f"{tag} cannot be a tag: tags are counted from 0")
        return self.mark + (tag | 1 << 63).to_bytes(8, "big")

    def send(self, to: int, tensor: torch.Tensor, label: bytes) -> Ticket | None:
        return self.links.begin_send(self._peer(to), bytes_of(tensor), label=label)

    def post(self, sender: int, into: torch.Tensor, label: bytes) -> Receipt:
        return self.links.post(self._peer(sender), bytes_of(into), label=label)

    def post_any(self, into: torch.Tensor, label: bytes) -> Raffle:
        return self.links.post_any(map(self._peer, self.others), bytes_of(into), label=label)

    def rank_of(self, peer: PeerId) -> int:
        """The rank of a member."""
        return self.parties.index(self.links.peers.index(peer))

    def receive(self, sender: int, into: torch.Tensor, label: bytes, timeout: float) -> None:
        self.links.receive_into(self._peer(sender), bytes_of(into), label=label, timeout=timeout)

    def finish(self, to: int, ticket: Ticket, timeout: float) -> None:
        self.links.finish_send(self._peer(to), ticket, timeout)

    def _peer(self, rank: int) -> PeerId:
        return self.links.peers[self.parties[rank]]


class Talk:
    """A context: leaving it waits until all that was sent has left, so that the tensors are free again.

    Args:
        timeout: seconds in which a peer may be silent.
    """

    __slots__ = ("_sending", "circle", "label", "timeout")

    def __init__(self, circle: Circle, label: bytes, timeout: float) -> None:
        self.circle = circle
        self.label = label
        self.timeout = timeout
        self._sending: list[tuple[int, Ticket]] = []

    def send(self, to: int, tensor: torch.Tensor) -> Leaving:
        """Begin to send a contiguous tensor, which must not change before it has left, or before we leave."""
        ticket = self.circle.send(to, tensor, self.label)
        if ticket is None:
            return None
        self._sending.append((to, ticket))
        return to, ticket

    def await_leaving(self, leaving: Leaving) -> None:
        """Until what `send` began has left. Raises PeerLost."""
        if leaving is not None and not leaving[1].settled:
            self.circle.finish(*leaving, self.timeout)

    def receive(self, sender: int, into: torch.Tensor) -> None:
        """Fill a contiguous tensor.

        Raises:
            PeerLost: the sender is gone or silent.
            PeerMisbehaved: it sent so many bytes as do not fit.
        """
        self.circle.receive(sender, into, self.label, self.timeout)

    def flush(self) -> None:
        """Wait until all that was sent has left. Raises PeerLost."""
        for to, ticket in self._sending:
            self.circle.finish(to, ticket, self.timeout)
        self._sending.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """The memory of a dense, contiguous tensor on the processor."""
    if not tensor.numel():
        return memoryview(bytearray())
    flat = tensor.detach().reshape(-1)
    if tensor.dtype in _AS_THEY_ARE:
        return memoryview(flat.numpy()).cast("B")
    return memoryview(flat.view(torch.uint8).numpy())


_AS_THEY_ARE = frozenset({torch.int64, torch.int32, torch.float32, torch.float64, torch.uint8, torch.int8, torch.bool})
