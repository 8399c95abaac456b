"""The compiled kernels: the same words as numpy's, whatever the shapes, at every level of instructions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import ConfigError, Misuse
from protocols.smpc.replicated.kernels import Geometry
from protocols.smpc.replicated.native.library import Level, Library, library, load
from protocols.smpc.replicated.native.linear import Layout, Linear
from tests.unit.protocols.smpc.test_kernels import EXTREMES, by_definition

BUILT = library()
LEVELS = [Level(level) for level in range(BUILT.level + 1)] if BUILT else []
SIZES = st.one_of(st.integers(0, 9), st.sampled_from([15, 16, 17, 31, 33, 64, 97, 130]))
FEW = st.integers(1, 3)

pytestmark = pytest.mark.skipif(BUILT is None, reason="the kernels were not built here, or VEILMESH_KERNELS is numpy")


def at(level: Level, dtype: type) -> Linear:
    assert BUILT is not None
    return Linear.of(Library(BUILT.loaded, level), np.dtype(dtype))


def words(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Any:
    """Random and extreme ones, mixed."""
    drawn = rng.integers(0, 2**64, shape, np.uint64)
    return np.where(rng.random(shape) < 0.2, rng.choice(np.array(EXTREMES, np.uint64), shape), drawn).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint64, np.uint32])
@settings(deadline=None, max_examples=150)
@given(
    sizes=st.tuples(SIZES, SIZES, st.one_of(SIZES, st.sampled_from([287, 288, 289, 600]))),
    batches=st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 1)]),
    layout=st.tuples(st.sampled_from(["plain", "turned", "sparse", "backwards"]), st.sampled_from(["plain", "turned"])),
    seed=st.integers(0, 99),
)
def test_products_are_numpys(
    dtype: type, sizes: tuple[int, int, int], batches: tuple[int, int], layout: tuple[str, str], seed: int
) -> None:
    """Every word of a product, for any sizes and strides, new or added to what was there."""
    rows, columns, terms = sizes
    rng = np.random.default_rng(seed)
    left = laid(rng, (batches[0], rows, terms), layout[0], dtype)
    right = laid(rng, (batches[1], terms, columns), layout[1], dtype)
    expected = left @ right
    for level in LEVELS:
        onto = expected.copy()

        np.testing.assert_array_equal(expected, at(level, dtype).matmul(left, right))
        np.testing.assert_array_equal(expected + expected, at(level, dtype).matmul(left, right, onto))


def laid(rng: np.random.Generator, shape: tuple[int, int, int], how: str, dtype: type) -> Any:
    batch, rows, columns = shape
    if how == "turned":
        return words(rng, (batch, columns, rows), dtype).swapaxes(1, 2)
    if how == "sparse":
        return words(rng, (batch, 2 * rows, 3 * columns), dtype)[:, ::2, ::3]
    if how == "backwards":
        return words(rng, shape, dtype)[:, ::-1, ::-1]
    return words(rng, shape, dtype)


@pytest.mark.parametrize("dtype", [np.uint64, np.uint32])
@settings(deadline=None, max_examples=100)
@given(
    batch=FEW,
    groups=st.sampled_from([1, 1, 2, 5]),
    each=st.sampled_from([1, 3, 5, 9, 20]),
    depth=FEW,
    plane=st.tuples(st.integers(1, 12), st.integers(1, 19)),
    kernel=st.tuples(FEW, FEW),
    steps=st.tuples(FEW, FEW),
    apart=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    seed=st.integers(0, 99),
)
def test_convolutions_are_their_definition(
    dtype: type,
    batch: int,
    groups: int,
    each: int,
    depth: int,
    plane: Any,
    kernel: Any,
    steps: Any,
    apart: Any,
    seed: int,
) -> None:
    """Every word of a convolution, for any strides, dilations and groups, new or added to what was there."""
    rng = np.random.default_rng(seed)
    size = [side + (taps - 1) * gap for side, taps, gap in zip(plane, kernel, apart, strict=True)]
    planes = words(rng, (batch, groups * depth, *size), dtype)
    weights = words(rng, (groups * each, depth, *kernel), dtype)
    expected = by_definition(planes, weights, Geometry(steps, apart, groups=groups))
    for level in LEVELS:
        linear, layout = at(level, dtype), Layout(steps, apart, groups)

        np.testing.assert_array_equal(expected, linear.convolve(planes, weights, layout))
        np.testing.assert_array_equal(expected * dtype(2), linear.convolve(planes, weights, layout, expected.copy()))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("outputs", [4, 40])
def test_many_windows_come_out_in_their_places(level: Level, outputs: int) -> None:
    """Where windows take many blocks, of several pictures, each result stands where its picture's stands."""
    rng = np.random.default_rng(0)
    planes, weights = words(rng, (3, 2, 27, 31), np.uint64), words(rng, (outputs, 2, 3, 3), np.uint64)

    np.testing.assert_array_equal(
        by_definition(planes, weights, Geometry()),
        at(level, np.uint64).convolve(planes, weights, Layout((1, 1), (1, 1), 1)),
    )


def test_what_does_not_fit_is_refused() -> None:
    """C checks nothing, so whatever would read or write astray is refused before it gets there."""
    linear, one = at(Level.PLAIN, np.uint64), Layout((1, 1), (1, 1), 1)
    zeros = np.zeros((2, 3, 4), np.uint64)
    with pytest.raises(Misuse, match="have no product"):
        linear.matmul(zeros, zeros)
    with pytest.raises(Misuse, match="have no product"):
        linear.matmul(zeros, np.zeros((3, 4, 1), np.uint64))
    with pytest.raises(Misuse, match="uint64 alone"):
        linear.matmul(zeros, np.zeros((2, 4, 1), np.uint32))
    with pytest.raises(Misuse, match="cannot be added"):
        linear.matmul(zeros, np.zeros((2, 4, 1), np.uint64), np.zeros((2, 1, 3), np.uint64))
    with pytest.raises(Misuse, match="cannot be added"):
        linear.matmul(zeros, np.zeros((2, 4, 2), np.uint64), np.zeros((2, 2, 3), np.uint64).swapaxes(1, 2))
    with pytest.raises(Misuse, match="do not fit"):
        linear.convolve(zeros[None], np.zeros((1, 2, 4, 1), np.uint64), one)
    with pytest.raises(Misuse, match="do not fit"):
        linear.convolve(zeros[None], np.zeros((1, 3, 1, 1), np.uint64), one)
    with pytest.raises(Misuse, match="uint64 or uint32"):
        at(Level.PLAIN, float)


def test_a_folder_without_a_library_has_none(tmp_path: Path) -> None:
    """Nothing there, and something there that is no library: both are no library, and no error."""
    assert load(tmp_path) is None
    for path in Path(str(BUILT and BUILT.loaded._name)).parent.glob("_ring*.so"):
        (tmp_path / path.name).write_bytes(b"not a library")
    assert load(tmp_path) is None


@pytest.mark.parametrize("choice", ["numpy", "plain", "avx2", "what"])
def test_the_environment_may_ask_for_less(choice: str) -> None:
    """`VEILMESH_KERNELS` is obeyed, never asks for more than there is, and is refused where it is none of the words."""
    asked = (
        "from protocols.smpc.replicated.native.library import library; found = library(); print(found and found.level)"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked],
        env={**os.environ, "VEILMESH_KERNELS": choice},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    expected = {"numpy": "None", "plain": "0", "avx2": str(min(1, BUILT.level if BUILT else 0)), "what": ""}[choice]
    assert expected == said.stdout.strip()
    assert (ConfigError.__name__ in said.stderr) == (choice == "what")
