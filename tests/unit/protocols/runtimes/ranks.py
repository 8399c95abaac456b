"""Ranks of a group as threads of one process, over real links and real TLS, and what to give them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch", reason="torch comes with the extra 'private'")

from mesh.authority import Authority
from mesh.identity import Identity
from mesh.ids import SessionId
from mesh.transport.blocking import Links, Listener
from protocols.runtimes.collectives.group import MeshGroup
from protocols.runtimes.collectives.talk import Circle

T = TypeVar("T")


def issue(folders: pytest.TempPathFactory, size: int) -> list[Identity]:
    """So many devices of one mesh."""
    folder = folders.mktemp("mesh")
    authority = Authority.create(folder / "authority", mesh="collectives")
    return [authority.issue(folder / str(rank)) for rank in range(size)]


def open_links(identities: list[Identity]) -> list[Links]:
    listeners = [Listener() for _ in identities]
    roster = [(me.peer, listener.address) for me, listener in zip(identities, listeners, strict=True)]
    opening = [
        functools.partial(Links.open, me, roster, session=SessionId("0" * 32), listener=listener)
        for me, listener in zip(identities, listeners, strict=True)
    ]
    return together(*opening)


def start_threads(links: Links) -> None:
    """Whatever threads these links may ever need are there before a test begins."""
    others = [peer for peer in links.peers if peer != links.peers[links.rank]]
    receipts = [links.post(peer, bytearray(2**21)) for peer in others]
    for peer in others:
        links.send(peer, bytes(2**21))
    for receipt in receipts:
        receipt.wait()


def groups_over(links: list[Links], name: str, parties: Any) -> list[MeshGroup]:
    return [
        MeshGroup(Circle.of(links[party], name, rank, parties), 20.0, lambda: None)
        for rank, party in enumerate(parties)
    ]


def together(*acts: Callable[[], T]) -> list[T]:
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(act) for act in acts]]


def everywhere(groups: list[MeshGroup], act: Callable[[MeshGroup], T]) -> list[T]:
    """What `act` returns at every rank."""
    return together(*(functools.partial(act, group) for group in groups))


def options(kind: Any, **settings: Any) -> Any:
    made = kind()
    made.asyncOp = settings.pop("later", False)
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def values(rank: int, size: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    source = torch.Generator().manual_seed(rank)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(size, generator=source).to(dtype)
    return torch.randint(0, 2 if dtype is torch.bool else 100, (size,), generator=source).to(dtype)
