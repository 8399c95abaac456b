"""Tensors in transit: dtype, shape and little-endian bytes. Knows no numpy, and never pickles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import msgspec

from mesh.errors import BadInput

__all__ = ["DType", "ITEM_BYTES", "MAX_ITEMS", "MAX_RANK", "Tensor", "Tensors", "nbytes"]

DType = Literal[
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"
]

ITEM_BYTES: Mapping[str, int] = {
    "bool": 1, "uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8, "int64": 8,
    "float16": 2, "float32": 4, "float64": 8,
}  # fmt: skip
"""Bytes per item of each dtype that may travel."""

_CODES = {
    "bool": "|b1", "uint8": "|u1", "int8": "|i1", "uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4",
    "uint64": "<u8", "int64": "<i8", "float16": "<f2", "float32": "<f4", "float64": "<f8",
}  # fmt: skip
_NAMES = {code: name for name, code in _CODES.items()}

MAX_RANK = 16
"""Most dimensions a tensor may have."""

MAX_ITEMS = 2**40
"""Most items a tensor may have, dimensions of zero taken for one."""


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array on its way between devices.

    Attributes:
        dtype: what each item is.
        shape: items per dimension; () is a scalar.
        data: the items in C order, little-endian. On arrival it refers into the frame; nothing was copied.

    Raises:
        ValueError: shape and data do not fit each other. On arrival this becomes `BadFrame`.
    """

    dtype: DType
    shape: tuple[int, ...]
    data: memoryview

    def __post_init__(self) -> None:
        # An empty tensor costs nothing to send whatever its other dimensions claim: they are bounded all the same.
        if (
            len(self.shape) > MAX_RANK
            or any(n < 0 for n in self.shape)
            or math.prod(n or 1 for n in self.shape) > MAX_ITEMS
        ):
            raise ValueError(f"no tensor has the shape {self.shape[: MAX_RANK + 1]}")
        expected = math.prod(self.shape) * ITEM_BYTES[self.dtype]
        if self.data.nbytes != expected:
            raise ValueError(f"{self.dtype}{list(self.shape)} takes {expected} bytes, not {self.data.nbytes}")

    @classmethod
    def of(cls, array: object) -> Tensor:
        """An array of any library that describes its arrays as numpy does, or a tensor, which is returned as it is.

        Refers to the array's own memory where that is contiguous.

        Raises:
            BadInput: it is no array, or its items do not travel.
        """
        if isinstance(array, Tensor):
            return array
        described = getattr(array, "__array_interface__", None)
        if not isinstance(described, dict):
            raise BadInput(f"A {type(array).__name__} is no array: give a numpy array or a mesh.Tensor.")
        name = _NAMES.get(described["typestr"])
        if name is None:
            raise BadInput(f"Items of {described['typestr']!r} do not travel: convert them to {', '.join(_CODES)}.")
        held: Any = array
        view = memoryview(held)
        if not (view.c_contiguous and view.nbytes):  # an empty view cannot be cast
            view = memoryview(held.tobytes())
        return cls(cast(DType, name), tuple(described["shape"]), view.cast("B"))

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Makes `numpy.asarray(tensor)` an array that refers to the tensor's memory."""
        return {"version": 3, "shape": self.shape, "typestr": _CODES[self.dtype], "data": self.data}


Tensors = dict[str, Tensor]
"""A model's inputs or outputs, or what crosses a cut, by name."""


def nbytes(tensors: Tensors) -> int:
    """Bytes of data in all of them, names and shapes not counted."""
    return sum(tensor.data.nbytes for tensor in tensors.values())
