"""What every use of multicast DNS here needs: a daemon on the right interfaces, and a service described."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence

import zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from mesh.contracts import Address
from mesh.discovery.interfaces import Interface, IpAddress
from mesh.errors import ConfigError

__all__ = ["CURE", "LIFETIME", "MULTICAST", "daemon_on", "described", "literal"]

LIFETIME = 1200
"""Seconds after which a device that has not been heard of is forgotten."""

# A unicast answer would go to any one of the programs that share the port on this device.
MULTICAST = zeroconf.DNSQuestionType.QM

CURE = "check that the network carries multicast and others share port 5353, or name the peers in the configuration."

_log = logging.getLogger(__name__)


def daemon_on(interfaces: Sequence[Interface]) -> AsyncZeroconf:
    """Listens and speaks on these interfaces. Raises ConfigError: it cannot."""
    speaking = [str(_best(interface)) for interface in interfaces]
    versions = {ipaddress.ip_address(text).version for text in speaking}
    version = zeroconf.IPVersion.V4Only if versions == {4} else zeroconf.IPVersion.All
    try:
        return AsyncZeroconf(interfaces=speaking, ip_version=version)
    except (OSError, zeroconf.Error, RuntimeError) as error:
        raise ConfigError(f"cannot listen for mDNS on {', '.join(speaking)} ({error}): {CURE}") from error


def _best(interface: Interface) -> IpAddress:
    return min(interface.ips, key=lambda ip: ip.version)


def described(
    service: str, name: str, addresses: Sequence[Address], interfaces: Sequence[Interface]
) -> AsyncServiceInfo:
    """`<name>.<service>` at the port of the first of these addresses. Raises ConfigError as `literal` does."""
    listening, port = [literal(address) for address in addresses], addresses[0].port
    if any(address.port != port for address in addresses):
        _log.warning("mDNS tells of one port only: of %s, the first", ", ".join(map(str, addresses)))
    here = [ip for ip, address in zip(listening, addresses, strict=True) if address.port == port]
    if any(ip.is_unspecified for ip in here):
        here = [ip for interface in interfaces for ip in interface.ips]
    return AsyncServiceInfo(
        service,
        f"{name}.{service}",
        port=port,
        addresses=[ip.packed for ip in here],
        server=f"{name}.local.",
        properties=b"\x00",  # an empty TXT record, as RFC 6763 spells it
        other_ttl=LIFETIME,
    )


def literal(address: Address) -> IpAddress:
    """An address as a number. Raises ConfigError: it is a name."""
    try:
        return ipaddress.ip_address(address.host)
    except ValueError:
        raise ConfigError(f"mDNS announces addresses, and {address.host!r} is a name: listen at an address.") from None
