"""Tensors in transit: what they claim is what they hold."""

from __future__ import annotations

import msgspec
import pytest

from mesh.errors import BadFrame
from mesh.messages import Message, message, pack, unpack
from mesh.tensors import ITEM_BYTES, DType, Tensor, nbytes


@message("test.carry", reveals="the tensors")
class Carry(Message, frozen=True):
    """Some tensors by name."""

    tensors: dict[str, Tensor]


@pytest.mark.parametrize("dtype", ITEM_BYTES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 5)])
def test_tensors_travel_whole(dtype: DType, shape: tuple[int, ...]) -> None:
    """Of every dtype, scalars and empty ones included."""
    items = 1
    for size in shape:
        items *= size
    tensor = Tensor(dtype=dtype, shape=shape, data=memoryview(bytes(items * ITEM_BYTES[dtype])))
    assert {"a": tensor} == unpack(Carry, pack(Carry(tensors={"a": tensor}))).tensors
    assert items * ITEM_BYTES[dtype] == nbytes({"a": tensor})


@pytest.mark.parametrize(
    ("dtype", "shape", "data"),
    [
        ("float32", [2], bytes(7)),
        ("float32", [2], bytes(12)),
        ("float32", [-1], b""),
        ("float32", [-2, -2], bytes(16)),
        ("float32", [2**40 + 1], b""),
        ("float32", [0, 2**39, 2**39], b""),
        ("float32", [0] * 17, b""),
        ("float32", [1] * 17, bytes(4)),
        ("float32", [2**64], b""),
        ("float32", ["2"], bytes(8)),
        ("object", [1], bytes(8)),
        ("float128", [1], bytes(16)),
        ("FLOAT32", [1], bytes(4)),
        ("float32", [1.0], bytes(4)),
    ],
)
def test_a_tensor_that_lies_is_refused(dtype: str, shape: list[object], data: bytes) -> None:
    """Of a size that is not its data's, of a shape that no array has, of a dtype that does not travel."""
    if shape == [2**64]:
        shape = [2**63]
    told = {"tensors": {"a": {"dtype": dtype, "shape": shape, "data": data}}}
    with pytest.raises(BadFrame):
        unpack(Carry, msgspec.msgpack.encode(told))
