"""A process group as torch.distributed wants it. Puts tensors in order and says who carries a collective out, no more.

What the caller waits for anyway runs in the caller's thread. What was begun with `async_op=True`, and all that torch
begins by itself (DistributedDataParallel does), is carried out in one thread of the group's own, in order. Numbers are
given in the order of the calls, so both kinds may be mixed.
"""

# ruff: noqa: N802 - the names of the methods are torch's
from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch.distributed import ProcessGroup, Work

from mesh.errors import Misuse
from mesh.transport.blocking import Links
from protocols.runtimes.collectives import rounds
from protocols.runtimes.collectives.folding import fold_of
from protocols.runtimes.collectives.talk import Circle, Talk
from protocols.runtimes.collectives.work import Background, Drawn, Finished, Pending, Received, Sent

__all__ = ["MeshGroup"]

Tensors = Sequence[torch.Tensor]


class MeshGroup(ProcessGroup):  # type: ignore[misc]  # torch is not annotated here
    """The group's collectives, under the names that torch.distributed calls.

    Args:
        circle: who is in it.
        timeout: seconds that a peer may be silent where the caller does not say.
        parting: called when the group is shut down.
    """

    def __init__(self, circle: Circle, timeout: float, parting: Callable[[], None]) -> None:
        super().__init__(circle.rank, circle.size)
        self._circle = circle
        self._limit = timeout
        self._parting = parting
        self._background = Background(f"group {circle.mark.hex()}")
        self._calls = 0
        self._names = ["", ""]

    @property
    def links(self) -> Links:
        """What the group speaks over, for programs in the same box that bring a protocol of their own."""
        return self._circle.links

    def getBackendName(self) -> str:
        return "mesh"

    def setGroupName(self, name: str) -> None:
        self._names[0] = name

    def getGroupName(self) -> str:
        return self._names[0]

    def setGroupDesc(self, description: str) -> None:
        self._names[1] = description

    def getGroupDesc(self) -> str:
        return self._names[1]

    def set_timeout(self, timeout: timedelta) -> None:
        self._limit = timeout.total_seconds()

    def shutdown(self) -> None:
        self._background.close()
        self._parting()

    def abort(self) -> None:
        self._circle.links.close(farewell=False)

    def allreduce(self, tensors: Tensors, opts: Any) -> Work:
        folds = [fold_of(opts.reduceOp, tensor.dtype) for tensor in tensors]

        def act(talk: Talk) -> None:
            for tensor, fold in zip(tensors, folds, strict=True):
                with _Dense([tensor], []) as ((dense,), _):
                    rounds.all_reduce(talk, dense, fold)

        return self._carry_out(act, tensors, opts)

    allreduce_coalesced = allreduce

    def reduce(self, tensors: Tensors, opts: Any) -> Work:
        tensor = _only(tensors)
        fold = fold_of(opts.reduceOp, tensor.dtype)

        def act(talk: Talk) -> None:
            with _Dense([tensor], []) as ((dense,), _):
                rounds.reduce(talk, dense, opts.rootRank, fold)

        return self._carry_out(act, tensors, opts)

    def broadcast(self, tensors: Tensors, opts: Any) -> Work:
        def act(talk: Talk) -> None:
            for tensor in tensors:
                with _Dense([tensor], []) as ((dense,), _):
                    rounds.broadcast(talk, dense, opts.rootRank)

        return self._carry_out(act, tensors, opts)

    def allgather(self, outs: Sequence[Tensors], tensors: Tensors, opts: Any) -> Work:
        def act(talk: Talk) -> None:
            for places, tensor in zip(outs, tensors, strict=True):
                with _Dense(places, [tensor]) as (dense, (source,)):
                    rounds.all_gather(talk, dense, source)

        return self._carry_out(act, [place for places in outs for place in places], opts)

    def allgather_coalesced(self, outs: Sequence[Tensors], tensors: Tensors, opts: Any) -> Work:
        """As `allgather`: `outs[i][r]` becomes rank r's `tensors[i]`."""
        by_tensor = outs if len(outs) == len(tensors) else list(zip(*outs, strict=True))
        return self.allgather(by_tensor, tensors, opts)

    def all_gather_single(self, out: torch.Tensor, tensor: torch.Tensor, opts: Any) -> Work:
        return self.all_gather_single_coalesced([out], [tensor], opts)

    def all_gather_single_coalesced(self, outs: Tensors, tensors: Tensors, opts: Any) -> Work:
        def act(talk: Talk) -> None:
            for out, tensor in zip(outs, tensors, strict=True):
                with _Dense([out], [tensor]) as ((dense,), (source,)):
                    rounds.all_gather(talk, _rows(dense, self.size()), source.view(-1))

        return self._carry_out(act, outs, opts)

    def gather(self, outs: Sequence[Tensors], tensors: Tensors, opts: Any) -> Work:
        places = outs[0] if self.rank() == opts.rootRank else []

        def act(talk: Talk) -> None:
            with _Dense(places, tensors) as (dense, (source,)):
                rounds.gather(talk, dense, source, opts.rootRank)

        return self._carry_out(act, places, opts)

    def scatter(self, outs: Tensors, tensors: Sequence[Tensors], opts: Any) -> Work:
        sources = tensors[0] if self.rank() == opts.rootRank else []

        def act(talk: Talk) -> None:
            with _Dense(outs, sources) as ((dense,), parts):
                rounds.scatter(talk, dense, parts, opts.rootRank)

        return self._carry_out(act, outs, opts)

    def reduce_scatter(self, outs: Tensors, tensors: Sequence[Tensors], opts: Any) -> Work:
        def act(talk: Talk) -> None:
            for out, sources in zip(outs, tensors, strict=True):
                with _Dense([out], sources) as ((dense,), parts):
                    rounds.reduce_scatter(talk, dense, parts, fold_of(opts.reduceOp, out.dtype))

        return self._carry_out(act, outs, opts)

    def reduce_scatter_single(self, out: torch.Tensor, tensor: torch.Tensor, opts: Any) -> Work:
        return self.reduce_scatter_single_coalesced([out], [tensor], opts)

    def reduce_scatter_single_coalesced(self, outs: Tensors, tensors: Tensors, opts: Any) -> Work:
        parts = [_rows(tensor.contiguous(), self.size()) for tensor in tensors]
        return self.reduce_scatter([out.view(-1) for out in outs], parts, opts)

    def alltoall(self, outs: Tensors, tensors: Tensors, opts: Any) -> Work:
        def act(talk: Talk) -> None:
            with _Dense(outs, tensors) as (dense, parts):
                rounds.all_to_all(talk, dense, parts)

        return self._carry_out(act, outs, opts)

    def all_to_all_single(
        self, out: torch.Tensor, tensor: torch.Tensor, out_sizes: list[int], sizes: list[int], opts: Any
    ) -> Work:
        def act(talk: Talk) -> None:
            with _Dense([out], [tensor]) as ((dense,), (source,)):
                rounds.all_to_all(talk, _split(dense, out_sizes, self.size()), _split(source, sizes, self.size()))

        return self._carry_out(act, [out], opts)

    def barrier(self, opts: Any) -> Work:
        return self._carry_out(rounds.barrier, [], opts)

    def send(self, tensors: Tensors, to: int, tag: int) -> Work:
        tensor = _contiguous(_only(tensors).detach())
        ticket = self._circle.send(to, tensor, self._circle.tagged(tag))
        return Finished(tensors) if ticket is None else Sent(self._circle, to, ticket, tensor, self._limit)

    def recv(self, tensors: Tensors, sender: int, tag: int) -> Work:
        tensor, into = _place(tensors)
        return Received(self._circle.post(sender, into, self._circle.tagged(tag)), sender, into, tensor, self._limit)

    def recv_anysource(self, tensors: Tensors, tag: int) -> Work:
        """From whichever member is first. Once it is here, `source_rank` says who that was."""
        tensor, into = _place(tensors)
        return Drawn(self._circle, self._circle.post_any(into, self._circle.tagged(tag)), into, tensor, self._limit)

    def _carry_out(self, act: Callable[[Talk], None], tensors: Tensors, opts: Any) -> Work:
        seconds: float = opts.timeout.total_seconds()
        talk = Talk(self._circle, self._circle.label(self._calls), seconds if seconds > 0 else self._limit)
        self._calls += 1

        def run() -> None:
            with torch.no_grad(), talk:
                act(talk)

        if opts.asyncOp:
            work = Pending(run, tensors)
            self._background.begin(work)
            return work
        run()
        return Finished(tensors)


class _Dense:
    """The same tensors, contiguous: those to be written are copied back on leaving, unless something went wrong."""

    __slots__ = ("_dense", "_sources", "_written")

    def __init__(self, written: Tensors, read: Tensors) -> None:
        self._written = [tensor.detach() for tensor in written]
        self._dense = [_contiguous(tensor) for tensor in self._written]
        self._sources = [_contiguous(tensor.detach()) for tensor in read]

    def __enter__(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        return self._dense, self._sources

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for written, dense in zip(self._written, self._dense, strict=True):
                if dense is not written:
                    written.copy_(dense)


def _contiguous(tensor: torch.Tensor) -> torch.Tensor:
    _refuse_scattered(tensor)
    return tensor.contiguous()


def _refuse_scattered(tensor: torch.Tensor) -> None:
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        raise Misuse(f"only dense tensors on the processor travel, not {tensor.layout} on {tensor.device}")


def _only(tensors: Tensors) -> torch.Tensor:
    if len(tensors) != 1:
        raise Misuse(f"one tensor at a time, not {len(tensors)}: a device here is one processor")
    return tensors[0]


def _place(tensors: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """A tensor to be written, and a contiguous one that a message can arrive in, which is the same if it can be."""
    tensor = _only(tensors).detach()
    _refuse_scattered(tensor)
    if tensor.is_contiguous():
        return tensor, tensor
    return tensor, torch.empty_like(tensor, memory_format=torch.contiguous_format)


def _rows(tensor: torch.Tensor, size: int) -> list[torch.Tensor]:
    if tensor.numel() % size:
        raise Misuse(f"a tensor of {tensor.numel()} values cannot be cut in {size} equal parts")
    return list(tensor.view(size, -1))


def _split(tensor: torch.Tensor, sizes: list[int], size: int) -> list[torch.Tensor]:
    if not sizes and tensor.shape[0] % size:
        raise Misuse(f"{tensor.shape[0]} rows cannot be cut in {size} equal parts: give split sizes")
    return list(tensor.split(sizes or tensor.shape[0] // size))
