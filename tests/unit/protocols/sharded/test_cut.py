"""Cuts fall where few bytes cross and leave even work between them."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.sharded.cut import choose


def price(work: list[int], weights: list[int], crossing: dict[int, int], most: int, cuts: tuple[int, ...]) -> float:
    """The documented sum, written down once more and plainly."""
    usual = max(float(np.median(list(crossing.values()))) if crossing else 1, 1)
    ends = [0, *cuts, len(work)]
    total = 0.0
    for first, last in pairwise(ends):
        shares = [most * sum(amounts[first:last]) / max(sum(amounts), 1e-300) for amounts in (work, weights)]
        total += sum(share * math.log2(share) for share in shares if share)
    return total + sum((1 + crossing[cut] / usual) / math.log(2) for cut in cuts)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_choice_is_cheaper(data: st.DataObject) -> None:
    """The chosen cuts are the cheapest there are, by the documented price."""
    nodes = data.draw(st.integers(1, 7))
    amounts = st.lists(st.integers(0, 9), min_size=nodes, max_size=nodes)
    work, weights = data.draw(amounts), data.draw(amounts)
    legal = data.draw(st.sets(st.integers(1, nodes - 1))) if nodes > 1 else set()
    crossing = {cut: data.draw(st.integers(0, 9)) for cut in legal}
    most = data.draw(st.integers(1, 5))
    chosen = choose(work, weights, crossing, most)
    every = [cuts for parts in range(most) for cuts in combinations(sorted(crossing), parts)]

    best = min(price(work, weights, crossing, most, cuts) for cuts in every)
    assert np.isclose(best, price(work, weights, crossing, most, tuple(chosen)))


def test_even_chain_is_cut_evenly() -> None:
    """A long chain of equal nodes falls into equal segments, as many as are allowed."""
    cuts = choose([1] * 96, [1] * 96, dict.fromkeys(range(1, 96), 100), most=8)

    assert {12} == {last - first for first, last in pairwise([0, *cuts, 96])}


def test_nearly_free_nodes_stay_together() -> None:
    """A long run of cheap nodes is not made a segment of its own."""
    work = [1000, *[1] * 15, 1000]
    cuts = choose(work, [0] * 17, dict.fromkeys(range(1, 17), 100))

    assert len(cuts) == 1


def test_a_narrow_place_nearby_is_preferred() -> None:
    """A cut moves a little to where far fewer bytes cross."""
    crossing = dict.fromkeys(range(1, 40), 1000) | {18: 10}

    assert choose([1] * 40, [0] * 40, crossing, most=2) == [18]


def test_an_enormous_crossing_is_left_alone() -> None:
    """Where a hundred times as much crosses as elsewhere nothing is cut."""
    crossing = dict.fromkeys(range(1, 40), 100) | dict.fromkeys(range(10, 20), 10_000)

    assert not set(choose([1] * 40, [0] * 40, crossing)) & set(range(10, 20))


def test_weights_count_as_much_as_work() -> None:
    """A model whose weights lie where there is little work is still divided by its weights."""
    assert 3 in choose([100, 100, 1, 1], [0, 0, 100, 100], {1: 5, 2: 5, 3: 5})


def test_thousands_of_nodes() -> None:
    """A very long model is thinned to its narrow places before they are weighed."""
    nodes = 5000
    crossing = {cut: 10 if cut % 100 == 0 else 1000 for cut in range(1, nodes)}
    cuts = choose([1] * nodes, [1] * nodes, crossing)

    assert len(cuts) < 32
    assert all(cut % 100 == 0 for cut in cuts)


def test_nowhere_to_cut() -> None:
    """A model that may not be cut is one segment."""
    assert choose([1, 2, 3], [0, 0, 0], {}) == []
