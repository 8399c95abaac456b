"""Shares as they are handed out and taken in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput
from protocols.smpc import dealing
from protocols.smpc.program.steps import Port, Tensor
from protocols.smpc.replicated.sharing import FixedPoint

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
