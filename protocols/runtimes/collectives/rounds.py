"""The collectives themselves. All parties are linked with all, so each takes one round of messages, or two if large.

Small tensors go whole from everyone to everyone. Large ones are cut: everyone reduces a part and hands it to the
others, which sends 2 (n - 1) / n times the tensor instead of n - 1 times (Rabenseifner 2004; for broadcasts van de
Geijn 1994). A ring would send no less, in more rounds.

Every rank folds in rank order, or takes over what one rank has folded: all results are the same to the last bit.
Tensors are contiguous here; see `group.py` for those that are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

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
    if _in_parts(talk, tensor):
        parts = _parts(talk, tensor)
        ours = torch.empty_like(parts[talk.circle.rank])
        reduce_scatter(talk, ours, parts, fold)
        talk.flush()
        all_gather(talk, parts, ours)
        return
    folded = torch.empty_like(tensor)
    for other in talk.circle.others:
        talk.send(other, tensor)
    _receive_folded(talk, folded, tensor, fold)
    talk.flush()
    tensor.copy_(folded)


def reduce(talk: Talk, tensor: torch.Tensor, root: int, fold: Fold) -> None:
    """Replace `tensor` at `root` by the fold of everyone's; elsewhere it stays as it is."""
    at_root = talk.circle.rank == root
    if _in_parts(talk, tensor):
        parts = _parts(talk, tensor)
        ours = torch.empty_like(parts[talk.circle.rank])
        reduce_scatter(talk, ours, parts, fold)
        talk.flush()
        gather(talk, parts if at_root else [], ours, root)
    elif at_root:
        folded = torch.empty_like(tensor)
        _receive_folded(talk, folded, tensor, fold)
        tensor.copy_(folded)
    else:
        talk.send(root, tensor)


def reduce_scatter(talk: Talk, out: torch.Tensor, parts: Sequence[torch.Tensor], fold: Fold) -> None:
    """`out` becomes the fold of what everyone holds at our place of `parts`, one part for each rank."""
    for other in talk.circle.others:
        talk.send(other, parts[other])
    _receive_folded(talk, out, parts[talk.circle.rank], fold)


def broadcast(talk: Talk, tensor: torch.Tensor, root: int) -> None:
    """Replace everyone's `tensor` by that of `root`."""
    if _in_parts(talk, tensor):
        parts = _parts(talk, tensor)
        if talk.circle.rank == root:
            for other in talk.circle.others:
                talk.send(other, parts[other])
                talk.send(other, parts[root])
            return
        ours = parts[talk.circle.rank]
        talk.receive(root, ours)
        for other in talk.circle.others:
            if other != root:
                talk.send(other, ours)
        for other in talk.circle.others:
            talk.receive(other, parts[other])
    elif talk.circle.rank == root:
        for other in talk.circle.others:
            talk.send(other, tensor)
    else:
        talk.receive(root, tensor)


def all_gather(talk: Talk, outs: Sequence[torch.Tensor], tensor: torch.Tensor) -> None:
    """Everyone's `tensor`, in rank order."""
    for other in talk.circle.others:
        talk.send(other, tensor)
    for other in talk.circle.others:
        talk.receive(other, outs[other])
    outs[talk.circle.rank].copy_(tensor)


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
    for other in reversed(talk.circle.others):
        talk.receive(other, outs[other])
    outs[talk.circle.rank].copy_(parts[talk.circle.rank])


def barrier(talk: Talk) -> None:
    """Until everyone is here."""
    nothing = torch.empty(0, dtype=torch.uint8)
    for other in talk.circle.others:
        talk.send(other, nothing)
    for other in talk.circle.others:
        talk.receive(other, nothing)


def _in_parts(talk: Talk, tensor: torch.Tensor) -> bool:
    """Among two, one round sends no more than two rounds do."""
    return talk.circle.size > 2 and tensor.nbytes > _LARGE


def _parts(talk: Talk, tensor: torch.Tensor) -> list[torch.Tensor]:
    return list(tensor.view(-1).tensor_split(talk.circle.size))


def _receive_folded(talk: Talk, out: torch.Tensor, ours: torch.Tensor, fold: Fold) -> None:
    """Fold ours and what every other rank sends, in rank order, into `out`, which is not `ours`."""
    room = torch.empty_like(out)
    for rank in range(talk.circle.size):
        part = ours if rank == talk.circle.rank else out if rank == 0 else room
        if rank != talk.circle.rank:
            talk.receive(rank, part)
        if rank:
            fold.take(out, part)
        elif part is ours:
            out.copy_(ours)
    fold.finish(out, talk.circle.size)
