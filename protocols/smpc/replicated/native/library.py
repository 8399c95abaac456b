"""Finds the compiled kernels beside this file, and makes sure that they are the ones this code was written for.

The environment variable `VEILMESH_KERNELS` asks for less than this machine can do: `numpy` for no library at all,
`plain`, `avx2` or `avx512` for code without, or up to, these instructions. It exists for tests and for comparing.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from mesh.errors import ConfigError

__all__ = ["ABI", "Level", "Library", "library", "load", "pointer"]

ABI = 3  # RING_ABI in ring.h
_CHOICES = ("numpy", "plain", "avx2", "avx512")


class Level(IntEnum):
    """Which instructions may be used; each includes those before."""

    PLAIN = 0
    AVX2 = 1
    AVX512 = 2


@dataclass(frozen=True, eq=False)
class Library:
    """The compiled kernels.

    Attributes:
        loaded: whose functions are called without the interpreter's lock.
        level: what to hand to functions that have code for several processors.
    """

    loaded: ctypes.CDLL
    level: Level

    def function(self, name: str, *kinds: Any, gives: Any = None) -> Callable[..., Any]:
        """An exported function with the ctypes kinds of its arguments and of its result. Ask once, and keep it."""
        found: Callable[..., Any] = ctypes.CFUNCTYPE(gives, *kinds)((name, self.loaded))
        return found


@cache
def library() -> Library | None:
    """The kernels that this process uses; None where they were not built, or `VEILMESH_KERNELS` is `numpy`.

    Raises:
        ConfigError: `VEILMESH_KERNELS` is none of the four words.
    """
    wanted = os.environ.get("VEILMESH_KERNELS", "")
    if wanted and wanted not in _CHOICES:
        raise ConfigError(f"VEILMESH_KERNELS is {wanted!r}; it may be {', '.join(_CHOICES)}, or not set at all.")
    if wanted == "numpy":
        return None
    found = load(Path(__file__).parent)
    if found is None or not wanted:
        return found
    return Library(found.loaded, min(found.level, Level[wanted.upper()]))


def load(folder: Path) -> Library | None:
    """The library in a folder, at this processor's best level; None if there is none that fits this code."""
    for path in (folder / f"_ring{suffix}" for suffix in EXTENSION_SUFFIXES):
        if path.is_file():
            try:
                loaded = ctypes.CDLL(str(path))
                fits = loaded.ring_abi() == ABI
            except (OSError, AttributeError):  # built for another machine, or not ours
                continue
            if fits:
                return Library(loaded, Level(loaded.ring_level()))
    return None


def pointer(array: Any) -> int:
    """Where an array's first element is. The array must stay alive for as long as the address is used."""
    address: int = array.ctypes.data
    return address
