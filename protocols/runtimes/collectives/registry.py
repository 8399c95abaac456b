"""Makes the backend known to torch.distributed, which keeps one registry a process: once in the life of a box."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch.distributed as dist
from torch.distributed.rendezvous import register_rendezvous_handler

from mesh.errors import Misuse
from mesh.transport.blocking import Links
from protocols.runtimes.collectives.group import MeshGroup
from protocols.runtimes.collectives.objects import carry_objects
from protocols.runtimes.collectives.talk import Circle

__all__ = ["register"]


def register(open_links: Callable[[str], Links]) -> None:
    """From now on `init_process_group("mesh", init_method="mesh://...")` works in this process.

    There is no store that others could reach: none is needed, since every rank knows all others, and groups are told
    apart by their names. The links are closed, with a goodbye, when the default group is destroyed.

    Args:
        open_links: given the whole init method, gives links to all ranks, in rank order.

    Raises:
        RuntimeError: it was registered before in this process.
    """
    desk = _Desk(open_links)
    register_rendezvous_handler("mesh", desk.meet)
    dist.Backend.register_backend("mesh", desk.create, extended_api=True, devices=["cpu"])
    carry_objects()


class _Desk:
    """Where rendezvous leaves the links for the groups that are made next."""

    def __init__(self, open_links: Callable[[str], Links]) -> None:
        self._open_links = open_links
        self._links: Links | None = None

    def meet(self, url: str, **_: object) -> Iterator[tuple[dist.Store, int, int]]:
        self._links = self._open_links(url)
        yield dist.HashStore(), self._links.rank, len(self._links.peers)

    def create(self, options: Any, _: object) -> MeshGroup:
        links = self._links
        if links is None:
            raise Misuse('the mesh backend meets by itself: call init_process_group("mesh", init_method="mesh://...")')
        everyone = not options.global_ranks_in_group
        parties = range(len(links.peers)) if everyone else options.global_ranks_in_group
        circle = Circle.of(links, options.group_id, options.group_rank, parties)
        return MeshGroup(circle, options.timeout.total_seconds(), self._leave if everyone else _stay)

    def _leave(self) -> None:
        if self._links is not None:
            self._links.close()
            self._links = None


def _stay() -> None:
    """What a sub-group does with the links when it ends: nothing."""
