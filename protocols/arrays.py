"""Arrays to tensors in transit and back, without copying where the memory allows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mesh.errors import BadInput
from mesh.tensors import ITEM_BYTES, DType, Tensor, Tensors

__all__ = ["Arrays", "array_of", "arrays_of", "tensor_of", "tensors_of"]

Arrays = Mapping[str, NDArray[Any]]
"""Named arrays: a model's inputs or outputs, or what crosses a cut."""


def tensor_of(array: NDArray[Any]) -> Tensor:
    """An array as a tensor. It refers to the array's memory where that is contiguous and little-endian.

    Raises:
        BadInput: items of this dtype do not travel.
    """
    name = array.dtype.name
    if name not in ITEM_BYTES:
        raise BadInput(f"Arrays of {name} do not travel between devices; those that do: {', '.join(ITEM_BYTES)}.")
    flat = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1)
    return Tensor(dtype=cast(DType, name), shape=array.shape, data=flat.view(np.uint8).data)


def array_of(tensor: Tensor) -> NDArray[Any]:
    """A tensor as an array that refers to the tensor's memory: read-only, and perhaps at an odd address."""
    dtype = np.dtype(tensor.dtype).newbyteorder("<")
    return np.frombuffer(tensor.data, dtype=dtype).reshape(tensor.shape)


def tensors_of(arrays: Arrays) -> Tensors:
    """`tensor_of` for each of them. Raises BadInput."""
    return {name: tensor_of(array) for name, array in arrays.items()}


def arrays_of(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """`array_of` for each of them."""
    return {name: array_of(tensor) for name, tensor in tensors.items()}
