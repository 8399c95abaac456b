"""Ports, multicast and peers: whether this device can be found, and reaches those that it should."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from mesh.config import NodeConfig
from mesh.contracts import Address, Sighting
from mesh.discovery.interfaces import Interface, choose, local_interfaces
from mesh.discovery.listed import parse_peer
from mesh.doctor.findings import Finding, fail, ok, warning
from mesh.errors import ConfigError, IdentityError
from mesh.identity import Identity, server_name

__all__ = ["hears_itself", "network", "reached"]

_GROUP, _PORT = "224.0.0.251", 5353
_ANYWHERE = ipaddress.IPv4Address("0.0.0.0")
_HEARING = 1.0
_REACHING = 3.0


async def network(config: NodeConfig, binds: Sequence[Address], *, running: bool) -> AsyncIterator[Finding]:
    """Try it.

    Args:
        binds: where a node here listens.
        running: whether one does just now.
    """
    for address in binds:
        yield _port(address, running=running)
    if config.discovery:
        try:
            interfaces = choose(local_interfaces(), config.interfaces or None, [_ANYWHERE])
        except ConfigError as error:
            yield fail("interfaces", str(error), "mesh up --interface NAME")
            interfaces = []
        for interface in interfaces:
            yield await _multicast(interface)
    for text in config.peers:
        yield await _listed(config, text)


def _port(address: Address, *, running: bool) -> Finding:
    check = f"port {address.port}"
    if running:
        return ok(check, "this device's node listens there")
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address.host, address.port))
        except OSError as error:
            return fail(check, f"{address} cannot be listened at: {error.strerror}", "mesh up --port 0, or another")
    return ok(check, f"{address} is free, and no node runs now")


async def _multicast(interface: Interface) -> Finding:
    check = f"multicast {interface.name}"
    heard = [str(ip) for ip in interface.ips if ip.version == 4]
    if not heard:
        return ok(check, "no IPv4 address; not tried")
    try:
        if await hears_itself(heard[0]):
            return ok(check, f"what this device says on {heard[0]} it hears itself")
    except OSError as error:
        return fail(
            check, f"no multicast on {heard[0]}: {error.strerror}", f"ip link set {interface.name} multicast on"
        )
    cure = "allow UDP port 5353 in the firewall, or name the peers: mesh up --peer ID@HOST:PORT"
    return fail(check, f"what this device says on {heard[0]} does not come back: others will not hear it either", cure)


async def hears_itself(ip: str) -> bool:
    """Whether a question that is sent by multicast from this address comes back to it. Raises OSError."""
    word = secrets.token_hex(8).encode()
    question = bytes(12) + bytes([len(word)]) + word + b"\x05local\x00\x00\x01\x00\x01"
    udp = (socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(*udp) as ear, socket.socket(*udp) as mouth:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        ear.bind((_GROUP, _PORT))
        ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(_GROUP) + socket.inet_aton(ip))
        ear.setblocking(False)
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ip))
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        mouth.sendto(question, (_GROUP, _PORT))
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_HEARING):
                while True:
                    if word in await loop.sock_recv(ear, 9000):
                        return True
    return False


async def _listed(config: NodeConfig, text: str) -> Finding:
    try:
        peer = parse_peer(text)
        identity = await asyncio.to_thread(Identity.load, config.identity)
    except (ConfigError, IdentityError) as error:
        return fail("peers", str(error), "mesh config show")
    check = f"peer {peer.peer.short}"
    troubles = [await reached(identity, peer, address) for address in peer.addresses]
    for address, trouble in zip(peer.addresses, troubles, strict=True):
        if trouble is None:
            return ok(check, f"it answers at {address}, and is who it should be")
    said = "; ".join(f"{address}: {trouble}" for address, trouble in zip(peer.addresses, troubles, strict=True))
    return warning(check, said, "is it up, of the same mesh, and its port open? `mesh doctor` there says more")


async def reached(identity: Identity, peer: Sighting, address: Address) -> str | None:
    """Why the peer was not reached there; None if it was.

    A byte is read before anything is said: under TLS 1.3 a client that is refused thinks at first that it is in.
    """
    try:
        async with asyncio.timeout(_REACHING):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=identity.client_context(), server_hostname=server_name(peer.peer)
            )
            try:
                writer.write(f"GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
                return None if (await reader.read(8)).startswith(b"HTTP/") else "it hung up: it may not believe us"
            finally:
                writer.transport.abort()
    except TimeoutError:
        return f"no answer within {_REACHING:.0f} s"
    except ssl.SSLCertVerificationError as error:
        return f"another device, or another mesh: {error.verify_message or error}"
    except (OSError, ssl.SSLError) as error:
        return os.strerror(error.errno) if error.errno and not isinstance(error, ssl.SSLError) else str(error)
