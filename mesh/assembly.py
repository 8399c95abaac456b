"""From settings to a running node: the one place where identity, network, store and door meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from mesh.admission.door import open_join_door
from mesh.admission.outcasts import Shunned, publish
from mesh.admission.register import Register
from mesh.admission.renewal import kept_fresh, loaded
from mesh.authority import Authority, secret_in
from mesh.config import NodeConfig
from mesh.contracts import Address, Discovery
from mesh.control import Outcast
from mesh.crier import Crier
from mesh.discovery.doorbell import announced, find_doors
from mesh.discovery.interfaces import choose, local_interfaces
from mesh.discovery.listed import ListedDiscovery, Together, parse_peer
from mesh.discovery.mdns import MdnsDiscovery
from mesh.doors.control import open_control_door
from mesh.doors.views import Insides
from mesh.errors import IdentityError
from mesh.ids import PeerId
from mesh.membership.here import advertised, membership
from mesh.membership.present import Known, Present
from mesh.membership.statements import Facts
from mesh.membership.view import View
from mesh.membership.words import QUESTIONS
from mesh.node import Lends, Node
from mesh.plugins import Installed, load_protocols
from mesh.protocol import Device, Means, Permits
from mesh.resources import Memory
from mesh.showcase import Showcase
from mesh.store.catalogue import Catalogue
from mesh.store.directory import Directory
from mesh.store.ownership import owned
from mesh.store.vault import SealedVault, vault_key
from mesh.transport.http import HttpTransport

__all__ = ["assembled", "binds", "discovery"]

log = logging.getLogger(__name__)

EVERYWHERE = "0.0.0.0"


@asynccontextmanager
async def assembled(config: NodeConfig) -> AsyncIterator[Insides]:
    """A node with its control door, for as long as the context is open.

    Raises:
        ConfigError: a setting does not fit this device, or another node uses the same state or socket.
        IdentityError: there is no identity in the state folder, or none that can be used now.
        StoreError: the state folder cannot be written.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(owned(config.state))
        await stack.enter_async_context(_join_door(config))  # first: it may be ours that has to be renewed there
        look = partial(_doors, config)
        identity = await loaded(config.identity, look)
        has = _Has.of(config)
        installed = load_protocols(config.protocols, has.means)
        for reason in installed.missing.values():
            log.warning("left out: %s", reason)
        transport = HttpTransport(identity, binds(config), heartbeat=config.heartbeat)
        await stack.enter_async_context(kept_fresh(identity, look, transport.refresh))
        node, view = await stack.enter_async_context(_among_others(config, transport, installed, has))
        inside = Insides(
            node=node,
            view=view,
            identity=lambda: transport.identity,
            installed=installed,
            catalogue=has.catalogue,
            store=has.store,
            vault=has.vault,
            memory=has.memory,
            owner=config.owner,
            seats=config.seats,
            started=asyncio.get_running_loop().time(),
        )
        await stack.enter_async_context(open_control_door(config.control, inside))
        yield inside


@dataclass(frozen=True, slots=True)
class _Has:
    """What the device has, whoever it talks to."""

    store: Directory
    catalogue: Catalogue
    vault: SealedVault
    memory: Memory
    means: Means

    @classmethod
    def of(cls, config: NodeConfig) -> _Has:
        store = Directory(config.state / "store")
        catalogue = Catalogue(config.state / "models", store)
        vault = SealedVault(config.state / "vault", vault_key(config.identity))
        means = Means(
            threads=config.threads,
            memory=config.memory,
            owner=config.owner,
            permits=_permits(config),
            model=lambda name: catalogue.find(name).spec,
            vault=vault,
            tables=_tables(config),
        )
        return cls(store, catalogue, vault, Memory(config.memory), means)

    def lent(self, config: NodeConfig) -> Lends:
        return Lends(
            owner=config.owner,
            memory=self.memory.available,
            seats=config.seats,
            store=self.store,
            showcase=Showcase(self.catalogue, self.means.permits, self.vault),
            identity=config.identity,
            listen=binds(config)[0].host,
            boxes=config.box_ports,
        )


@asynccontextmanager
async def _among_others(
    config: NodeConfig, transport: HttpTransport, installed: Installed, has: _Has
) -> AsyncIterator[tuple[Node, View]]:
    """A node that keeps track of who is alive and who is out, and what it believes."""
    shunned = Shunned(config.identity, transport.identity.mesh)
    transport.shunned = shunned.why
    known, heard = Known(config.state / "known.json"), discovery(config)
    others = membership(
        transport,
        lambda: transport.identity,
        lambda incarnation: _facts(config, node, has.memory, incarnation),
        lambda: [*known.sightings, *heard.sightings()],
        lambda: known.note(others.view, transport.peer),
    )
    seen = Present(heard, others.view)
    crier = Crier(shunned, transport, seen.sightings, transport.shun)
    node = Node(
        transport=transport,
        discovery=seen,
        protocols=installed.protocols,
        device=Device(),
        lends=has.lent(config),
        replies={Outcast.kind: crier.reply} | dict.fromkeys(QUESTIONS, others.reply),
    )
    async with node, others.running(), crier.crying():
        yield node, others.view


def _facts(config: NodeConfig, node: Node, memory: Memory, incarnation: int) -> Facts:
    speeds = node.speeds()
    return Facts(
        peer=str(node.peer),
        incarnation=incarnation,
        addresses=advertised(node.addresses, config.interfaces),
        owner=config.owner,
        memory=memory.available(),
        speeds=speeds,
        serves=tuple(speeds),
    )


def binds(config: NodeConfig) -> tuple[Address, ...]:
    """Where to listen. Raises ConfigError where an interface does not exist."""
    hosts = config.listen
    if not hosts and config.interfaces:
        chosen = choose(local_interfaces(), config.interfaces, [IPv4Address(EVERYWHERE)])
        ips = [ip for interface in chosen for ip in interface.ips if ip.version == 4 or not ip.is_link_local]
        # One family is enough for neighbours, and with port 0 each address would get a port of its own.
        hosts = tuple(str(ip) for ip in [ip for ip in ips if ip.version == 4] or ips)
    return tuple(Address(host, config.port) for host in hosts or (EVERYWHERE,))


def discovery(config: NodeConfig) -> Discovery:
    """How peers are found. Raises ConfigError where a listed peer is not written as it should be."""
    listed = ListedDiscovery([parse_peer(text) for text in config.peers])
    if not config.discovery:
        return listed
    return Together(listed, MdnsDiscovery(interfaces=config.interfaces or None))


async def _doors(config: NodeConfig, authority: PeerId) -> list[Address]:
    return await find_doors(authority, config.interfaces or None) if config.discovery else []


@asynccontextmanager
async def _join_door(config: NodeConfig) -> AsyncIterator[None]:
    """Let devices in for as long as the context is open, if the authority's key is here and can be opened."""
    if not (config.authority / "authority.key.pem").exists():
        yield
        return
    try:
        authority = Authority.load(config.authority, passphrase=secret_in(config.passphrase_file))
    except IdentityError as error:
        log.warning("nobody is let in here, and no certificate renewed: %s", error)
        yield
        return
    async with AsyncExitStack() as stack:
        at = Address(binds(config)[0].host, config.join_port)
        register = Register(config.authority)

        def removed() -> None:  # the crier finds it there
            Shunned(config.identity, authority.mesh).take(publish(authority, register))

        addresses = await stack.enter_async_context(open_join_door(authority, register, at, on_removal=removed))
        log.info("letting devices in at %s", ",".join(map(str, addresses)))
        if config.discovery:
            await stack.enter_async_context(announced(authority.id, addresses, config.interfaces or None))
        yield


def _permits(config: NodeConfig) -> Permits:
    offers = tuple((name, who) for name, _, who in (offer.partition("=") for offer in config.offers))
    trains = tuple((name, who) for name, _, who in (word.partition("=") for word in config.trains))
    return Permits(offers, config.receives, config.parties, trains, config.losses)


def _tables(config: NodeConfig) -> dict[str, Path]:
    return {name: Path(file).expanduser() for name, _, file in (word.partition("=") for word in config.tables)}
