"""How CrypTen's scripts say where a kernel lies: numbers or pairs, and torch's order of padding."""

from __future__ import annotations

from typing import Any

from mesh.errors import BadInput
from protocols.smpc.replicated.kernels import Geometry

__all__ = ["as_pair", "geometry_of", "window_count"]


def as_pair(size: Any, ahead: int | None = None) -> tuple[int, int]:
    """One number or two as two. With `ahead`: that number and the one given, for planes of height 1."""
    if isinstance(size, int | float):
        return (int(size) if ahead is None else ahead, int(size))
    numbers = [int(number) for number in size]
    if ahead is not None and len(numbers) == 1:
        return ahead, numbers[0]
    if len(numbers) == 1:
        return numbers[0], numbers[0]
    if len(numbers) != 2:
        raise BadInput(f"One number or two say how a kernel lies on a plane, not {numbers}.")
    return numbers[0], numbers[1]


def geometry_of(stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Geometry:
    """As the engine has it."""
    down, across = as_pair(padding)
    return Geometry(as_pair(stride), as_pair(dilation), (down, across, down, across), groups)


def window_count(size: int, kernel: int, padding: int, stride: int, dilation: int, *, ceil: bool) -> int:
    """How many windows fit along an axis; with `ceil`, also those that begin inside and reach out (torch's rule)."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = -(-room // stride) + 1 if ceil else room // stride + 1
    return count - 1 if ceil and (count - 1) * stride >= size + padding else count
