"""Whoever has the model hands it in to the three parties, and is needed no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mesh.ids import Rank
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import MODEL, in_clear, ring_row, unpack_weights
from protocols.smpc.handing import Hander
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.spec import PrivateSpec

__all__ = ["LENDING", "lend"]

LENDING = "model"
"""The scope in which a model is handed in: its owner's words and the asking device's never meet."""


async def lend(
    circle: Circle, spec: PrivateSpec, parties: Sequence[Rank], weights: bytes, entropy: Callable[[int], bytes]
) -> None:
    """Hand in a model, and come back once all three have it.

    Args:
        circle: in the scope `LENDING`.
        weights: as `dealing.pack_weights` wrote them.

    Raises:
        PeerLost: a party is gone.
        BadInput: the weights are those of another program, or too large for the number format.
    """
    ports = spec.program.weights
    arrays = unpack_weights(ports, weights)
    row = ring_row(ports, arrays, FixedPoint(spec.fraction)) if spec.hides_model else in_clear(ports, arrays)
    hander = Hander(circle, parties, entropy)
    await hander.begin()
    async for _ in hander.deal(MODEL, row, secret=spec.hides_model, acknowledged=True):
        pass
