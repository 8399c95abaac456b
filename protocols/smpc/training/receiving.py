"""A receiver's side of private training: it puts the model together from what the three send, and checks shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesh.errors import PeerMisbehaved
from protocols.smpc.circle import Circle
from protocols.smpc.dealing import PIECE, WORD, digest_of, words_of
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.sharing import FixedPoint, recombine
from protocols.smpc.training.models import named_weights
from protocols.smpc.training.roles import Roles
from protocols.smpc.training.spec import TrainingSpec
from protocols.smpc.training.words import Piece

__all__ = ["received_model"]

Named = dict[str, NDArray[np.float32]]


async def received_model(circle: Circle, roles: Roles, spec: TrainingSpec, columns: int) -> Named:
    """The weights by name, as `models.named_weights` names them.

    Args:
        circle: in the scope of results.
        columns: that the model takes.

    Raises:
        BadInput: that many do not go with the plan's network.
        PeerLost: one of the three is gone.
        PeerMisbehaved: two of the three hold different versions of one share, or send something else.
    """
    network = spec.network(columns)
    count = sum(laid.count for laid in network)
    row = np.empty(count, np.uint64)
    for start in range(0, count, PIECE):
        row[start : start + PIECE] = await _piece(circle, roles, min(PIECE, count - start))
    return named_weights(network, FixedPoint(spec.fraction).decode(row))


async def _piece(circle: Circle, roles: Roles, size: int) -> NDArray[np.uint64]:
    said = []
    for rank in roles.parties:
        said.append(await circle.receive(rank, Piece))
        if said[-1].words.nbytes != size * WORD:
            raise PeerMisbehaved(circle.peer(rank), "It sent a piece of something else than the model.")
    shares = [words_of(piece.words).astype("u8") for piece in said]
    for number, piece in enumerate(said):
        following = (number + 1) % PARTIES
        if piece.check != digest_of(shares[following]):
            first, second = (circle.peer(roles.parties[one]) for one in (number, following))
            raise PeerMisbehaved(first, f"Its share of the model and that of {second.short} differ; one is wrong.")
    return recombine(shares)
