"""A node with a control door, among two others, all in one process: the network is in memory, the socket is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from mesh.authority import Authority
from mesh.blobs import BlobRef
from mesh.client import Client
from mesh.doors.control import open_control_door
from mesh.doors.views import Insides
from mesh.membership.view import View
from mesh.plugins import Installed
from mesh.resources import Memory as Resources
from mesh.store.catalogue import Catalogue, Manifest, Port
from mesh.store.memory import Memory
from mesh.transport.virtual import Link
from mesh.workshop import Prepared
from protocols.echo import Echo
from scenarios.city import City, Equipment
from scenarios.city.virtual import VirtualTier
from tests.harness import toy

__all__ = ["House", "manifest", "open_house", "prepared"]

SAFE = {"where": "elsewhere", "parts": 2}


@dataclass(frozen=True, slots=True)
class House:
    """Attributes:
    control: the socket of device 0.
    client: on that socket.
    """

    control: Path
    city: City
    client: Client
    store: Memory


def manifest(name: str = "toy") -> Manifest:
    """The toy model, as a workshop would describe it."""
    spec = toy.spec()
    return Manifest(
        name=name,
        protocol="sharded",
        source=BlobRef.of(b"the file"),
        blobs=spec.blobs,
        inputs=(Port("v0", "int64", (1,)),),
        outputs=(Port(f"v{toy.SEGMENTS}", "int64", (1,)),),
        spec=msgspec.to_builtins({"model": spec.model, "blobs": spec.blobs}),
        notes={"modes": {"away": SAFE}},
    )


def prepared(name: str = "toy") -> Prepared:
    """The toy model and its blobs."""
    return Prepared(manifest(name), {BlobRef.of(blob).digest: blob for blob in toy.blobs()})


@asynccontextmanager
async def open_house(folder: Path, *, pace: float = 0.001, devices: int = 3) -> AsyncIterator[House]:
    """Three devices, and the door of the first. No device has the toy model to begin with."""
    store = Memory()

    def equip(device: int) -> Equipment:
        equipment: Equipment = toy.equip(pace, parts_from=-1)(device)
        return replace(equipment, store=store) if device == 0 else equipment

    authority = await asyncio.to_thread(Authority.create, folder / "authority", mesh="test")
    identity = await asyncio.to_thread(authority.issue, folder / "identity")
    tier = VirtualTier(Link(delay=0.0, jitter=0.0))
    async with City(tier, devices, equip) as city:
        inside = Insides(
            node=city.nodes[0],
            view=View(),
            identity=lambda: identity,
            installed=Installed((Echo(), *equip(0).protocols), {"smpc": "it needs torch."}),
            catalogue=Catalogue(folder / "models", store),
            store=store,
            memory=Resources(),
            owner="us",
            seats=32,
            started=asyncio.get_running_loop().time(),
        )
        control = folder / "run" / "control.sock"
        async with open_control_door(control, inside):
            yield House(control, city, Client(control), store)
    await asyncio.get_running_loop().shutdown_default_executor()  # its threads would otherwise wait for the loop's end
