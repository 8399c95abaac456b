"""Tensors and arrays are one another's, without the mesh knowing whose arrays they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mesh.errors import BadInput
from mesh.tensors import ITEM_BYTES, Tensor


@pytest.mark.parametrize("dtype", ITEM_BYTES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 3), (2, 0)])
def test_an_array_comes_back_as_it_went(dtype: str, shape: tuple[int, ...]) -> None:
    """Every dtype that travels, of any shape, empty ones included."""
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    back = np.asarray(Tensor.of(array))
    assert (array.dtype, array.shape, array.tobytes()) == (back.dtype, back.shape, back.tobytes())


def test_nothing_is_copied_where_nothing_need_be() -> None:
    """A frame of a camera goes out of the array it lies in, and an answer is looked at where it arrived."""
    array = np.zeros(4, np.float32)
    tensor = Tensor.of(array)
    array[0] = 1.0
    assert 1.0 == np.asarray(tensor)[0]
    assert tensor is Tensor.of(tensor)


@pytest.mark.parametrize("array", [np.arange(12).reshape(3, 4)[:, ::2], np.arange(6).reshape(2, 3).T])
def test_an_array_of_any_layout_is_put_in_order(array: NDArray[np.int64]) -> None:
    """Slices and transposes travel by value."""
    assert array.tolist() == np.asarray(Tensor.of(array)).tolist()


@pytest.mark.parametrize(
    "thing",
    [[1, 2], "text", None, b"bytes", np.zeros(2, ">f4"), np.zeros(2, complex), np.array(["a"]), np.array([None])],
)
def test_what_is_no_array_that_travels_is_refused(thing: object) -> None:
    """In a sentence, and without looking at what it points to."""
    with pytest.raises(BadInput):
        Tensor.of(thing)
