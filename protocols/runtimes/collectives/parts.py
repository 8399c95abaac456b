"""Large collectives: every rank looks after a part of the tensor, and parts travel in pieces, so that nobody waits.

Everyone reduces a part and hands it to the others, which sends 2 (n - 1) / n times the tensor instead of n - 1 times
(Rabenseifner 2004; for broadcasts van de Geijn 1994). A ring would send no less, in more rounds.

Pieces are small enough to stay in a processor's cache between the wire and the sum. While one is folded the next is
under way, in both directions, and what is folded leaves at once: the second round begins long before the first ends.
Nothing is copied but the pieces that are folded.

Nobody can wait in a circle: all that the first round sends is handed to the links before anything is awaited, and a
rank overwrites a piece only when what it sent of it has left, which nothing but the taker's own first round decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import torch

from protocols.runtimes.collectives.folding import Fold
from protocols.runtimes.collectives.talk import Leaving, Talk

__all__ = ["all_reduce", "broadcast", "fold_piece", "pieces", "reduce", "send_pieces"]

_PIECE = 256 * 2**10
"""Bytes. Twice as much leaves a small processor's second cache; half as much costs more in turns of Python."""


def pieces(flat: torch.Tensor) -> list[torch.Tensor]:
    """A tensor of shape (size,), cut; everyone cuts alike. What is empty is one piece, and is sent too."""
    values = max(1, _PIECE // flat.element_size())
    return [flat] if flat.numel() <= values else list(flat.split(values))


def send_pieces(talk: Talk, parts: Sequence[torch.Tensor]) -> dict[int, list[Leaving]]:
    """Begin to send every other rank its part, in turns, so that none of them waits for another's."""
    cut = {other: pieces(parts[other].view(-1)) for other in talk.circle.others}
    leaving: dict[int, list[Leaving]] = {other: [] for other in cut}
    for turn in zip_longest(*cut.values()):
        for other, piece in zip(cut, turn, strict=True):
            if piece is not None:
                leaving[other].append(talk.send(other, piece))
    return leaving


def fold_piece(talk: Talk, ours: torch.Tensor, out: torch.Tensor, fold: Fold) -> None:
    """Fold ours and what every other rank sends, in rank order, into `out`, which may be `ours`."""
    circle = talk.circle
    so_far: torch.Tensor | None = None
    room, next_room = torch.empty_like(ours), torch.empty_like(ours) if circle.size > 2 else ours
    for rank in range(circle.size):
        if rank == circle.rank:
            part = ours
        else:
            part = next_room if so_far is room else room
            talk.receive(rank, part)
        last = rank == circle.size - 1
        so_far = part if so_far is None else fold.take(so_far, part, out if last else room)
    if circle.size == 1:
        out.copy_(ours)
    fold.finish(out, circle.size)


def all_reduce(talk: Talk, flat: torch.Tensor, fold: Fold) -> None:
    """Replace `flat`, of shape (size,), by the fold of everyone's."""
    parts = flat.tensor_split(talk.circle.size)
    leaving = send_pieces(talk, parts)
    for piece in pieces(parts[talk.circle.rank]):
        fold_piece(talk, piece, piece, fold)
        for other in talk.circle.others:
            talk.send(other, piece)
    for other, piece, left in _in_turns(talk, parts, leaving):
        talk.await_leaving(left)
        talk.receive(other, piece)


def reduce(talk: Talk, flat: torch.Tensor, root: int, fold: Fold) -> None:
    """Replace `flat`, of shape (size,), at `root` by the fold of everyone's; elsewhere it stays as it is."""
    circle = talk.circle
    parts = flat.tensor_split(circle.size)
    leaving = send_pieces(talk, parts)
    for piece in pieces(parts[circle.rank]):
        folded = piece if circle.rank == root else torch.empty_like(piece)
        fold_piece(talk, piece, folded, fold)
        if circle.rank != root:
            talk.send(root, folded)
    if circle.rank == root:
        for other, piece, left in _in_turns(talk, parts, leaving):
            talk.await_leaving(left)
            talk.receive(other, piece)


def broadcast(talk: Talk, flat: torch.Tensor, root: int) -> None:
    """Replace everyone's `flat`, of shape (size,), by that of `root`: each takes a part from it, and passes it on."""
    circle = talk.circle
    takers = [rank for rank in range(circle.size) if rank != root]
    parts = dict(zip(takers, flat.tensor_split(len(takers)), strict=True))
    if circle.rank == root:
        send_pieces(talk, [parts.get(rank, flat[:0]) for rank in range(circle.size)])
        return
    others = [rank for rank in circle.others if rank != root]
    for piece in pieces(parts[circle.rank]):
        talk.receive(root, piece)
        for other in others:
            talk.send(other, piece)
    for turn in zip_longest(*(pieces(parts[other]) for other in others)):
        for other, piece in zip(others, turn, strict=True):
            if piece is not None:
                talk.receive(other, piece)


def _in_turns(
    talk: Talk, parts: Sequence[torch.Tensor], leaving: dict[int, list[Leaving]]
) -> Iterator[tuple[int, torch.Tensor, Leaving]]:
    """Whose piece comes next, where it belongs, and what must have left that place first."""
    others = talk.circle.others
    for turn in zip_longest(*(zip(pieces(parts[other]), leaving[other], strict=True) for other in others)):
        for other, place in zip(others, turn, strict=True):
            if place is not None:
                yield other, *place
