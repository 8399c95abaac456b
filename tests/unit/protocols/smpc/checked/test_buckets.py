"""How many triples and tries are enough: the figures, and the arguments behind them by counting every case."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated.arithmetic import multiply
from protocols.smpc.replicated.checked import buckets
from protocols.smpc.replicated.checked.buckets import bucket_size, shuffled
from protocols.smpc.replicated.checked.matrices import tries
from protocols.smpc.replicated.randomness import Stream
from tests.unit.protocols.smpc.checked.trials import released

TABLE = {1: 23, 2: 16, 10: 10, 100: 6, 1000: 4, 5000: 4, 10**4: 3, 10**5: 3, 10**6: 3, 2**20: 2, 10**7: 2}


@pytest.mark.parametrize(("products", "triples"), TABLE.items())
def test_triples_for_each_product(products: int, triples: int) -> None:
    """As many as leave a cheat one chance in 2**41 at most, and no more: for whatever number of products it spoils."""
    assert triples == bucket_size(products)

    total = triples * (products + 1)
    assert math.comb(total, triples) >= 2**41
    assert math.comb((triples - 1) * (products + 1), triples - 1) < 2**41
    for spoilt in {1, 2, 3, products // 2, products - 2, products - 1, products} & set(
        range(1, min(products, 5000) + 1)
    ):
        assert math.comb(total, triples * spoilt) >= math.comb(total, triples)


@pytest.mark.parametrize(("products", "size"), [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1)])
def test_no_strategy_beats_the_bound(products: int, size: int) -> None:
    """Whichever products and triples are spoilt, at most 1 / binomial(B N + B, B) of all shuffles let it pass.

    A shuffle lets it pass if no opened triple is spoilt, and each bucket is spoilt as a whole, its product with it, or
    not at all. Errors that differ from each other would pass less often still.
    """
    total = size * (products + 1)
    best = 0.0
    for count in range(1, total + 1):
        # All shuffles move a given set of spoilt triples to each set of places equally often.
        passing = dict.fromkeys(product((False, True), repeat=products), 0)
        for places in combinations(range(total), count):
            chosen = set(places)
            rows = [{size + k * products + n in chosen for k in range(size)} for n in range(products)]
            if not chosen & set(range(size)) and all(len(row) == 1 for row in rows):
                passing[tuple(row == {True} for row in rows)] += 1
        best = max(best, *(hits * math.comb(total, size) / math.comb(total, count) for hits in passing.values()))

    assert best <= 1


def test_shuffles_are_permutations_of_their_own() -> None:
    """Every order of three comes as often as any other, and another coin gives another order."""
    counts: dict[tuple[int, ...], int] = {}
    coins = Stream(b"c" * 32, b"test")
    for _ in range(6000):
        order = tuple(shuffled(coins, 3).tolist())
        counts[order] = counts.get(order, 0) + 1

    assert 6 == len(counts)
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 35
    assert (shuffled(Stream(b"c" * 32, b"test"), 100) != shuffled(Stream(b"d" * 32, b"test"), 100)).any()


@pytest.mark.parametrize("error", [1, 2, 2**62, 2**63, 3 * 2**61])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (2, 2), (3, 2)])
def test_combinations_miss_no_more_often_than_promised(error: int, shape: tuple[int, int]) -> None:
    """For an error in one place, and in all, of all zeros and ones as factors: one half for each side longer than 1."""
    promised = 2.0 ** (-41 / tries(*shape)) if shape != (1, 1) else 0.0
    for wrong in (np.zeros(shape, np.uint64), np.full(shape, error, np.uint64)):
        wrong[0, 0] = error
        sides = [list(product((0, 1), repeat=length)) if length > 1 else [(1,)] for length in shape]
        caught = [_combined(wrong, left, right) != 0 for left in sides[0] for right in sides[1]]

        assert 1 - sum(caught) / len(caught) <= promised + 1e-9


def _combined(wrong: Any, left: tuple[int, ...], right: tuple[int, ...]) -> int:
    return int(np.array(left, np.uint64) @ wrong @ np.array(right, np.uint64))


def test_tries() -> None:
    """Each is worth a bit where one side is short, and the logarithm of 4 / 3 where none is."""
    assert (1, 41, 41, 99) == (tries(1, 1), tries(1, 9), tries(9, 1), tries(9, 9))


def test_claims_are_checked_as_they_fill_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a check holds at once is bounded, and what comes after it is checked as well."""
    monkeypatch.setattr(buckets, "MOST", 16)
    x = np.arange(70, dtype=np.uint64)

    def program(party: Any, y: Any) -> Any:
        squares = multiply(party, y, y, bits=0)
        assert party._numbers.count < 16
        return multiply(party, squares[:10], y[:10], bits=0)

    np.testing.assert_array_equal(x[:10] ** 3, released(program, x))
