"""Private inference on secrets shared among three devices: the engine, programs for it, and the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.protocol import Means
    from protocols.smpc.protocol import Private

__all__ = ["create"]


def create(means: Means) -> Private:
    """The entry point. What computes runs in a process of its own, which the engine's other users never see."""
    from protocols.smpc.protocol import Private

    return Private(means)
