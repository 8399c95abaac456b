"""Where an authority lets devices in: announced by multicast DNS under the hash of its key, which tokens carry.

Announced only while there is a door. Whoever hears it learns that this device holds an authority's key, and where;
whoever answers to the name proves that key before anything is sent.
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import zeroconf
from zeroconf.asyncio import AsyncServiceInfo

from mesh.contracts import Address
from mesh.discovery.interfaces import choose, local_interfaces, on_link
from mesh.discovery.multicast import CURE, MULTICAST, daemon_on, described, literal
from mesh.errors import ConfigError
from mesh.ids import PeerId

__all__ = ["SERVICE", "announced", "find_doors"]

SERVICE = "_veilmesh-join._tcp.local."

ASKING = 3.0
"""Seconds that a device listens for a door."""

_ANYWHERE = (ipaddress.IPv4Address("0.0.0.0"),)


@asynccontextmanager
async def announced(
    authority: PeerId, addresses: Sequence[Address], interfaces: Sequence[str] | None = None
) -> AsyncIterator[None]:
    """Be found under the authority's hash for as long as the context is open. Raises ConfigError: no multicast here."""
    chosen = choose(local_interfaces(), interfaces, [literal(address) for address in addresses])
    daemon = daemon_on(chosen)
    try:
        info = described(SERVICE, authority, addresses, chosen)
        await (await daemon.async_register_service(info, cooperating_responders=True))
        yield
    except (OSError, zeroconf.Error) as error:
        raise ConfigError(f"cannot announce the join door by mDNS ({error}): {CURE}") from error
    finally:
        await daemon.async_close()


async def find_doors(
    authority: PeerId, interfaces: Sequence[str] | None = None, *, within: float = ASKING
) -> list[Address]:
    """Where the authority's door may be; nothing if nobody says. Raises ConfigError: no multicast here."""
    chosen = choose(local_interfaces(), interfaces, _ANYWHERE)
    daemon = daemon_on(chosen)
    try:
        info = AsyncServiceInfo(SERVICE, f"{authority}.{SERVICE}")
        if not await info.async_request(daemon.zeroconf, timeout=1000 * within, question_type=MULTICAST):
            return []
        claimed = [ipaddress.ip_address(packed) for packed in info.addresses_by_version(zeroconf.IPVersion.All)]
        return [Address(str(ip), info.port or 0) for ip in claimed if info.port and on_link(ip, chosen)]
    except (OSError, zeroconf.Error) as error:
        raise ConfigError(f"cannot look for the join door by mDNS ({error}): {CURE}") from error
    finally:
        await daemon.async_close()
