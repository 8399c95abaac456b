"""The largest of many, in stages of every width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated import comparison
from protocols.smpc.replicated.kernels import Geometry, patches
from protocols.smpc.replicated.signs import all_set, negative_rows
from protocols.smpc.replicated.tournament import best_of
from tests.unit.protocols.smpc.parties import compute

LATENCIES = [0.0, 1e-4, 1.0]
"""Rounds for nothing, as usual, and dearer than any number of bytes."""


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 9, 17, 65])
def test_the_best_of_any_number(length: int, latency: float) -> None:
    """Whatever a round costs, the largest is found, equal ones and both ends of the range among them."""
    x = np.random.default_rng(length).integers(-4, 4, (length, 70), np.int64)
    x[:, :10] *= 2**60 // 4

    def program(party: Any, a: Any) -> Any:
        party.link.latency = latency
        return best_of(party, a, 64)

    run = compute(program, x.view(np.uint64))

    np.testing.assert_array_equal(x.max(0), run.integers)


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("length", [1, 2, 5, 8, 11, 30])
def test_where_the_first_of_the_largest_stands(length: int, latency: float) -> None:
    """In stages of any width, of equals the first one counts."""
    x = np.random.default_rng(length).integers(-2, 3, (length, 50), np.int64)

    def program(party: Any, a: Any) -> Any:
        party.link.latency = latency
        return comparison.argmax(party, a, 0)

    run = compute(program, x.view(np.uint64))

    np.testing.assert_array_equal(x.max(0), run.words[0].view(np.int64))
    np.testing.assert_array_equal(x.argmax(0), run.words[1].view(np.int64))


def test_rounds_are_saved_where_they_are_dear() -> None:
    """The dearer a round, the fewer are taken, and the more bytes are sent."""
    x = np.arange(64 * 50, dtype=np.uint64).reshape(64, 50)
    runs = []
    for latency in LATENCIES:

        def program(party: Any, a: Any, latency: float = latency) -> Any:
            party.link.latency = latency
            return best_of(party, a, 46)

        runs.append(compute(program, x))

    depths, sent = [run.depth for run in runs], [sum(run.sent) for run in runs]
    assert depths == sorted(depths, reverse=True)
    assert sent == sorted(sent)
    assert depths[-1] <= 11


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("at_least_zero", [False, True])
@pytest.mark.parametrize("geometry", [Geometry((2, 2)), Geometry((1, 1), (1, 1), (1, 1, 1, 1))])
def test_pooling_whatever_a_round_costs(latency: float, geometry: Geometry, at_least_zero: bool) -> None:
    """Windows searched along one axis and then along the other, or at once, with zero or without, have their maxima."""
    x = np.random.default_rng(0).integers(-1000, 300, (1, 2, 6, 6), np.int64)

    def program(party: Any, a: Any) -> Any:
        party.link.latency = latency
        return comparison.max_pool(party, a, (2, 2), geometry, at_least_zero=at_least_zero, bits=30)

    run = compute(program, x.view(np.uint64))

    expected = patches(x, (2, 2), geometry, fill=-(2**25)).max((-2, -1))
    np.testing.assert_array_equal(np.maximum(expected, 0) if at_least_zero else expected, run.integers)


@pytest.mark.parametrize("columns", [1, 64, 100])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_rows_of_bits(rows: int, columns: int) -> None:
    """Signs of each row by itself, and whether all are set."""
    x = np.random.default_rng(rows).integers(-3, 1, (rows, columns), np.int64)

    def program(party: Any, a: Any) -> tuple[Any, ...]:
        found = negative_rows(party, a)
        return (*found, *all_set(party, [found, found[::-1]]))

    run = compute(program, x.view(np.uint64))

    for expected, got in zip([*(x < 0), (x < 0).all(0), (x < 0).all(0)], run.words, strict=True):
        np.testing.assert_array_equal(expected.astype(np.uint64), got)
