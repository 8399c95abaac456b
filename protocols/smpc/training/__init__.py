"""Private training: models learn from shares of data that no device has all of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.protocol import Means
    from protocols.smpc.training.protocol import Training

__all__ = ["create"]


def create(means: Means) -> Training:
    """The entry point. What computes runs in a process of its own, which the engine's other users never see."""
    from protocols.smpc.training.protocol import Training

    return Training(means)
