"""Where to be found, and whose claims to believe, follows from the interfaces and the configuration alone."""

from __future__ import annotations

import ipaddress

import pytest

from mesh.discovery.interfaces import Interface, choose, local_interfaces, on_link
from mesh.errors import ConfigError


def interface(name: str, *addresses: str) -> Interface:
    return Interface(name, tuple(map(ipaddress.ip_interface, addresses)))


LOOPBACK = interface("lo", "127.0.0.1/8", "::1/128")
CABLE = interface("eth0", "192.0.2.7/24", "fe80::7/64")
RADIO = interface("wlan0", "198.51.100.7/24")
DOCKER = interface("docker0", "172.17.0.1/16")
BRIDGE = interface("br-0a1b2c", "172.18.0.1/16")
ALL = [LOOPBACK, CABLE, RADIO, DOCKER, BRIDGE, interface("veth12", "10.9.9.9/24"), interface("virbr0", "10.8.8.8/24")]


@pytest.mark.parametrize(
    ("wanted", "listening", "expected"),
    [
        (None, ["0.0.0.0"], ["lo", "eth0", "wlan0"]),
        (None, ["127.0.0.1"], ["lo"]),
        (None, ["192.0.2.7", "127.0.0.1"], ["lo", "eth0"]),
        (["wlan0"], ["0.0.0.0"], ["wlan0"]),
        (["192.0.2.7"], ["::"], ["eth0"]),
        (["docker0"], ["0.0.0.0"], ["docker0"]),
        (["eth0", "wlan0"], ["198.51.100.7"], ["wlan0"]),
    ],
)
def test_interfaces_are_chosen(wanted: list[str] | None, listening: list[str], expected: list[str]) -> None:
    """All but virtual bridges, or those asked for; and of these only the ones where this device listens."""
    chosen = choose(ALL, wanted, map(ipaddress.ip_address, listening))
    assert expected == [each.name for each in chosen]


@pytest.mark.parametrize(
    ("wanted", "listening", "says"),
    [
        (["eth1"], ["0.0.0.0"], r"no network interface 'eth1' here: this device has lo, eth0"),
        (["203.0.113.1"], ["0.0.0.0"], "no network interface '203.0.113.1'"),
        (["eth0"], ["127.0.0.1"], "listens at 127.0.0.1"),
        (None, ["203.0.113.9"], "name the peers in the configuration"),
    ],
)
def test_what_does_not_exist_is_said(wanted: list[str] | None, listening: list[str], says: str) -> None:
    """An interface that is not there, or none that is listened on, is a mistake in the settings."""
    with pytest.raises(ConfigError, match=says):
        choose(ALL, wanted, map(ipaddress.ip_address, listening))


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("192.0.2.200", True),
        ("fe80::1234", True),
        ("127.0.0.9", True),
        ("198.51.100.1", False),
        ("8.8.8.8", False),
        ("0.0.0.0", False),
        ("224.0.0.251", False),
        ("255.255.255.255", False),
        ("::", False),
        ("ff02::fb", False),
    ],
)
def test_only_neighbours_are_believed(address: str, believed: bool) -> None:
    """Nobody on this link can send us to an address that is not on it."""
    assert believed == on_link(ipaddress.ip_address(address), [LOOPBACK, CABLE])


def test_this_device_has_a_loopback() -> None:
    """The interfaces of this device are read with their networks."""
    loopback = ipaddress.ip_interface("127.0.0.1/8")
    assert any(loopback in each.addresses for each in local_interfaces())
