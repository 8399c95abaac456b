"""Shares as they are handed out and taken in, and an owner who finds out what does not fit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput, MeshError, PeerLost, PeerMisbehaved, SessionError, first_error
from mesh.group import Group
from mesh.ids import Rank
from mesh.protocol import Device, Feed, Request
from mesh.tensors import Tensors
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc import dealing
from protocols.smpc.circle import Circle
from protocols.smpc.owner import Owner
from protocols.smpc.program.steps import Port, Program, Tensor
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import VOCABULARY, Finish, Ready, Result, Seeds, Share
from tests.harness.groups import groups, peers

FIXED = FixedPoint()
PORTS = tuple(
    Port(name, Tensor(number, kind, shape))
    for number, (name, kind, shape) in enumerate([("x", "number", (2, 3)), ("i", "integer", (2,)), ("t", "truth", ())])
)
ARRAYS: dict[str, Any] = {
    "x": np.linspace(-3, 3, 6).reshape(2, 3).astype(np.float32),
    "i": np.array([-5, 7]),
    "t": np.array(True),
}
SEEDS = (b"0" * 32, b"1" * 32)


def test_three_pairs_make_the_numbers_again() -> None:
    """What each party takes in overlaps with its neighbours', and all three shares add up."""
    row = dealing.ring_row(PORTS, ARRAYS, FIXED)
    masked = dealing.Dealer(SEEDS, 4).masked(row)
    nothing = np.empty(0, np.uint64)
    pairs = [
        dealing.Taker(party, dealing.seeds_for(party, SEEDS), 4).pair(masked if party else nothing, row.size)
        for party in range(3)
    ]
    for party in range(3):
        np.testing.assert_array_equal(pairs[party][1], pairs[(party + 1) % 3][0])
    found = dealing.recombined(PORTS, [pair[0] for pair in pairs], FIXED)
    np.testing.assert_allclose(ARRAYS["x"], found["x"], atol=FIXED.unit)
    assert ([-5, 7], True) == (found["i"].tolist(), bool(found["t"]))


def test_no_party_holds_the_seed_that_would_open_what_it_is_sent() -> None:
    """Party 0 is sent no share at all; the two others lack one of the two seeds that hide theirs."""
    assert [{0, 1}, {1}, {0}] == [set(dealing.seeds_for(party, SEEDS)) for party in range(3)]


def test_no_batch_is_hidden_like_another() -> None:
    """The same numbers, asked twice, look as different as any."""
    row = dealing.ring_row(PORTS, ARRAYS, FIXED)
    first, second = (dealing.Dealer(SEEDS, batch).masked(row) for batch in (0, 1))
    assert not np.any(first == second)


def test_pieces_make_the_whole() -> None:
    """Dealt piece by piece, shares are those of the whole row."""
    row = np.arange(10, dtype=np.uint64)
    dealer = dealing.Dealer(SEEDS, 0)
    parts = np.concatenate([dealer.masked(row[:3]), dealer.masked(row[3:])])
    np.testing.assert_array_equal(dealing.Dealer(SEEDS, 0).masked(row), parts)


def test_what_is_no_secret_arrives_as_it_is() -> None:
    """Numbers as float64, whole numbers and truths as themselves."""
    found = dealing.values_of(PORTS, dealing.in_clear(PORTS, ARRAYS))
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(array, found[name])
    assert [np.float64, np.int64, np.bool_] == [found[port.name].dtype for port in PORTS]


def test_stored_weights_come_back() -> None:
    """And those of another program are not mistaken for them."""
    blob = dealing.pack_weights(PORTS, ARRAYS)
    for name, array in dealing.unpack_weights(PORTS, blob).items():
        np.testing.assert_array_equal(ARRAYS[name], array)
    with pytest.raises(BadInput, match="add the model again"):
        dealing.unpack_weights(PORTS, blob + b"x")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"x": None}, "missing"),
        ({"y": np.zeros(1)}, "takes no 'y'"),
        ({"x": np.zeros((3, 3), np.float32)}, r"shape \[2, 3\]"),
        ({"x": np.full((2, 3), np.nan, np.float32)}, "finite"),
        ({"x": np.full((2, 3), 1e30, np.float32)}, "1e\\+30"),
    ],
)
def test_an_input_that_does_not_fit_is_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    """Nothing is cut off or shaped silently."""
    arrays = {name: array for name, array in {**ARRAYS, **changes}.items() if array is not None}
    with pytest.raises(BadInput, match=sentence):
        dealing.ring_row(PORTS, arrays, FIXED)


def test_a_share_of_another_length_is_refused() -> None:
    """Where one is due, and where none is."""
    with pytest.raises(BadInput):
        dealing.Taker(1, dealing.seeds_for(1, SEEDS), 0).pair(np.zeros(3, np.uint64), 4)
    with pytest.raises(BadInput):
        dealing.Taker(0, dealing.seeds_for(0, SEEDS), 0).pair(np.zeros(4, np.uint64), 4)


IDENTITY = Program(17, PORTS[:1], (), (), (), (Port("y", PORTS[0].tensor),))
"""A program without a step: its output is its input, so its parties have nothing to compute."""

Twist = Callable[[int, Result], Result | None]


class _Questions(Feed):
    """These, and then no more."""

    def __init__(self, *payloads: Tensors) -> None:
        self._left = list(enumerate(payloads))
        self.answers: dict[int, Any] = {}
        self.refusals: dict[int, str] = {}

    async def take(self) -> Request | None:
        return Request(*self._left.pop(0)) if self._left else None

    def answer(self, seq: int, payload: Tensors) -> None:
        self.answers[seq] = arrays_of(payload)["y"]

    def refuse(self, seq: int, error: MeshError) -> None:
        self.refusals[seq] = str(error)


async def _party(group: Group, twist: Twist) -> None:
    """A party that sends back what it is given."""
    number, owner = group.rank - 1, Rank(0)
    seeds = (await group.receive(owner, Seeds)).seeds
    await group.send(owner, Ready(seconds=0.0))
    while True:
        share = await group.receive(owner, Share)
        first, second = dealing.Taker(number, seeds, share.batch).pair(dealing.words_of(share.words), 6)
        made = Result(
            seq=share.batch,
            seconds=0.0,
            sent=0,
            rounds=0,
            words=memoryview(first.tobytes()),
            check=dealing.digest_of(second),
        )
        if (twisted := twist(number, made)) is not None:
            await group.send(owner, twisted)


async def _owned(feed: _Questions, twist: Twist = lambda _number, result: result, **spec: Any) -> None:
    asked = PrivateSpec(IDENTITY, **spec)
    ranks = [Rank(rank) for rank in (1, 2, 3)]
    try:
        async with groups(4, VOCABULARY) as (members, _, _), asyncio.TaskGroup() as tasks:
            parties = [tasks.create_task(_party(members[rank], twist)) for rank in ranks]
            await Owner(Circle(members[0]), asked, ranks, Device(feed=feed)).serve(b"")
            for rank in ranks:
                await members[rank].receive(Rank(0), Finish)
            for party in parties:
                party.cancel()
    except ExceptionGroup as errors:
        raise first_error(errors) from None


async def test_an_owner_is_given_its_answers_in_order() -> None:
    """And refuses what is no input, while the others go on."""
    feed = _Questions(*(tensors_of({"x": ARRAYS["x"] * times}) for times in (1, 2)), {}, tensors_of(ARRAYS))
    await _owned(feed)
    assert ({0, 1}, {2, 3}) == (set(feed.answers), set(feed.refusals))
    np.testing.assert_allclose(ARRAYS["x"] * 2, feed.answers[1], atol=FIXED.unit)


@pytest.mark.parametrize("liar", range(3))
async def test_shares_that_do_not_agree_are_found_out(liar: int) -> None:
    """Whichever party alters its share of an answer: nobody is given a wrong one."""

    def twist(number: int, result: Result) -> Result:
        words = dealing.words_of(result.words).astype(np.uint64)
        words[3] += np.uint64(number == liar)
        return Result(
            seq=result.seq, seconds=0.0, sent=0, rounds=0, words=memoryview(words.tobytes()), check=result.check
        )

    feed = _Questions(tensors_of({"x": ARRAYS["x"]}))
    with pytest.raises(PeerMisbehaved, match="differ"):
        await _owned(feed, twist)
    assert {} == feed.answers


@pytest.mark.parametrize("seq", [1, -1])
async def test_an_answer_that_nobody_asked_for_is_misbehaviour(seq: int) -> None:
    """It is not kept for later."""
    feed = _Questions(tensors_of({"x": ARRAYS["x"]}))
    with pytest.raises(PeerMisbehaved, match="not asked"):
        await _owned(
            feed,
            lambda _number, made: Result(seq=seq, seconds=0.0, sent=0, rounds=0, words=made.words, check=made.check),
        )


async def test_whoever_holds_the_others_up_is_named() -> None:
    """It is lost, and they are not; if all are late, nobody is blamed."""
    feed = _Questions(tensors_of({"x": ARRAYS["x"]}))
    with pytest.raises(PeerLost) as lost:
        await _owned(feed, lambda number, made: made if number != 1 else None, patience=0.05)
    assert peers(4)[2] == lost.value.peer
    with pytest.raises(SessionError, match="patience=SECONDS"):
        await _owned(_Questions(tensors_of({"x": ARRAYS["x"]})), lambda _number, _made: None, patience=0.05)
