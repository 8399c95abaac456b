"""Links between the three parties, and what happens when one of them fails."""

from __future__ import annotations

import numpy as np
import pytest

from mesh.errors import MeshError, Misuse, PeerLost, PeerMisbehaved
from protocols.smpc.replicated import comparison
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.sharing import Secret
from tests.unit.protocols.smpc.parties import party_on


def test_everybody_can_send_and_receive_at_once() -> None:
    """Three parties pass arrays round; each counts bytes, rounds and the depth of the chain."""

    def program(link: LocalLink) -> tuple[list[int], int, int, int, int]:
        got = np.empty(3, np.uint64)
        for _ in range(2):
            link.exchange(link.next, [np.full(3, link.rank, np.uint64)], link.previous, [got])
        return got.tolist(), link.sent, link.received, link.rounds, link.depth

    assert [([(rank - 1) % 3] * 3, 48, 48, 2, 2) for rank in range(3)] == run_together(connect(), program)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_another_length_is_misbehaviour(length: int) -> None:
    """A message of another size than was agreed ends in an error that names the sender."""

    def program(link: LocalLink) -> None:
        if link.rank == 0:
            link.exchange(1, [np.zeros(length, np.uint64)], 1, ())
            link.close()
        elif link.rank == 1:
            link.exchange(0, (), 0, [np.empty(4, np.uint64)])

    with pytest.raises(PeerMisbehaved if length else PeerLost, match="party 0"):
        run_together(connect(), program)


def test_the_link_refuses_what_it_cannot_carry() -> None:
    """Views with gaps, and peers that are none, are our own mistakes."""
    link, *_ = connect()
    with pytest.raises(Misuse, match="contiguous"):
        link.exchange(1, [np.zeros((4, 4))[:, 1]], 1, ())
    with pytest.raises(Misuse, match="exchange with ranks"):
        link.exchange(0, (), 1, ())


@pytest.mark.parametrize("victim", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_party_that_leaves_is_missed(victim: int, after: int) -> None:
    """Whenever one party goes away in a comparison, the others end with an error, and never wait for ever."""

    class Leaving(LocalLink):
        def _carry(self, *parts: object) -> None:
            if self.rank == victim and self.left == 0:
                raise PeerLost(f"party {victim}", "killed by the test")
            self.left -= 1
            super()._carry(*parts)  # type: ignore[arg-type]

        left = after

    def program(link: LocalLink) -> Words | None:
        link.__class__ = Leaving
        party = party_on(link)
        mine = np.arange(10, dtype=np.uint64) if link.rank == 0 else None
        return reveal(party, comparison.relu(party, share(party, 0, mine, (10,))))

    with pytest.raises(MeshError):
        run_together(connect(timeout=20), program)


def test_silence_is_loss() -> None:
    """A peer that says nothing for the time agreed is lost."""
    link, *_ = connect(timeout=0.01)
    with pytest.raises(PeerLost, match="nothing for"):
        link.exchange(1, (), 1, [np.empty(1, np.uint64)])


@pytest.mark.parametrize("liar", [0, 1, 2])
@pytest.mark.parametrize("which", ["first", "second"])
def test_shares_that_do_not_match_are_not_revealed(liar: int, which: str) -> None:
    """A party whose shares are not those its neighbours hold is found out when a result is to be opened."""

    def program(link: LocalLink) -> Words | None:
        party = party_on(link)
        secret = share(party, 0, np.arange(5, dtype=np.uint64) if link.rank == 0 else None, (5,))
        if link.rank == liar:
            held = {"first": secret.first, "second": secret.second}
            held[which] = held[which] + np.uint64(1)
            secret = Secret(**held)
        return reveal(party, secret)

    with pytest.raises(PeerMisbehaved, match="different versions"):
        run_together(connect(), program)


@pytest.mark.parametrize("owner", [0, 1, 2])
@pytest.mark.parametrize("receiver", [0, 1, 2])
def test_only_receivers_learn_a_result(owner: int, receiver: int) -> None:
    """What one party brings in is known afterwards to the named receiver, and handed to no other."""
    values = np.arange(6, dtype=np.uint64).reshape(2, 3)

    def program(link: LocalLink) -> Words | None:
        party = party_on(link)
        return reveal(party, share(party, owner, values if link.rank == owner else None, (2, 3)), [receiver])

    found = run_together(connect(), program)

    np.testing.assert_array_equal(values, found.pop(receiver))
    assert found == [None, None]


def test_an_owner_must_bring_what_it_said() -> None:
    """Another shape than was agreed is refused before anything is sent."""

    def program(link: LocalLink) -> None:
        share(party_on(link), 0, np.zeros(3, np.uint64) if link.rank == 0 else None, (2,))

    with pytest.raises(Misuse, match="bring in"):
        run_together(connect(), program)


def test_delayed_messages_are_the_same_messages() -> None:
    """A link with a delay gives the same results, in as many messages one after another."""
    values = np.arange(10, dtype=np.uint64)

    def program(link: LocalLink) -> tuple[int, list[int]]:
        into = np.empty_like(values)
        for _ in range(3):
            link.exchange(link.next, [values + np.uint64(link.rank)], link.previous, [into])
        return link.depth, [int(word) for word in into]

    assert run_together(connect(), program) == run_together(connect(delay=0.002), program)


def test_what_is_posted_is_no_round() -> None:
    """What one party sends ahead and another takes counts as bytes, and not as a round."""
    sent = np.arange(5, dtype=np.uint64)

    def program(link: LocalLink) -> tuple[int, int, int]:
        if link.rank == 0:
            link.post(1, [sent])
        elif link.rank == 1:
            into = np.empty_like(sent)
            link.take(0, [into])
            np.testing.assert_array_equal(sent, into)
        return link.rounds, link.sent, link.received

    assert [(0, 40, 0), (0, 0, 40), (0, 0, 0)] == run_together(connect(), program)
