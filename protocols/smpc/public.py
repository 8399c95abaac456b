"""The public beginning of a model, on the device that has the input: what comes out of it is what the three share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from protocols.arrays import Arrays
from protocols.runtimes.onnx import load
from protocols.smpc.asking import Prepare
from protocols.smpc.program.steps import Array

__all__ = ["public_part"]


@asynccontextmanager
async def public_part(model: bytes, wanted: Collection[str]) -> AsyncIterator[Prepare]:
    """A way to turn a model's inputs into those of its secret part, for as long as the context is open.

    Args:
        wanted: what the secret part takes; some of it may be inputs of the model, which go on as they are.

    Raises:
        BadInput: this device's ONNX Runtime cannot run it.
    """
    part = await asyncio.to_thread(load, [model])

    async def prepare(arrays: Arrays) -> dict[str, Array]:
        made = await part.infer({name: arrays[name] for name in part.inputs if name in arrays})
        on = {name: array for name, array in arrays.items() if name in wanted or name not in part.inputs}
        return {**on, **made}

    try:
        yield prepare
    finally:
        part.close()
