"""From settings to a running node: the one place where identity, network, store and door meet."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from mesh.config import NodeConfig
from mesh.contracts import Address, Discovery
from mesh.discovery.interfaces import choose, local_interfaces
from mesh.discovery.listed import ListedDiscovery, Together, parse_peer
from mesh.discovery.mdns import MdnsDiscovery
from mesh.doors.control import open_control_door
from mesh.doors.views import Insides
from mesh.errors import ConfigError
from mesh.identity import Identity
from mesh.node import Lends, Node
from mesh.plugins import Installed, load_protocols
from mesh.protocol import Device, Means
from mesh.resources import Memory
from mesh.store.catalogue import Catalogue
from mesh.store.directory import Directory
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
        stack.enter_context(_owned(config.state))
        identity = await asyncio.to_thread(Identity.load, config.identity)
        store = Directory(config.state / "store")
        memory = Memory(config.memory)
        means = Means(threads=config.threads, memory=config.memory, owner=config.owner)
        installed = load_protocols(config.protocols, means)
        for reason in installed.missing.values():
            log.warning("left out: %s", reason)
        node = await stack.enter_async_context(_node(config, identity, installed, memory, store))
        inside = Insides(
            node=node,
            identity=identity,
            installed=installed,
            catalogue=Catalogue(config.state / "models", store),
            store=store,
            memory=memory,
            owner=config.owner,
            seats=config.seats,
            started=asyncio.get_running_loop().time(),
        )
        await stack.enter_async_context(open_control_door(config.control, inside))
        yield inside


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


def _node(config: NodeConfig, identity: Identity, installed: Installed, memory: Memory, store: Directory) -> Node:
    return Node(
        transport=HttpTransport(identity, binds(config), heartbeat=config.heartbeat),
        discovery=discovery(config),
        protocols=installed.protocols,
        device=Device(),
        lends=Lends(
            owner=config.owner,
            memory=memory.available,
            seats=config.seats,
            store=store,
            identity=config.identity,
            listen=binds(config)[0].host,
        ),
    )


@contextmanager
def _owned(state: Path) -> Iterator[None]:
    """The state folder, made where it is missing, and ours alone for as long as the context is open."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"state: {state} cannot be used ({error.strerror}): choose a folder of yours.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ConfigError(
            f"state: a node runs on {state} already: stop it, or give this one another --state."
        ) from None
    try:
        yield
    finally:
        os.close(handle)
