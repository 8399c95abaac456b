"""Local work on bits: compiled code for every sort of processor gives what numpy gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.smpc.replicated import choices, gates, slicing
from protocols.smpc.replicated.native.bits import Compiled
from protocols.smpc.replicated.native.library import Level, Library, library

FOUND = library()
LEVELS = [level for level in Level if FOUND is not None and level <= FOUND.level]
needs_library = pytest.mark.skipif(FOUND is None, reason="no compiled kernels here")
ONES = [np.uint64(0), gates.ALL]


def everywhere(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> list[Any]:
    """What numpy gives, and then what compiled code gives at each level that this processor has."""
    assert FOUND is not None
    kernels = [None, *(Compiled(Library(FOUND.loaded, level)) for level in LEVELS)]
    results = []
    for kernel in kernels:
        for module in (choices, gates, slicing):
            monkeypatch.setattr(module, "compiled", lambda kernel=kernel: kernel)
        results.append(work())
    return results


def the_same(results: list[Any]) -> None:
    for result in results[1:]:
        np.testing.assert_array_equal(results[0], result)


def words(seed: int, *shape: int, dtype: Any = np.uint64) -> Any:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@needs_library
@pytest.mark.parametrize("values", [0, 1, 63, 64, 65, 1000, 4096, 10_001])
def test_planes(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    """Any number of values and bits, all columns or some."""
    given_words, columns = words(values, values), slicing.columns_of(values)
    for bits in (1, 2, 8, 9, 16, 17, 31, 32, 33, 63, 64):
        for part in (None, slice(columns // 3, columns)):
            the_same(everywhere(monkeypatch, lambda bits=bits, part=part: slicing.planes(given_words, bits, part)))


@needs_library
@pytest.mark.parametrize("leaf", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("count", [1, 7, 63])
@pytest.mark.parametrize("columns", [1, 16, 37])
def test_groups_of_bits(monkeypatch: pytest.MonkeyPatch, leaf: int, count: int, columns: int) -> None:
    """What rank 0 deals, and what the others make of it, for groups of every size."""
    bits, rows = words(1, count, columns), -(-count // leaf) * (2**leaf - 1)

    def dealt() -> Any:
        into = words(2, rows, columns)
        gates.leaf_deal(bits, leaf, into)
        return into

    the_same(everywhere(monkeypatch, dealt))
    for ones in ONES:
        for wanted in ((True, True), (True, False), (False, True)):
            the_same(
                everywhere(
                    monkeypatch,
                    lambda ones=ones, wanted=wanted: gates.leaf_parts(
                        bits, leaf, wanted, ones, words(3, rows, columns)
                    ),
                )
            )


@needs_library
@pytest.mark.parametrize("join", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("groups", [2, 7, 21])
@pytest.mark.parametrize(("kinds", "wanted"), [(1, 1), (2, 1), (2, 2)])
def test_joined_groups(monkeypatch: pytest.MonkeyPatch, join: int, groups: int, kinds: int, wanted: int) -> None:
    """The same, where groups are joined; with and without carries."""
    for columns in (3, 40):
        nodes, below = -(-groups // join), 2 ** (join - 1)
        rows = nodes * (below - join + wanted * (below - 1) + (below - join if kinds == 2 else 0))
        seen, mask = words(1, 2, kinds, groups, columns)

        def dealt(mask: Any = mask, shape: Any = (rows, columns)) -> Any:
            into = words(2, *shape)
            gates.join_deal(mask, join, wanted, into)
            return into

        the_same(everywhere(monkeypatch, dealt))
        for ones in ONES:
            the_same(
                everywhere(
                    monkeypatch,
                    lambda seen=seen, mask=mask, ones=ones, shape=(rows, columns): gates.join_parts(
                        (seen, mask), join, wanted, ones, words(3, *shape)
                    ),
                )
            )


@needs_library
@pytest.mark.parametrize("size", [0, 1, 64, 65, 1000, 5001])
@pytest.mark.parametrize("stacks", [1, 3])
def test_choices(monkeypatch: pytest.MonkeyPatch, size: int, stacks: int) -> None:
    """Dealing and making choices, and lifting bits."""
    plane = words(0, slicing.columns_of(size))

    def dealt() -> Any:
        flag, value = words(1, size), words(2, stacks, size)
        choices.choose_deal(plane, flag)
        choices.keep(plane, words(3, stacks, size), value)
        return np.vstack([flag[None], value])

    def made() -> Any:
        part, half = words(4, stacks, size), words(5, size)
        choices.choose(plane, words(6, size), words(7, stacks, size), words(8, stacks, size), part)
        choices.lift(plane, half, stacks == 1)
        return np.vstack([half[None], part])

    the_same(everywhere(monkeypatch, dealt))
    the_same(everywhere(monkeypatch, made))


@needs_library
@pytest.mark.parametrize("size", [0, 1, 8, 9, 1000])
@pytest.mark.parametrize(("bits", "dtype"), [(1, np.uint16), (16, np.uint16), (18, np.uint32), (40, np.uint64)])
@pytest.mark.parametrize("rank", [1, 2])
def test_settling(monkeypatch: pytest.MonkeyPatch, size: int, bits: int, dtype: Any, rank: int) -> None:
    """Both ends of a truncation."""
    own, mine, theirs = words(1, 3, -(-size // 8), dtype=np.uint8)

    def settled() -> Any:
        whole = words(2, size)
        clear = choices.settle_begin(whole, words(3, size) if rank == 1 else None, 1 << 62)
        choices.settle_end(whole, bits, rank, (own, mine ^ clear, theirs), words(4, size, dtype=dtype))
        return whole

    the_same(everywhere(monkeypatch, settled))


@given(st.integers(1, 63), st.integers(1, 7))
def test_groups_cover_all_bits(count: int, leaf: int) -> None:
    """However many bits are left over, the groups take in all of them: their parts say whether all are set."""
    a, b = words(count, count, 5), words(leaf, count, 5)
    b[:, 0] = ~a[:, 0]
    groups = -(-count // leaf)
    half = words(9, groups * (2**leaf - 1), 5)
    other = half.copy()
    gates.leaf_deal(a, leaf, other)

    one = gates.leaf_parts(b, leaf, (False, True), gates.ALL, half)
    two = gates.leaf_parts(b, leaf, (False, True), np.uint64(0), other)

    same = np.bitwise_and.reduce(np.bitwise_and.reduce(one ^ two, axis=0), axis=0)
    np.testing.assert_array_equal(np.bitwise_and.reduce(a ^ b, axis=0), same)
