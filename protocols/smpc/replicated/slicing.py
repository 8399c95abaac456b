"""Words to bit planes and back: 64 values side by side, so that one word operation works on one bit of all of them.

n values lie in ceil(n / 64) columns: value number i * columns + j is bit i of word j of every plane (its lane). So the
values of one lane are neighbours, and a 64 x 64 bit transposition (Warren, Hacker's Delight, 7-3) is six steps over
whole rows: 7 ns a value in numpy on a core without AVX-512 in blocks of 2,048 columns, 14 in blocks of 256, and 1 to 2
in compiled code (`native`), where there is some.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.native.bits import compiled

__all__ = ["WORD", "blocks", "columns_of", "gathered", "planes", "spread"]

WORD = 64
_BLOCK = 2048  # columns worked on at a time: long rows weigh more in numpy than a smaller cache
_STEPS = (
    (32, 0x00000000FFFFFFFF),
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def columns_of(values: int) -> int:
    """How many words a plane of that many values has."""
    return -(-values // WORD)


def blocks(columns: int, width: int = _BLOCK) -> Iterator[slice]:
    """The columns in pieces that stay in a cache while they are worked on."""
    return (slice(start, min(start + width, columns)) for start in range(0, columns, width))


def planes(values: Words, bits: int, part: slice | None = None) -> Words:
    """The lowest `bits` bits of (n,) 64-bit words, contiguous, as (bits, columns) planes, the least significant first.

    Args:
        part: which of the columns; all, if not given.
    """
    columns = columns_of(values.size)
    start, stop = (part.start, part.stop) if part else (0, columns)
    out: Words = np.empty((bits, stop - start), np.uint64)
    if (native := compiled()) is not None:
        native("planes", values, values.size, columns, start, stop - start, bits, out)
        return out
    padded = values
    if values.size != WORD * columns:
        padded = np.zeros(WORD * columns, np.uint64)
        padded[: values.size] = values
    rows = padded.reshape(WORD, columns)[:, start:stop]
    for piece in blocks(stop - start):
        out[:, piece] = _transposed(rows[:, piece].copy(), bits)
    return out


def spread(plane: Words, values: int) -> Words:
    """One plane as (values,) words, all ones where the bit is set and zero where it is not."""
    shifts = np.arange(WORD - 1, -1, -1, dtype=np.uint64)[:, None]
    raised: Words = np.left_shift(plane[None], shifts)
    signs = raised.view(np.int64)
    np.right_shift(signs, WORD - 1, out=signs)
    return raised.reshape(-1)[:values]


def gathered(flags: Words) -> Words:
    """The lowest bits of (n,) words as one plane: what `spread` takes apart."""
    rows = np.zeros(WORD * columns_of(flags.size), np.uint64)
    rows[: flags.size] = flags & np.uint64(1)
    lanes = rows.reshape(WORD, -1) << np.arange(WORD, dtype=np.uint64)[:, None]
    return np.asarray(np.bitwise_or.reduce(lanes, axis=0))


def _transposed(block: Words, bits: int) -> Words:
    """(64, m) words to (bits, m) planes, in place. Halves that nobody asked for are dropped as soon as they can be."""
    spare: Words = np.empty((WORD // 2, block.shape[-1]), np.uint64)
    for step, mask in _STEPS:
        pairs = block.reshape(-1, 2, step, block.shape[-1])
        low, high = pairs[:, 0], pairs[:, 1]
        mixed = spare[: len(block) // 2].reshape(low.shape)
        np.right_shift(low, np.uint64(step), out=mixed)
        mixed ^= high
        mixed &= np.uint64(mask)
        wanted = bits > step or len(pairs) > 1
        if wanted:
            high ^= mixed
        mixed <<= np.uint64(step)
        low ^= mixed
        if not wanted:
            block = low[0]
    return block[:bits]
