"""The link over channels that somebody else has opened."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mesh.errors import Misuse, PeerLost, PeerMisbehaved
from protocols.smpc.replicated import channels, comparison
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from tests.unit.protocols.smpc.parties import keys_for

PEERS = ("one", "two", "three")


Lanes = dict[tuple[str, str], "queue.SimpleQueue[bytes]"]


class Wires:
    """Channels in memory whose sends all end later, as large ones do."""

    def __init__(self, rank: int, lanes: Lanes, peers: tuple[str, ...]) -> None:
        self.rank, self.peers = rank, peers
        self._lanes = lanes
        self.finished = 0

    def begin_send(self, peer: str, data: memoryview) -> int | None:
        self._lanes[self.peers[self.rank], peer].put(bytes(data))
        return len(data)

    def finish_send(self, peer: str, ticket: int) -> None:
        self.finished += ticket

    def receive_into(self, peer: str, into: memoryview) -> None:
        data = self._lanes[peer, self.peers[self.rank]].get(timeout=20)
        if len(data) != len(into):
            raise PeerMisbehaved(peer, "another length")
        into[:] = data


def wires(peers: tuple[str, ...] = PEERS) -> list[Wires]:
    lanes: Lanes = {(a, b): queue.SimpleQueue() for a in peers for b in peers if a != b}
    return [Wires(rank, lanes, peers) for rank in range(len(peers))]


def test_a_computation_runs_over_channels() -> None:
    """The same program gives the same result, and every send is waited for before its memory is used again."""
    values = np.arange(-5, 5).astype(np.int64)

    def program(wire: Wires) -> tuple[Words | None, bool]:
        link = ChannelLink(wire)
        party = Party(link, Correlated(link.rank, keys_for(link.rank), b"test"))
        mine = values.view(np.uint64) if link.rank == 1 else None
        return reveal(party, comparison.relu(party, share(party, 1, mine, (10,)))), wire.finished == link.sent

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(program, wires()))

    for found, all_finished in results:
        assert found is not None
        np.testing.assert_array_equal(np.maximum(values, 0), found.view(np.int64))
        assert all_finished


class Narrow(Wires):
    """Channels whose large sends leave only when they are read, as those of sockets that are full."""

    def begin_send(self, peer: str, data: memoryview) -> int | None:
        super().begin_send(peer, data)
        return len(data) if len(data) > 4096 else None

    def finish_send(self, peer: str, ticket: int) -> None:
        lane = self._lanes[self.peers[self.rank], peer]
        for _ in range(2000):
            if lane.empty():
                return super().finish_send(peer, ticket)
            threading.Event().wait(0.005)
        raise PeerLost(peer, "It does not read.")


@pytest.mark.parametrize("shape", [(), (3,), (2**20 + 1,)])
def test_all_may_learn_something_large_at_once(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three that reveal to all three never wait for one another to read, even where little may be under way."""
    monkeypatch.setattr(channels, "_AHEAD", 2**16)
    lanes: Lanes = {(a, b): queue.SimpleQueue() for a in PEERS for b in PEERS if a != b}
    values = np.full(shape, 7, np.uint64)

    def program(rank: int) -> Words | None:
        party = Party(ChannelLink(Narrow(rank, lanes, PEERS)), Correlated(rank, keys_for(rank), b"test"))
        return reveal(party, share(party, 0, values if rank == 0 else None, shape))

    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(program, range(3)):
            assert found is not None
            np.testing.assert_array_equal(values, found, strict=True)


def test_replicated_sharing_is_for_three() -> None:
    """Channels between two or four parties are refused."""
    with pytest.raises(Misuse, match="3 parties"):
        ChannelLink(wires(("one", "two"))[0])
