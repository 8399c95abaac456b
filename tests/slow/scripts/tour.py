"""Calls everything that torch.distributed can do with tensors, and prints what came of each call at rank 0."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

Op = dist.ReduceOp


def main() -> None:
    dist.init_process_group(os.environ.get("BACKEND", "gloo"))
    torch.set_num_threads(1)
    tour = Tour()
    for visit in (
        tour.reductions,
        tour.collections,
        tour.messages,
        tour.batches,
        tour.groups,
        tour.objects,
        tour.later,
    ):
        visit()
    dist.monitored_barrier(timeout=timedelta(seconds=100))
    dist.destroy_process_group()


class Tour:
    """Stops are named; what a stop found is printed."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.others = [rank for rank in range(self.size) if rank != self.rank]

    def tell(self, stop: str, *found: torch.Tensor | int) -> None:
        if self.rank == 0:
            told = [(item if isinstance(item, int) else [tuple(item.shape), item.flatten().tolist()]) for item in found]
            print(stop, told, flush=True)

    def mine(self, *shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
        """Values that differ from rank to rank."""
        count = int(torch.tensor(shape).prod())
        return ((torch.arange(count) * 7 + self.rank * 13) % 50 + 1).view(shape).to(dtype)

    def reductions(self) -> None:
        for name in ("SUM", "PRODUCT", "MIN", "MAX", "BAND", "BOR", "BXOR"):
            for count in (1, 40):
                tensor = self.mine(count)
                dist.all_reduce(tensor, getattr(Op, name))
                self.tell(f"all_reduce {name}", tensor)
                tensor = self.mine(count)
                dist.reduce(tensor, 0, getattr(Op, name))
                self.tell(f"reduce {name}", tensor)
        for dtype in (torch.float16, torch.float32, torch.float64, torch.uint8, torch.int8, torch.int32):
            tensor = self.mine(3, 2, dtype=dtype)
            dist.all_reduce(tensor)
            self.tell(f"all_reduce {dtype}", tensor)
        large = self.mine(500_000)
        dist.all_reduce(large)
        self.tell("large", large.sum(), large[::100_000])

    def collections(self) -> None:
        tensor = self.mine(4)
        dist.broadcast(tensor, src=1)
        self.tell("broadcast", tensor)
        outs = [torch.empty(4, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(outs, self.mine(4))
        self.tell("all_gather", *outs)
        whole = torch.empty(4 * self.size, dtype=torch.int64)
        dist.all_gather_into_tensor(whole, self.mine(4))
        self.tell("all_gather_into_tensor", whole)
        dist.gather(self.mine(4), outs if self.rank == 0 else None, dst=0)
        self.tell("gather", *outs)
        parts = [self.mine(4) + part for part in range(self.size)]
        dist.scatter(tensor, parts if self.rank == 2 else None, src=2)
        self.tell("scatter", tensor)
        dist.reduce_scatter(tensor, parts)
        self.tell("reduce_scatter", tensor)
        dist.reduce_scatter_tensor(tensor, torch.cat(parts))
        self.tell("reduce_scatter_tensor", tensor)
        dist.all_to_all_single(whole, torch.cat(parts))
        self.tell("all_to_all_single", whole)
        uneven = torch.empty(6 * self.size, dtype=torch.int64)[: self.size * (self.rank + 1)]
        dist.all_to_all_single(uneven, self.mine(6), [self.rank + 1] * self.size, [1, 2, 3])
        self.tell("uneven all_to_all_single", uneven)

    def messages(self) -> None:
        tensor = self.mine(3, 3)
        if self.rank == 0:
            for other in self.others:
                dist.send(tensor, other, tag=other)
            senders = sorted(int(dist.recv(tensor) or 0) for _ in self.others)
            self.tell("from anybody", *senders)
        else:
            dist.recv(tensor, 0, tag=self.rank)
            dist.send(tensor, 0)
        after, before = (self.rank + 1) % self.size, (self.rank - 1) % self.size
        into = torch.empty(3, 3, dtype=torch.int64)
        works = [dist.isend(self.mine(3, 3), after), dist.irecv(into, before)]
        for work in works:
            if work is not None:
                work.wait()
        self.tell("isend and irecv", into)
        dist.barrier()

    def batches(self) -> None:
        after, before = (self.rank + 1) % self.size, (self.rank - 1) % self.size
        into = torch.empty(5, dtype=torch.int64)
        steps = [dist.P2POp(dist.isend, self.mine(5), after), dist.P2POp(dist.irecv, into, before)]
        for work in dist.batch_isend_irecv(steps):
            work.wait()
        self.tell("batch_isend_irecv", into)
        tensors = [self.mine(2), self.mine(3), self.mine(4)]
        with coalesced():
            for tensor in tensors:
                dist.all_reduce(tensor)
        self.tell("coalesced all_reduce", *tensors)

    def groups(self) -> None:
        pair, alone = dist.new_group([0, 2]), dist.new_group([1])
        tensor = self.mine(3)
        dist.all_reduce(tensor, group=alone if self.rank == 1 else pair)
        self.tell("all_reduce in a pair", tensor)
        if self.rank != 1:
            dist.broadcast(tensor, src=2, group=pair)
        self.tell("broadcast in a pair", tensor, dist.get_group_rank(pair, 2), dist.get_world_size(pair))
        dist.destroy_process_group(pair if self.rank != 1 else alone)

    def objects(self) -> None:
        ours = {"rank": self.rank, "name": ("a", 2.5, None, b"x"), "values": self.mine(3)}
        everyone: list[Any] = [None] * self.size
        dist.all_gather_object(everyone, ours)
        self.tell("all_gather_object", *(one["rank"] for one in everyone), *(one["values"] for one in everyone))
        gathered: list[Any] | None = [None] * self.size if self.rank == 0 else None
        dist.gather_object([self.rank] * self.rank, gathered)
        self.tell("gather_object", *map(len, gathered or []))
        told: list[Any] = [{1, 2}, ours["name"]] if self.rank == 1 else [None, None]
        dist.broadcast_object_list(told, src=1)
        self.tell("broadcast_object_list", len(told[0]), len(told[1]), int(told[1] == ours["name"]))
        part: list[Any] = [None]
        dist.scatter_object_list(part, [10**30, 2, 3] if self.rank == 2 else None, src=2)
        self.tell("scatter_object_list", part[0])
        if self.rank == 0:
            dist.send_object_list([self.mine(2), "word"], 1)
        elif self.rank == 1:
            dist.recv_object_list(told, 0)
            if told[1] != "word":
                raise SystemExit("the word was lost")

    def later(self) -> None:
        outs = [torch.empty(2, dtype=torch.int64) for _ in range(self.size)]
        tensor, other = self.mine(3), self.mine(2)
        begun: list[Callable[[], dist.Work | None]] = [
            lambda: dist.all_reduce(tensor, async_op=True),
            lambda: dist.all_gather(outs, other, async_op=True),
            lambda: dist.barrier(async_op=True),
        ]
        works = [begin() for begin in begun]
        for work in works:
            if work is None or not work.wait() or not work.is_completed():
                raise SystemExit("something begun was not done")
        self.tell("later", tensor, *outs)


@contextmanager
def coalesced() -> Iterator[None]:
    """Several collectives as one."""
    with dist.distributed_c10d._coalescing_manager():
        yield


if __name__ == "__main__":
    main()
