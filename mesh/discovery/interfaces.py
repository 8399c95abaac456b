"""Which network interfaces to be heard on, and which addresses others may claim. Pure, but for `local_interfaces`."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil

from mesh.errors import ConfigError

__all__ = ["Interface", "choose", "local_interfaces", "on_link"]

VIRTUAL = ("docker", "virbr", "br-", "veth")
"""Name prefixes of bridges that containers and virtual machines bring along. Nobody we look for lives there."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that is up, and its addresses with their networks."""

    name: str
    addresses: tuple[IpInterface, ...]

    @property
    def ips(self) -> tuple[IpAddress, ...]:
        """Its addresses alone."""
        return tuple(address.ip for address in self.addresses)


def local_interfaces() -> list[Interface]:
    """Those of this device that have an address now."""
    found: list[Interface] = []
    for name, entries in psutil.net_if_addrs().items():
        addresses = [
            _interface(entry.address, entry.netmask)
            for entry in entries
            if entry.family in (socket.AF_INET, socket.AF_INET6)
        ]
        if addresses:
            found.append(Interface(name, tuple(addresses)))
    return found


def choose(
    available: Sequence[Interface], wanted: Sequence[str] | None, listening: Iterable[IpAddress]
) -> list[Interface]:
    """Where to announce and to listen.

    Args:
        wanted: names or addresses of interfaces; None takes all but virtual bridges.
        listening: the addresses that this device listens at. An interface that has none of them is of no use to
            others, unless one of them is unspecified (0.0.0.0 or ::), which stands for all.

    Raises:
        ConfigError: something wanted does not exist, or nothing is left.
    """
    asked = available if wanted is None else [_named(available, name) for name in wanted]
    if wanted is None:
        asked = [interface for interface in available if not interface.name.startswith(VIRTUAL)]
    heard = set(listening)
    everywhere = any(address.is_unspecified for address in heard)
    chosen = [interface for interface in asked if everywhere or heard & set(interface.ips)]
    if not chosen:
        raise ConfigError(
            f"no network interface to be found on: this device listens at {', '.join(map(str, sorted(heard, key=str)))}"
            f", and has {', '.join(interface.name for interface in available) or 'none'}. Choose another address or "
            "interface, or name the peers in the configuration."
        )
    return chosen


def on_link(address: IpAddress, interfaces: Iterable[Interface]) -> bool:
    """Whether a neighbour on one of `interfaces` can live at `address`. Anything else that mDNS claims is ignored."""
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    return any(address in local.network for interface in interfaces for local in interface.addresses)


def _named(available: Sequence[Interface], wanted: str) -> Interface:
    for interface in available:
        if wanted == interface.name or wanted in map(str, interface.ips):
            return interface
    known = ", ".join(interface.name for interface in available)
    raise ConfigError(f"there is no network interface {wanted!r} here: this device has {known or 'none'}.")


def _interface(address: str, netmask: str | None) -> IpInterface:
    ip = ipaddress.ip_address(address.partition("%")[0])
    bits = ip.max_prefixlen if netmask is None else int(ipaddress.ip_address(netmask)).bit_count()
    return ipaddress.ip_interface(f"{ip}/{bits}")
