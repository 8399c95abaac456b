"""Plans are the best there are, and a lack is put in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings

from mesh.errors import NoPlan
from protocols.sharded import planner
from protocols.sharded.planner import Layout, Machine, Piece, lay_out, pieces_of
from protocols.sharded.segments import ModelInfo, SegmentInfo, TensorInfo, ValueInfo
from tests.unit.protocols.sharded.enumeration import Question, expect_best, questions

GB = 10**9


def even(count: int, work: float = 1e9, weights: int = 1000, entering: int = 10) -> list[Piece]:
    return [Piece(work, weights, 100, entering)] * count


def spans(layout: Layout) -> list[tuple[int, int, int]]:
    return [(share.machine, share.first, share.last) for share in layout.shares]


@settings(max_examples=600, deadline=None)
@given(questions(pieces=6, machines=4))
def test_no_layout_is_better(question: Question) -> None:
    """Trying every layout finds none better, and none at all where the planner says that there is none."""
    expect_best(question)


@settings(max_examples=300, deadline=None)
@given(questions(pieces=6, machines=4))
def test_layouts_hold(question: Question) -> None:
    """A layout has every piece once, in order, on different devices, and nowhere more than fits."""
    try:
        layout = question.ask()
    except NoPlan:
        return
    places = [share.machine for share in layout.shares]
    ends = [0, *(share.last for share in layout.shares)]

    assert list(range(len(question.pieces))) == [i for share in layout.shares for i in range(share.first, share.last)]
    assert ends[:-1] == [share.first for share in layout.shares]
    assert len(places) == len(set(places))
    assert all(share.memory <= question.machines[share.machine].memory for share in layout.shares)
    assert question.entry not in places[1:]


def test_many_devices_still_get_a_layout() -> None:
    """Beyond what can be searched exhaustively a layout is found, valid if not the best."""
    machines = [Machine(2_200, speed, 1e9) for speed in range(10**9, 31 * 10**9, 10**9)]
    layout = lay_out(even(40), machines, entry=4)

    assert list(range(40)) == [i for share in layout.shares for i in range(share.first, share.last)]
    assert all(share.memory <= 2_200 for share in layout.shares)


def test_fixed_orders_are_near_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heuristic for many devices, on few, comes within a factor of two of the optimum here."""
    pieces = [Piece(1e9 * (1 + i % 3), 1000, 10, 1000 * (1 + i % 4)) for i in range(12)]
    machines = [Machine(GB, 1e9 * (1 + i), 1e8) for i in range(5)]
    optimum = lay_out(pieces, machines, entry=2)
    monkeypatch.setattr(planner, "EXACT_STATES", 0)

    assert optimum.bottleneck <= lay_out(pieces, machines, entry=2).bottleneck <= 2 * optimum.bottleneck


def test_equal_devices_share_evenly() -> None:
    """Four equal devices make the line four times as fast."""
    layout = lay_out(even(8), [Machine(GB, 1e9)] * 4)

    assert [(i, 2 * i, 2 * i + 2) for i in range(4)] == spans(layout)
    assert layout.rate == pytest.approx(0.5)


def test_fast_device_gets_more() -> None:
    """Work follows speed, wherever in the list the fast device stands."""
    assert sorted(
        share.last - share.first for share in lay_out(even(8), [Machine(GB, 1e9), Machine(GB, 3e9)]).shares
    ) == [2, 6]


def test_declines_to_share_when_it_would_not_help() -> None:
    """Where sending takes longer than computing, the entry does everything itself and nothing travels."""
    layout = lay_out(even(4, work=1e6, entering=10**6), [Machine(GB, 1e9, 1e6)] * 3, leaving=10**6, entry=1)

    assert spans(layout) == [(1, 0, 4)]
    assert layout.traffic == 0


def test_minimum_parts_is_insisted_on() -> None:
    """Whoever wants three parts gets three, though one device could do it faster."""
    slow = [Machine(GB, 1e9, 1e6)] * 4
    layout = lay_out(even(4, work=1e6, entering=10**6), slow, entry=0, minimum_parts=3, maximum_parts=3)

    assert len(layout.shares) == 3


def test_entry_without_memory_only_feeds() -> None:
    """A camera that can hold nothing has no part, and what it feeds in travels."""
    layout = lay_out(even(4, entering=7), [Machine(0, 1e9), Machine(GB, 1e9)], leaving=5, entry=0)

    assert spans(layout) == [(1, 0, 4)]
    assert layout.traffic == 12


def test_twins_are_told_apart_by_nothing_but_place() -> None:
    """Between two devices that are alike the first is chosen, so that every device makes the same plan."""
    assert spans(lay_out(even(1), [Machine(GB, 1e9)] * 3)) == [(0, 0, 1)]


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ([Machine(3_000, 1e9)] * 2, "the model needs 0.0 MB; the 2 devices offer 0.0 MB"),
        ([Machine(500, 1e9)] * 20, "the largest indivisible segment needs"),
        ([Machine(1_900, 1e9)] * 8, "cannot be divided among them in 1 to 8 parts"),
    ],
)
def test_lack_of_memory_is_put_in_words(machines: Sequence[Machine], words: str) -> None:
    """A refusal says what is missing: memory altogether, memory on one device, or a fitting division."""
    pieces = even(8) if machines[0].memory != 1_900 else [Piece(1e9, 900 + 101 * (i % 2), 0, 1) for i in range(14)]
    with pytest.raises(NoPlan, match=words):
        lay_out(pieces, machines)


def test_too_many_parts_are_refused() -> None:
    """Three parts need three devices and three segments."""
    with pytest.raises(NoPlan, match="3 parts were asked for; 2 devices, 8 segments"):
        lay_out(even(8), [Machine(GB, 1e9)] * 2, minimum_parts=3)


def test_no_devices() -> None:
    """With nobody there, there is no plan; it is said, not crashed upon."""
    with pytest.raises(NoPlan, match="0 devices"):
        lay_out(even(8), [])


def test_pieces_of_a_model() -> None:
    """Work is measured time in the benchmark's multiply-adds; weights are held twice; what crosses before enters."""
    tensor = TensorInfo("x", "float32", (1, 4))
    segments = tuple(
        SegmentInfo("00", 9, 8, 7, 6, seconds, entering) for seconds, entering in ((0.5, (0,)), (0.25, (0, 1)))
    )
    model = ModelInfo((tensor,), (tensor,), (ValueInfo("x", 16), ValueInfo("h", 32)), segments, speed=2e9)

    assert (Piece(1e9, 16, 7, 16), Piece(5e8, 16, 7, 48)) == pieces_of(model)


def test_free_work_takes_no_time() -> None:
    """A model that costs nothing has no bound on its rate, and no division by zero."""
    assert lay_out([Piece(0, 1, 1, 0)], [Machine(GB, 1e9)]).rate == math.inf
