"""Only what was declared may leave, and only what was declared is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.blobs import BlobRef
from mesh.errors import BadFrame, Misuse
from mesh.ids import PeerId
from mesh.messages import Message, canonical, from_canonical, message, pack, unpack

A = PeerId.of_key(b"a")


@message("test.note", reveals="the note")
class Note(Message, frozen=True):
    """Everything that a field may be."""

    text: str
    number: int
    ratio: float
    peer: PeerId
    parts: tuple[str, ...]
    data: memoryview


@message("test.loose", reveals="whatever is in it")
class Loose(Message, frozen=True):
    """A field that says too little."""

    anything: Any


@dataclass(frozen=True, slots=True)
class Leaf:
    """Part of a value that is written down."""

    peer: PeerId
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A value that is written down."""

    leaves: tuple[Leaf, ...]
    weights: dict[str, float]


notes = st.builds(
    Note,
    text=st.text(st.characters(exclude_categories=["Cs"])),
    number=st.integers(-(2**63), 2**64 - 1),
    ratio=st.floats(allow_nan=False),
    peer=st.binary().map(PeerId.of_key),
    parts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
    data=st.binary().map(memoryview),
)


@given(notes)
def test_what_is_packed_is_unpacked(note: Note) -> None:
    """Every field arrives with its value and its type."""
    got = unpack(Note, pack(note))
    assert note == got
    assert type(got.peer) is PeerId


def test_large_fields_are_not_copied() -> None:
    """A memoryview refers into the frame that it came in."""
    frame = pack(Note(text="", number=0, ratio=0.0, peer=A, parts=(), data=memoryview(b"x" * 100)))
    assert frame is unpack(Note, frame).data.obj


@pytest.mark.parametrize(
    "changes",
    [
        {"text": 1},
        {"number": "1"},
        {"number": 1.5},
        {"number": True},
        {"number": 2**64},
        {"peer": "nobody"},
        {"peer": A.upper()},
        {"parts": "text"},
        {"parts": [1]},
        {"data": "text"},
        {"extra": 1},
        {"text": None},
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object]) -> None:
    """A field of another type, an unknown field, an id that no key has."""
    fields = {"text": "", "number": 0, "ratio": 0.0, "peer": str(A), "parts": [], "data": b""}
    with pytest.raises((BadFrame, OverflowError)):
        unpack(Note, msgspec.msgpack.encode(fields | changes))


def test_a_missing_field_is_refused() -> None:
    """Nothing has a default on the wire that its declaration does not give it."""
    with pytest.raises(BadFrame, match=r"test\.note"):
        unpack(Note, msgspec.msgpack.encode({"text": ""}))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x81\xa4text\xdb\xff\xff\xff\xff"],
)
def test_forged_lengths_and_depths_cost_nothing(data: bytes) -> None:
    """A hundred thousand levels, or four billion items that never come."""
    with pytest.raises(BadFrame):
        unpack(Note, data)


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(3),
        {"a": np.zeros(3)},
        object(),
        2**70,
        "\ud800",
        memoryview(np.zeros((4, 4))[:, ::2]),
        Leaf,
        {1, object()},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_place_on_the_wire_does_not_leave(value: object) -> None:
    """An array, a model or a data set cannot be sent by accident."""
    with pytest.raises(Misuse, match=r"test\.loose"):
        pack(Loose(anything=value))


@pytest.mark.parametrize("value", [{"text": ""}, np.zeros(3), "text", None, Leaf(A, ())])
def test_only_messages_leave(value: Any) -> None:
    """Whatever else is given, is refused by its type alone."""
    with pytest.raises(Misuse, match="is no message"):
        pack(value)


def test_a_message_must_say_what_it_reveals() -> None:
    """And which protocol it belongs to, and be one."""
    with pytest.raises(Misuse, match="reveals"):
        message("test.x", reveals=" ")
    with pytest.raises(Misuse, match="protocol"):
        message("x", reveals="nothing")
    with pytest.raises(Misuse, match="derive"):
        message("test.x", reveals="nothing")(dict)  # type: ignore[type-var]


@given(
    st.builds(
        Tree,
        leaves=st.lists(
            st.builds(
                Leaf,
                peer=st.binary().map(PeerId.of_key),
                numbers=st.lists(st.integers(-(2**63), 2**64 - 1)).map(tuple),
            ),
            max_size=4,
        ).map(tuple),
        weights=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False, allow_infinity=False)
        ),
    )
)
def test_equal_values_are_written_alike(tree: Tree) -> None:
    """In whatever order a dict was filled; and they are read back."""
    turned = Tree(tree.leaves, dict(reversed(list(tree.weights.items()))))
    assert canonical(tree) == canonical(turned)
    assert tree == from_canonical(Tree, canonical(tree))


@pytest.mark.parametrize(
    "text",
    [
        '{"leaves": [],"weights":{}}',
        '{"weights":{},"leaves":[]}',
        '{"leaves":[],"weights":{},"more":1}',
        '{"leaves":[],"weights":{"b":1.0,"a":1.0}}',
        '{"leaves":[],"weights":{"a":1}}',
        '{"leaves":[{"peer":"nobody","numbers":[]}],"weights":{}}',
        '{"leaves":[{"peer":"' + A + '","numbers":[1' + "0" * 400 + ']}],"weights":{}}',
        '{"leaves":[],"weights":{"a":1e999}}',
        '{"leaves":[],"weights":{"\\ud800":1.0}}',
        '{"leaves":[],"weights":{}',
        "[" * 100_000,
        "",
    ],
)
def test_there_is_one_way_to_write_a_value(text: str) -> None:
    """Other spaces, orders, numbers or fields are another plan than the one that was agreed on."""
    with pytest.raises(BadFrame):
        from_canonical(Tree, text.encode())


def test_a_value_that_contradicts_itself_is_a_bad_frame() -> None:
    """A blob whose chunks do not fit its size does not get in by way of a plan."""
    with pytest.raises(BadFrame):
        from_canonical(BlobRef, b'{"digest":"%s","size":5,"chunks":["%s"]}' % (b"0" * 64, b"0" * 64))


@pytest.mark.parametrize("value", [np.zeros(3), "\ud800", 2**70])
def test_what_cannot_be_written_down_is_our_own_mistake(value: object) -> None:
    """A plan of plain values only."""
    with pytest.raises(Misuse):
        canonical(value)
