"""What is heard by mDNS is a hint: bounded, of this link, and never a reason to forget a better one."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from dataclasses import dataclass, field

import pytest
from zeroconf import DNSAddress, DNSCache, DNSIncoming, DNSService, DNSText, ServiceStateChange, const

from mesh.contracts import Address, Sighting
from mesh.discovery.interfaces import Interface
from mesh.discovery.mdns import MAX_ADDRESSES, MAX_PEERS, SERVICE, MdnsDiscovery
from mesh.errors import ConfigError
from mesh.ids import PeerId

LINK = [Interface("eth0", (ipaddress.ip_interface("192.0.2.7/24"),))]


def peer(number: int) -> PeerId:
    return PeerId.of_key(number.to_bytes(4, "big"))


@dataclass
class Street:
    """What zeroconf has heard, as far as a lookup asks it."""

    cache: DNSCache = field(default_factory=DNSCache)

    def tell(self, way: MdnsDiscovery, name: str, ip: str, port: int = 7411) -> None:
        """Somebody claims that `name` lives there."""
        instance, host = f"{name}.{SERVICE}", f"{name}.local."
        unique = const._CLASS_IN | const._CLASS_UNIQUE
        service = DNSService(instance, const._TYPE_SRV, unique, 120, 0, 0, port, host)
        address = DNSAddress(host, const._TYPE_A, unique, 120, socket.inet_aton(ip))
        text = DNSText(instance, const._TYPE_TXT, unique, 120, b"\x00")
        self.cache.async_remove_records(list(self.cache.async_entries_with_name(instance)))
        self.cache.async_remove_records(list(self.cache.async_entries_with_name(host)))
        self.cache.async_add_records([service, text, address])
        self.change(way, name, ServiceStateChange.Added)

    def change(self, way: MdnsDiscovery, name: str, change: ServiceStateChange) -> None:
        """What zeroconf calls when something has changed."""
        way._on_change(
            zeroconf=self,  # type: ignore[arg-type]
            service_type=SERVICE,
            name=f"{name}.{SERVICE}",
            state_change=change,
        )


@pytest.fixture
def way() -> MdnsDiscovery:
    """Listening on one cable, without a socket."""
    way = MdnsDiscovery()
    way._me, way._interfaces = peer(0), LINK
    return way


def test_a_neighbour_is_seen(way: MdnsDiscovery) -> None:
    """Whoever claims an address on our link is seen there; ourselves we do not see."""
    street = Street()
    street.tell(way, peer(1), "192.0.2.1")
    street.tell(way, peer(0), "192.0.2.7")
    assert [Sighting(peer(1), (Address("192.0.2.1", 7411),))] == way.sightings()


@pytest.mark.parametrize("ip", ["198.51.100.1", "8.8.8.8", "0.0.0.0", "224.0.0.1", "255.255.255.255"])
def test_a_claim_beyond_the_link_is_ignored(way: MdnsDiscovery, ip: str) -> None:
    """Nobody on the street can make us dial an address that is not on it."""
    Street().tell(way, peer(1), ip)
    assert [] == way.sightings()


@pytest.mark.parametrize("name", ["printer", "x" * 52, peer(1).upper(), f"{peer(1)} (2)", ""])
def test_what_is_no_id_is_ignored(way: MdnsDiscovery, name: str) -> None:
    """Only names that could be the hash of a key are looked at."""
    Street().tell(way, name, "192.0.2.1")
    assert [] == way.sightings()


def test_a_false_claim_hides_no_true_one(way: MdnsDiscovery) -> None:
    """When somebody else claims an id too, both addresses are kept, the latest first, and no more than so many."""
    street = Street()
    street.tell(way, peer(1), "192.0.2.1")
    street.tell(way, peer(1), "192.0.2.66", port=666)
    (seen,) = way.sightings()
    assert (Address("192.0.2.66", 666), Address("192.0.2.1", 7411)) == seen.addresses

    for port in range(1, 100):
        street.tell(way, peer(1), "192.0.2.66", port=port)
    (seen,) = way.sightings()
    assert MAX_ADDRESSES == len(seen.addresses)


def test_a_flood_is_bounded(way: MdnsDiscovery, caplog: pytest.LogCaptureFixture) -> None:
    """Ten thousand invented devices take no more memory than so many, are reported once, and hide nobody known."""
    street = Street()
    street.tell(way, peer(1), "192.0.2.1")
    with caplog.at_level(logging.WARNING):
        for number in range(2, 10_002):
            street.tell(way, peer(number), "192.0.2.66")
            street.change(way, f"bogus {number}", ServiceStateChange.Added)
    assert MAX_PEERS == len(way.sightings())
    assert Sighting(peer(1), (Address("192.0.2.1", 7411),)) in way.sightings()
    assert 1 == len(caplog.records)


def test_room_is_made_by_who_leaves(way: MdnsDiscovery) -> None:
    """When the street was full and one leaves, another is seen."""
    street = Street()
    for number in range(1, MAX_PEERS + 1):
        street.tell(way, peer(number), "192.0.2.1")
    street.change(way, peer(1), ServiceStateChange.Removed)
    street.tell(way, peer(MAX_PEERS + 1), "192.0.2.2")
    assert peer(1) not in {sighting.peer for sighting in way.sightings()}
    assert peer(MAX_PEERS + 1) in {sighting.peer for sighting in way.sightings()}


async def test_only_id_port_and_address_are_told() -> None:
    """What the network can hear of a device names no host, no hardware and no model: an id, a port, an address."""
    me = PeerId.of_key(socket.gethostname().encode() + b"listening")
    heard: list[bytes] = []
    ear = listening_socket()
    loop = asyncio.get_running_loop()
    try:
        async with MdnsDiscovery(interfaces=["127.0.0.1"]).announce(Sighting(me, (Address("127.0.0.1", 7411),))):
            async with asyncio.timeout(20):
                while not heard:
                    data = await loop.sock_recv(ear, 9000)
                    heard += [data] if me.encode() in data and DNSIncoming(data).is_response() else []
    finally:
        ear.close()
    answers = DNSIncoming(heard[0]).answers()
    assert {me, SERVICE} == {part for answer in answers for part in named(answer.name)}
    assert [b"\x00"] == [answer.text for answer in answers if isinstance(answer, DNSText)]
    assert [7411] == [answer.port for answer in answers if isinstance(answer, DNSService)]


def named(name: str) -> set[str]:
    """The id and the service in a DNS name."""
    first, _, rest = name.partition(".")
    return {SERVICE} if name == SERVICE else {first} if rest == "local." else {first, rest}


def listening_socket() -> socket.socket:
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    ear.bind(("224.0.0.251", 5353))
    group = socket.inet_aton("224.0.0.251") + socket.inet_aton("127.0.0.1")
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    ear.setblocking(False)
    return ear


@pytest.mark.parametrize(
    ("interfaces", "address", "says"),
    [
        (None, Address("camera.local", 7411), "is a name: listen at an address"),
        (["no-such-cable"], Address("0.0.0.0", 7411), "no network interface 'no-such-cable'"),
        (None, Address("203.0.113.77", 7411), "no network interface to be found on"),
    ],
)
async def test_mistakes_in_the_settings_are_said(interfaces: list[str] | None, address: Address, says: str) -> None:
    """A name where an address is needed, or an interface that is not there, is a ConfigError before anything starts."""
    with pytest.raises(ConfigError, match=says):
        async with MdnsDiscovery(interfaces=interfaces).announce(Sighting(peer(0), (address,))):
            pass
