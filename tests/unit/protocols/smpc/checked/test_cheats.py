"""A party that cheats, in any message and in any way, is found out before anything is handed out."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from mesh.errors import MeshError, Misuse, PeerLost, PeerMisbehaved
from protocols.smpc.replicated import arithmetic, comparison
from protocols.smpc.replicated.checked import buckets, circuits
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.checked.triangle import Triangle
from protocols.smpc.replicated.local import connect
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.replicated.truncation import Rounding, truncate
from tests.unit.protocols.smpc.checked.trials import Change, Crooked, Program, ends_of, handed, job
from tests.unit.protocols.smpc.parties import FIXED
from tests.unit.protocols.smpc.statistics import as_often_as

RNG = np.random.default_rng(5)
X = FIXED.encode(RNG.normal(0, 5, 3))
LEFT, RIGHT = FIXED.encode(RNG.normal(0, 2, (11, 2))), FIXED.encode(RNG.normal(0, 2, (2, 10)))


def small(party: CheckedParty, x: Secret, left: Secret, right: Secret) -> Secret:
    """Every kind of message there is: products, ANDs, carries, bits as numbers, and matrices that are combined."""
    rectified = comparison.relu(party, truncate(party, x, 3), bits=8)
    return arithmetic.product(party, left, right, bits=0).sum() + rectified


def random(data: bytearray) -> bytes:
    """Something else in every byte."""
    return bytes(byte ^ mask for byte, mask in zip(data, RNG.integers(1, 256, len(data)).tolist(), strict=True))


def top(data: bytearray) -> bytes:
    """2**63 more in some word."""
    data[int(RNG.integers(len(data) // 8)) * 8 + 7] ^= 0x80
    return bytes(data)


def bit(data: bytearray) -> bytes:
    """One bit turned over."""
    data[int(RNG.integers(len(data)))] ^= 1 << int(RNG.integers(8))
    return bytes(data)


CHANGES: list[Change] = [random, top, bit]
SECRETS = (X, LEFT, RIGHT)


@cache
def undisturbed() -> tuple[list[Any], list[int]]:
    """What each ends with, and how many messages it sends, where nobody cheats."""
    links = [Crooked(link) for link in connect()]
    return ends_of(job(small), handed(*SECRETS), links), [link.messages for link in links]


def disturbed(cheat: int, place: int, change: Change, program: Program = small, *, kept: bool = False) -> list[Any]:
    """What the two others end with, where one changes one message."""
    links: list[Any] = list(connect(timeout=20))
    links[cheat] = Crooked(links[cheat], place, change=change, kept=kept)
    ends = ends_of(job(program), handed(*SECRETS), links)
    return [end for rank, end in enumerate(ends) if rank != cheat]


def found_out(ends: list[Any]) -> bool:
    """Whether both have stopped, and at least one of them because of the cheat."""
    return all(isinstance(end, (PeerMisbehaved, PeerLost)) for end in ends) and any(
        isinstance(end, PeerMisbehaved) for end in ends
    )


@pytest.mark.parametrize("cheat", range(3))
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change.__name__))
def test_a_changed_message_is_found_out(cheat: int, change: Change) -> None:
    """Whichever message it is, and whatever is added to it.

    The last two open the coin by which shares are shaken after everything has been verified: whoever is lied to there
    hands out nothing, and the other hands out what is right.
    """
    right, messages = undisturbed()
    others = [rank for rank in range(3) if rank != cheat]

    for place in range(messages[cheat] - 2):
        assert found_out(disturbed(cheat, place, change)), f"message {place}"
    for place in range(messages[cheat] - 2, messages[cheat]):
        ends = disturbed(cheat, place, change)
        assert any(isinstance(end, PeerMisbehaved) for end in ends)
        for end, rank in zip(ends, others, strict=True):
            if isinstance(end, Secret):
                np.testing.assert_array_equal(right[rank].first, end.first)
                np.testing.assert_array_equal(right[rank].second, end.second)


@pytest.mark.parametrize("cheat", range(3))
def test_a_cheat_that_goes_on_with_its_own_lie_is_found_out(cheat: int) -> None:
    """It remembers what it has sent as what it has computed, and stays consistent from then on."""
    _, messages = undisturbed()
    for place in range(messages[cheat] - 2):
        assert found_out(disturbed(cheat, place, top, kept=True)), f"message {place}"


@pytest.mark.parametrize("cheat", range(3))
def test_a_party_that_stops_gets_nobody_to_go_on(cheat: int) -> None:
    """Both others end with an error, wherever it stops."""
    _, messages = undisturbed()
    for place in range(0, messages[cheat] - 2, 3):
        ends = disturbed(cheat, place, lambda data: None)
        assert all(isinstance(end, MeshError) for end in ends), f"message {place}"


@pytest.mark.parametrize(
    "change", [lambda data: bytes(data[:-8]), lambda data: bytes(data) + bytes(8), lambda data: b""]
)
@pytest.mark.parametrize("cheat", range(3))
def test_messages_of_another_length_are_refused(cheat: int, change: Change) -> None:
    """Where the link can tell, and before anything is done with them."""
    _, messages = undisturbed()
    for place in range(0, messages[cheat] - 2, 5):
        assert found_out(disturbed(cheat, place, change)), f"message {place}"


@pytest.mark.parametrize("cheat", range(3))
def test_repeating_a_message_is_found_out(cheat: int) -> None:
    """What was sent before, in place of what is due, is refused like any other lie."""
    _, messages = undisturbed()
    for start in range(0, messages[cheat] - 2, 7):
        before: dict[int, bytes] = {}
        links: list[Any] = list(connect(timeout=20))
        links[cheat] = _Parrot(links[cheat], start, before)
        ends = ends_of(job(small), handed(*SECRETS), links)
        if links[cheat].repeated:
            assert found_out([end for rank, end in enumerate(ends) if rank != cheat]), f"from message {start} on"


class _Parrot(Crooked):
    """Sends an earlier message of the same length again, the first time it can after some place."""

    def __init__(self, link: Any, start: int, before: dict[int, bytes]) -> None:
        super().__init__(link)
        self._start = start
        self._before = before
        self.repeated = False

    def _sent(self, view: memoryview) -> memoryview:
        self.messages += 1
        old = self._before.get(len(view))
        self._before[len(view)] = bytes(view)
        if self.repeated or self.messages <= self._start or old in (None, bytes(view)):
            return view
        self.repeated = True
        return memoryview(old or b"")


@pytest.mark.parametrize("exact", [True, False])
def test_rank_0_cannot_lie_about_what_it_alone_knows(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong carries, of which it keeps everything else consistent, do not pass for right ones."""
    honest = circuits._carries
    program: dict[bool, Callable[..., Secret]] = {
        True: lambda party, x, *_: truncate(party, x, 18, Rounding.EXACT),
        False: lambda party, x, *_: comparison.relu(party, x),
    }
    for plane in (0, 17, 40, 62):

        def wrong(secret: Secret, count: int, plane: int = plane) -> Any:
            planes = honest(secret, count)
            planes[plane] ^= np.uint64(4)
            return planes

        monkeypatch.setattr(circuits, "_carries", wrong)
        ends = ends_of(job(program[exact]), handed(*SECRETS), connect(timeout=20))
        assert found_out(ends[1:])


@pytest.mark.parametrize("row", range(3))
def test_rank_0_cannot_bring_in_other_bits_than_the_right_ones(row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros and ones in the wrong places, as numbers, do not pass either."""
    honest = Triangle.given

    def wrong(triangle: Triangle, owner: int, values: Any, shape: tuple[int, ...], *, bitwise: bool = False) -> Secret:
        if values is not None and not bitwise:
            values[row, 1] ^= np.uint64(1)
        return honest(triangle, owner, values, shape, bitwise=bitwise)

    monkeypatch.setattr(Triangle, "given", wrong)
    ends = ends_of(job(lambda party, x, *_: truncate(party, x, 18)), handed(*SECRETS), connect(timeout=20))

    assert found_out(ends[1:])


@pytest.mark.parametrize("cheat", range(3))
def test_the_same_lie_everywhere_is_found_out(cheat: int) -> None:
    """Added to each product and to each triple alike: they agree with each other, but not with what is opened."""

    def everywhere(data: bytearray) -> bytes:
        return bytes(byte ^ (0x80 if place % 8 == 7 else 0) for place, byte in enumerate(data))

    links: list[Any] = list(connect(timeout=20))
    admitted = 3  # messages
    links[cheat] = Crooked(links[cheat], admitted, admitted + 1, change=everywhere, kept=True)
    ends = ends_of(job(lambda party, x, *_: arithmetic.multiply(party, x, x, bits=0)), handed(*SECRETS), links)

    assert found_out([end for rank, end in enumerate(ends) if rank != cheat])


def test_a_cheat_passes_exactly_as_often_as_the_shuffle_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one triple for one product and one opened, a lie about the product and a triple passes in half of all runs:
    the bound for the product's size is one over binomial(2, 1), and reached. Caught, it leaves nothing."""
    monkeypatch.setattr(buckets, "bucket_size", lambda products: 1)
    product, triples, passed, runs = 3, 4, 0, 80
    for seed in range(runs):
        links: list[Any] = list(connect(timeout=20))
        links[1] = Crooked(links[1], product, triples, change=_first_raised, kept=True)
        program = job(lambda party, x: arithmetic.multiply(party, x, x, bits=0))
        ends = ends_of(program, handed(X[:1], seed=seed), links, seed=seed)
        if isinstance(ends[0], Secret):
            passed += 1
            np.testing.assert_array_equal(X[:1] * X[:1] + np.uint64(2**63), ends[0].total + ends[2].first)
        else:
            assert found_out([ends[0], ends[2]])

    assert as_often_as(0.5, passed, runs)


def _first_raised(data: bytearray) -> bytes:
    """2**63 more in the first word."""
    data[7] ^= 0x80
    return bytes(data)


def _revealed(receiver: int) -> Program:
    def program(party: CheckedParty, *_: Secret) -> Any:
        owner = (receiver + 1) % 3
        secret = share(party, owner, X if party.rank == owner else None, X.shape)
        return reveal(party, arithmetic.multiply(party, secret, secret, bits=0), {receiver})

    return program


@pytest.mark.parametrize("cheat", range(3))
def test_nothing_is_revealed_to_a_cheat(cheat: int) -> None:
    """Values opened in the middle of a job, to one party alone, are checked first: the cheat is not told them."""
    links: list[Any] = list(connect(timeout=20))
    links[cheat] = Crooked(links[cheat], 0, change=top)

    ends = ends_of(_revealed(cheat), [[], [], []], links)

    assert all(isinstance(end, MeshError) for end in ends)


@pytest.mark.parametrize("cheat", range(3))
@pytest.mark.parametrize("ahead", [1, 2])
def test_nobody_is_told_another_value(cheat: int, ahead: int) -> None:
    """A party that lies about its share in the very last message is found out by the receiver."""
    receiver = (cheat + ahead) % 3
    counts = [Crooked(link) for link in connect(timeout=20)]
    ends_of(_revealed(receiver), [[], [], []], counts)
    links: list[Any] = list(connect(timeout=20))
    links[cheat] = Crooked(links[cheat], counts[cheat].messages - 1, change=bit)

    ends = ends_of(_revealed(receiver), [[], [], []], links)

    assert isinstance(ends[receiver], PeerMisbehaved)


@pytest.mark.parametrize("rank", range(3))
def test_shares_that_do_not_belong_together_are_not_admitted(rank: int) -> None:
    """An owner that gives two parties different versions of a share is found out before anything is computed."""
    for which in (0, 1):
        hands = handed(*SECRETS)
        shares = [hands[rank][0].first, hands[rank][0].second]
        shares[which] = shares[which] + np.uint64(1 << 63)
        hands[rank][0] = Secret(*shares)
        ends = ends_of(lambda party, *secrets: party.admit(secrets), hands, connect(timeout=20))
        assert all(isinstance(end, MeshError) for end in ends)
        assert any(isinstance(end, PeerMisbehaved) for end in ends)


@pytest.mark.parametrize("rank", range(3))
def test_what_is_told_in_clear_is_told_to_all(rank: int) -> None:
    """An owner that tells one party another weight, in its last bit, is found out as well."""
    hands: list[list[Any]] = [[np.array([0.5, 0.25]), np.array([True])] for _ in range(3)]
    hands[rank][0][1] = np.nextafter(0.25, 1)

    ends = ends_of(lambda party, *values: party.admit(values), hands, connect(timeout=20))

    assert all(isinstance(end, MeshError) for end in ends)
    assert any(isinstance(end, PeerMisbehaved) for end in ends)


def test_nothing_leaves_a_party_that_has_found_a_cheat() -> None:
    """Not even if its program goes on: it can send nothing any more."""

    def program(party: CheckedParty, x: Secret, *_: Secret) -> Any:
        product = arithmetic.multiply(party, x, x, bits=0)
        try:
            party.verify()
        except (PeerMisbehaved, PeerLost):
            before = party.link.sent
            with pytest.raises(Misuse, match="nothing more is sent"):
                reveal(party, product)
            return party.link.sent - before
        return None

    links: list[Any] = list(connect(timeout=20))
    links[0] = Crooked(links[0], 0, change=top)

    assert [0, 0] == ends_of(program, handed(*SECRETS), links)[1:]
