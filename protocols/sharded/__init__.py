"""Sharded inference: a model cut across devices, each answer passed down the line."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from mesh.protocol import Means
from protocols.sharded.line import Engine
from protocols.sharded.protocol import Sharded

__all__ = ["create"]


def create(means: Means) -> Sharded:
    """The entry point: sharded inference on this device's ONNX Runtime, which is loaded when it is first used."""

    async def load(blobs: Sequence[bytes], keep: Collection[str]) -> Engine:
        from protocols.runtimes import onnx

        return await asyncio.to_thread(onnx.load, blobs, keep=keep, threads=means.threads)

    async def measure() -> float:
        from protocols.runtimes import onnx

        return await asyncio.to_thread(onnx.measure, means.threads)

    return Sharded(load, measure, memory=means.memory)
