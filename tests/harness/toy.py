"""A toy model of whole numbers, cut into segments, whose every answer is known; and devices that run it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesh.blobs import BlobRef
from mesh.protocol import Job
from mesh.store.memory import Memory
from mesh.tensors import Tensors
from protocols.arrays import arrays_of, tensors_of
from protocols.echo import Echo
from protocols.sharded.protocol import Sharded, ShardedSpec
from protocols.sharded.segments import ModelInfo, SegmentInfo, TensorInfo, ValueInfo
from scenarios.city import Equipment

__all__ = ["SEGMENTS", "blobs", "equip", "expected", "job", "request_of", "spec", "value_of"]

SEGMENTS = 6


def blobs() -> list[bytes]:
    """Segment i takes value i and makes value i + 1: three times as much, and i more."""
    return [f"toy segment {index}".encode() for index in range(SEGMENTS)]


def spec(**changes: Any) -> ShardedSpec:
    """The toy model, and how it may be spread."""
    segments = tuple(
        SegmentInfo(hashlib.sha256(blob).hexdigest(), len(blob), 100, 10, 1000, 0.1, (index,))
        for index, blob in enumerate(blobs())
    )
    values = tuple(ValueInfo(f"v{index}", 8) for index in range(SEGMENTS + 1))
    model = ModelInfo(
        (TensorInfo("v0", "int64", (1,)),), (TensorInfo(f"v{SEGMENTS}", "int64", (1,)),), values, segments, 1e4
    )
    return ShardedSpec(model, tuple(BlobRef.of(blob) for blob in blobs()), **changes)


def job(deadline: float = 60.0, **changes: Any) -> Job:
    """The toy model as a job."""
    return Job("sharded", spec(**changes), deadline)


def request_of(value: int) -> Tensors:
    """One number as the model's input."""
    return tensors_of({"v0": np.array([value], np.int64)})


def value_of(answer: Tensors) -> int:
    """The number that an answer holds."""
    return int(arrays_of(answer)[f"v{SEGMENTS}"][0])


def expected(value: int) -> int:
    """What the whole model makes of a number."""
    for index in range(SEGMENTS):
        value = 3 * value + index
    return value


class _Engine:
    def __init__(self, indexes: Sequence[int], pace: float) -> None:
        self._indexes = indexes
        self._pace = pace

    @property
    def inputs(self) -> Collection[str]:
        return [f"v{self._indexes[0]}"]

    async def infer(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        value = feeds[f"v{self._indexes[0]}"]
        for index in self._indexes:
            await asyncio.sleep(self._pace)
            value = 3 * value + index
        return {f"v{self._indexes[-1] + 1}": value}

    def close(self) -> None: ...


def equip(pace: float, *, parts_from: int = 0) -> Any:
    """Devices that know echo and the toy model; device `parts_from` has the segments to begin with.

    Args:
        pace: seconds that one segment takes.
    """

    async def load(pieces: Sequence[bytes], keep: Collection[str]) -> _Engine:
        await asyncio.sleep(pace)
        return _Engine([int(piece.split()[-1]) for piece in pieces], pace)

    async def measure() -> float:
        return 1e4

    def equipment(device: int) -> Equipment:
        store = Memory()
        if device == parts_from:
            for blob in blobs():
                store.add(blob)
        return Equipment([Echo(), Sharded(load, measure)], owner=f"owner {device}", store=store)

    return equipment
