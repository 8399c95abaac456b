"""Arrays to tensors and back."""

from __future__ import annotations

import numpy as np
import pytest

from mesh.errors import BadInput
from mesh.messages import Message, message, pack, unpack
from mesh.tensors import ITEM_BYTES, Tensor
from protocols.arrays import array_of, arrays_of, tensor_of, tensors_of


@message("test.array", reveals="the array")
class Carry(Message, frozen=True):
    """One tensor."""

    tensor: Tensor


@pytest.mark.parametrize("dtype", ITEM_BYTES)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (4, 0, 2), (1,) * 16])
def test_arrays_come_back_as_they_were(dtype: str, shape: tuple[int, ...]) -> None:
    """Of every dtype and shape, over the wire, at whatever address they lie there."""
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    got = array_of(unpack(Carry, pack(Carry(tensor=tensor_of(array)))).tensor)
    np.testing.assert_array_equal(array, got)
    assert (array.dtype, array.shape) == (got.dtype, got.shape)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.arange(12.0).reshape(3, 4).T,
        np.arange(6, dtype=">i4"),
        np.arange(10)[::-1],
        np.broadcast_to(np.float32(2), (3, 3)),
    ],
    ids=["strided", "turned", "big-endian", "backwards", "broadcast"],
)
def test_any_layout_in_memory_will_do(array: np.ndarray) -> None:
    """What travels is in C order and little-endian."""
    np.testing.assert_array_equal(array, array_of(tensor_of(array)))


def test_nothing_is_copied_where_the_memory_allows_it() -> None:
    """A frame of a camera is large."""
    array = np.zeros((64, 64), np.float32)
    assert np.shares_memory(array, array_of(tensor_of(array)))


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["a"]), np.zeros(1, complex), np.zeros(1, "M8[s]")])
def test_what_does_not_travel_is_refused_by_name(array: np.ndarray) -> None:
    """And the error names what does."""
    with pytest.raises(BadInput, match="float32"):
        tensor_of(array)


def test_names_are_kept() -> None:
    """In both directions."""
    arrays = {"a": np.zeros(2), "b": np.ones((1, 1), np.int8)}
    got = arrays_of(tensors_of(arrays))
    assert list(arrays) == list(got)
    np.testing.assert_array_equal(arrays["b"], got["b"])


def test_what_has_arrived_cannot_be_written_to() -> None:
    """Two readers of one frame do not disturb each other."""
    tensor = unpack(Carry, pack(Carry(tensor=tensor_of(np.zeros(3))))).tensor
    with pytest.raises(ValueError, match="read-only"):
        array_of(tensor)[0] = 1.0
