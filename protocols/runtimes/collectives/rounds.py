"""The collectives themselves. All parties are linked with all, so each takes one round of messages, or two if large.

Small tensors go whole from everyone to everyone. Large ones are cut in parts, see `parts.py`.

Every rank folds in rank order, or takes over what one rank has folded: all results are the same to the last bit.
Tensors are contiguous here; see `group.py` for those that are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from protocols.runtimes.collectives import parts as in_parts
from protocols.runtimes.collectives.folding import Fold
from protocols.runtimes.collectives.talk import Talk

__all__ = [
    "all_gather",
    "all_reduce",
    "all_to_all",
    "barrier",
    "broadcast",
    "gather",
    "reduce",
    "reduce_scatter",
    "scatter",
]

_LARGE = 128 * 2**10
"""Bytes above which a second round costs less than sending everything to everyone."""


def all_reduce(talk: Talk, tensor: torch.Tensor, fold: Fold) -> None:
    """Replace `tensor` by the fold of everyone's."""
    if talk.circle.size > 1 and tensor.nbytes > _LARGE:
        in_parts.all_reduce(talk, tensor.view(-1), fold)
        return
    for other in talk.circle.others:
        talk.send(other, tensor)
    folded = torch.empty_like(tensor)
    in_parts.fold_piece(talk, tensor, folded, fold)
    talk.flush()
    tensor.copy_(folded)


def reduce(talk: Talk, tensor: torch.Tensor, root: int, fold: Fold) -> None:
    """Replace `tensor` at `root` by the fold of everyone's; elsewhere it stays as it is."""
    if talk.circle.size > 2 and tensor.nbytes > _LARGE:
        in_parts.reduce(talk, tensor.view(-1), root, fold)
        return
    for piece in in_parts.pieces(tensor.view(-1)):
        if talk.circle.rank == root:
            in_parts.fold_piece(talk, piece, piece, fold)
        else:
            talk.send(root, piece)


def reduce_scatter(talk: Talk, out: torch.Tensor, parts: Sequence[torch.Tensor], fold: Fold) -> None:
    """`out` becomes the fold of what everyone holds at our place of `parts`, one part for each rank.

    `out` may be our own part itself, but shares no memory with those of the others.
    """
    in_parts.send_pieces(talk, parts)
    mine, into = in_parts.pieces(parts[talk.circle.rank].view(-1)), in_parts.pieces(out.view(-1))
    for piece, folded in zip(mine, into, strict=True):
        in_parts.fold_piece(talk, piece, folded, fold)


def broadcast(talk: Talk, tensor: torch.Tensor, root: int) -> None:
    """Replace everyone's `tensor` by that of `root`."""
    if talk.circle.size > 2 and tensor.nbytes > _LARGE:
        in_parts.broadcast(talk, tensor.view(-1), root)
    elif talk.circle.rank == root:
        for other in talk.circle.others:
            talk.send(other, tensor)
    else:
        talk.receive(root, tensor)


def all_gather(talk: Talk, outs: Sequence[torch.Tensor], tensor: torch.Tensor) -> None:
    """Everyone's `tensor`, in rank order."""
    for other in talk.circle.others:
        talk.send(other, tensor)
    outs[talk.circle.rank].copy_(tensor)
    for other in reversed(talk.circle.others):
        talk.receive(other, outs[other])


def gather(talk: Talk, outs: Sequence[torch.Tensor], tensor: torch.Tensor, root: int) -> None:
    """Everyone's `tensor`, in rank order, at `root`; elsewhere `outs` is not looked at."""
    if talk.circle.rank != root:
        talk.send(root, tensor)
        return
    for other in talk.circle.others:
        talk.receive(other, outs[other])
    outs[root].copy_(tensor)


def scatter(talk: Talk, out: torch.Tensor, parts: Sequence[torch.Tensor], root: int) -> None:
    """`out` becomes the part that `root` has for us; elsewhere `parts` is not looked at."""
    if talk.circle.rank != root:
        talk.receive(root, out)
        return
    for other in talk.circle.others:
        talk.send(other, parts[other])
    out.copy_(parts[root])


def all_to_all(talk: Talk, outs: Sequence[torch.Tensor], parts: Sequence[torch.Tensor]) -> None:
    """`outs[r]` becomes what rank r has for us; `parts[r]` is what we have for it. Sizes may differ."""
    for other in talk.circle.others:
        talk.send(other, parts[other])
    outs[talk.circle.rank].copy_(parts[talk.circle.rank])
    for other in reversed(talk.circle.others):
        talk.receive(other, outs[other])


def barrier(talk: Talk) -> None:
    """Until everyone is here."""
    nothing = torch.empty(0, dtype=torch.uint8)
    for other in talk.circle.others:
        talk.send(other, nothing)
    for other in talk.circle.others:
        talk.receive(other, nothing)
