"""Objects without pickles: plain data comes out as it went in, all else is refused, and garbage is a sentence."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch", reason="torch comes with the extra 'private'")

from mesh.errors import BadFrame, Misuse
from protocols.runtimes.collectives.objects import pack, unpack

PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text() | some.binary(),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.tuples(inner, inner)
        | some.dictionaries(some.text() | some.integers(), inner, max_size=4)
        | some.sets(some.integers(), max_size=4)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data(thing: Any) -> None:
    """Whatever is made of plain data arrives as it was, types included."""
    got = unpack(pack(thing))

    assert (repr(thing), type(thing)) == (repr(got), type(got)) or thing == got


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_tensors(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Tensors arrive with shape, dtype and every bit, also transposed ones; so do sizes and dtypes themselves."""
    tensor = (torch.arange(12)[: torch.Size(shape).numel()].view(shape) % 5).to(dtype)
    got, other, size, kind = unpack(pack([tensor, tensor.T if tensor.dim() == 2 else tensor, tensor.shape, dtype]))

    assert torch.equal(tensor, got)
    assert torch.equal(tensor.T if tensor.dim() == 2 else tensor, other)
    assert (tensor.shape, dtype, dtype, torch.Size) == (size, kind, got.dtype, type(size))


class Own:
    """Of a class that the receiver may not have, or may have otherwise."""


def test_what_would_have_to_be_pickled() -> None:
    """Objects of classes, functions, modules, subclasses of plain types and what contains itself are refused."""
    endless: list[Any] = []
    endless.append(endless)
    wrong = [Own(), Own, len, datetime, type("List", (list,), {})(), torch.ones(2).to_sparse(), {"a": [Own()]}, endless]
    for thing in wrong:
        with pytest.raises(Misuse, match=r"cannot travel"):
            pack(thing)


@given(some.binary(max_size=60))
def test_garbage(data: bytes) -> None:
    """Bytes of anybody's choosing are either plain data or a sentence."""
    try:
        thing = unpack(data)
    except BadFrame:
        return
    pack(thing)


PICKLE = b"cos\nsystem\n(S'true'\ntR."
"""Runs a program at whoever unpickles it."""


def test_what_liars_say() -> None:
    """Pickles, unknown names, tensors longer than their bytes and nesting without end are refused."""
    lies: list[Any] = [
        ["Own", 1],
        ["Tensor", "float32", [2**40], b""],
        ["Tensor", "float32", [-1, -1], b"1234"],
        ["Tensor", "object", [1], b"12345678"],
        ["dict", [[["list", []], 1]]],
        ["int", "0x", 3],
        ["Size", ["a"]],
        ["Tensor", "float32", [0, 2**62, 2**62], b""],
        datetime.datetime.fromtimestamp(7, datetime.UTC),
        msgspec.msgpack.Ext(7, b"seven"),
        7,
        {"a": 1},
    ]
    deep = b"\x92\xa4list\x91" * 100_000 + b"\xc0"
    for data in (*map(msgspec.msgpack.encode, lies), PICKLE, b"", deep):
        with pytest.raises(BadFrame, match="no object of ours"):
            unpack(data)
