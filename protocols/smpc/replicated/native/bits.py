"""`bits.c` and `choices.c` for arrays of numpy. Nothing is checked here: `slicing`, `gates` and `choices` do that."""

from __future__ import annotations

from ctypes import c_int, c_int64, c_uint64, c_void_p
from functools import cache
from typing import Any

from protocols.smpc.replicated.native.library import Library, library

__all__ = ["Compiled", "compiled"]

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "planes": (c_void_p, c_int64, c_int64, c_int64, c_int64, c_int64, c_void_p),
    "leaf_deal": (c_void_p, c_int64, c_int64, c_int64, c_void_p),
    "leaf": (c_void_p, c_int64, c_int64, c_int64, c_int, c_int, c_uint64, c_void_p, c_void_p),
    "join_deal": (c_void_p, c_int64, c_int64, c_int64, c_int, c_int, c_void_p),
    "join": (c_void_p, c_void_p, c_int64, c_int64, c_int64, c_int, c_int, c_uint64, c_void_p, c_void_p),
    "choose_deal": (c_void_p, c_int64, c_int64, c_void_p),
    "keep": (c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p),
    "choose": (c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p, c_void_p, c_void_p),
    "lift": (c_void_p, c_int64, c_int64, c_uint64, c_void_p),
    "settle_begin": (c_int64, c_uint64, c_void_p, c_void_p, c_void_p),
    "settle_end": (c_int64, c_int64, c_int64, c_int, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p),
}


class Compiled:
    """The functions of both files, at one level of instructions. Arrays must be contiguous, and as long as C thinks."""

    def __init__(self, found: Library) -> None:
        self._level = int(found.level)
        self._functions = {name: found.function(f"ring_{name}", c_int, *kinds) for name, kinds in _SIGNATURES.items()}

    def __call__(self, name: str, *given: Any) -> None:
        """Arrays are handed over by address; None is no array."""
        self._functions[name](
            self._level, *(each.__array_interface__["data"][0] if hasattr(each, "shape") else each for each in given)
        )


@cache
def compiled() -> Compiled | None:
    """What this process uses; None where numpy does it."""
    found = library()
    return None if found is None else Compiled(found)
