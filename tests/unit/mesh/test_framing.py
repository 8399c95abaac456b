"""Frames come out of a stream as they went in, however the bytes are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import BadFrame, FrameTooLarge
from mesh.transport.framing import FAREWELL, SIGN_OF_LIFE, Deframer, length_prefix

LIMIT = 4 * 2**20


def feed(deframer: Deframer, data: bytes, cut: random.Random) -> list[bytes]:
    """What comes out when `data` arrives in pieces of any size."""
    frames: list[bytes] = []
    while data:
        room = deframer.room()
        count = min(len(room), len(data), cut.choice([1, 3, 4, 5, 1000, 40_000, 2**20]))
        room[:count] = data[:count]
        frames += map(bytes, deframer.filled(count))
        data = data[count:] if deframer.broken is None else b""
    return frames


def framed(frame: bytes) -> bytes:
    return length_prefix(len(frame)) + frame


sizes = st.sampled_from([1, 2, 5, 100, 65_536, 98_300, 98_304, 98_305, 131_067, 131_068, 131_072, 140_000])


@given(st.lists(sizes, max_size=12), st.randoms(use_true_random=False))
def test_frames_survive_any_cut(lengths: list[int], cut: random.Random) -> None:
    """Small and large frames and signs of life, cut anywhere: the frames come out whole and in order."""
    frames = [bytes([number]) * length for number, length in enumerate(lengths)]
    stream = SIGN_OF_LIFE.join([b"", *map(framed, frames), b""])
    deframer = Deframer(LIMIT)

    assert frames == feed(deframer, stream, cut)
    assert not deframer.farewell
    assert [] == feed(deframer, FAREWELL, cut)
    assert deframer.farewell


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 2**21, 3 * 2**20 + 7, LIMIT])
def test_large_frames_grow_to_their_size(size: int) -> None:
    """A frame of any size up to the limit comes out as it went in."""
    frame = random.Random(size).randbytes(size)
    assert [frame] == feed(Deframer(LIMIT), framed(frame), random.Random(1))


def test_a_claim_costs_little() -> None:
    """A length that is only claimed takes no more than a megabyte of memory, however long it is."""
    deframer = Deframer(2**31)
    feed(deframer, length_prefix(2**31) + b"x", random.Random(1))
    assert len(deframer.room()) < 2**20


@pytest.mark.parametrize("length", [LIMIT + 1, 2**31, 2**32 - 2])
def test_a_length_over_the_limit_is_refused(length: int) -> None:
    """A frame over the limit is refused by its length alone."""
    deframer = Deframer(LIMIT)
    assert [b"before"] == feed(deframer, framed(b"before") + length_prefix(length), random.Random(1))
    assert isinstance(deframer.broken, FrameTooLarge)


def test_nothing_follows_the_last_word() -> None:
    """After the last word, a peer that says more breaks the rules."""
    deframer = Deframer(LIMIT)
    feed(deframer, FAREWELL, random.Random(1))
    assert [] == feed(deframer, framed(b"more"), random.Random(1))
    assert isinstance(deframer.broken, BadFrame)


@given(st.binary(max_size=200).map(lambda data: data.replace(b"\xff", bytes(3))), st.randoms(use_true_random=False))
def test_noise_does_no_harm(noise: bytes, cut: random.Random) -> None:
    """Any bytes give frames within the limit and never more bytes than came."""
    lengths = [len(frame) for frame in feed(Deframer(1000), noise, cut)]
    assert sum(lengths) <= len(noise)
    assert max(lengths, default=0) <= 1000
