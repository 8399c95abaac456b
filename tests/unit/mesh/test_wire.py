"""Frames to bytes and back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import BadFrame, FrameTooLarge, Misuse
from mesh.wire import Frame, decode, encode

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
GOOD = encode(Frame(("round", "3"), "test.word", b"body"))


@given(st.lists(words, max_size=16).map(tuple), words, st.binary(max_size=200))
def test_a_frame_arrives_as_it_was_sent(scope: tuple[str, ...], kind: str, body: bytes) -> None:
    """Scope, kind and body, whatever is in them."""
    got = decode(encode(Frame(scope, kind, body)))
    assert (scope, kind, body) == (got.scope, got.kind, bytes(got.body))


def test_a_body_is_not_copied() -> None:
    """It refers into what arrived."""
    body = decode(GOOD).body
    assert isinstance(body, memoryview)
    assert GOOD is body.obj


def test_the_limit_is_checked_first() -> None:
    """Before anything in the frame is believed."""
    assert b"body" == bytes(decode(GOOD, limit=len(GOOD)).body)
    with pytest.raises(FrameTooLarge):
        decode(b"x" * len(GOOD), limit=len(GOOD) - 1)


@pytest.mark.parametrize("cut", range(len(GOOD) - 4))
def test_a_frame_cut_in_its_header_is_refused(cut: int) -> None:
    """At any byte."""
    with pytest.raises(BadFrame):
        decode(GOOD[:cut])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200", "not a frame"),
        (b"VEIL\2" + GOOD[5:], "version 2"),
        (GOOD[:6] + b"\xff\xff" + GOOD[8:], "cut short"),
        (GOOD[:6] + b"\0\0" + GOOD[8:], "header"),
        (b"VEIL\1\0\0\1\xc1", "header"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    """The version is named, so that a person knows which device to update."""
    with pytest.raises(BadFrame, match=reason):
        decode(data)


@pytest.mark.parametrize("head", [["a"], [["a"], "k", 1], [[1], "k"], ["a", "k"], [["a"] * 17, "k"], {"scope": []}])
def test_a_header_of_another_shape_is_refused(head: object) -> None:
    """Exactly a scope of at most 16 words, and a kind."""
    header = msgspec.msgpack.encode(head)
    with pytest.raises(BadFrame):
        decode(b"VEIL\1\0" + len(header).to_bytes(2, "big") + header)


@pytest.mark.parametrize("scope", [("x",) * 17, ("x" * 70_000,)])
def test_a_scope_that_nobody_would_take_does_not_leave(scope: tuple[str, ...]) -> None:
    """It is our mistake, and found here rather than held against us there."""
    with pytest.raises(Misuse, match="scope"):
        encode(Frame(scope, "test.word"))
