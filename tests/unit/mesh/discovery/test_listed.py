"""Peers named in the configuration, and several ways of finding as one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from mesh.contracts import Address, Discovery, Sighting
from mesh.discovery.listed import ListedDiscovery, Together, parse_peer
from mesh.errors import ConfigError
from mesh.ids import PeerId

A, B, ME = sorted(PeerId.of_key(bytes([number])) for number in range(3))
HERE, THERE = Address("192.0.2.1", 7411), Address("fd00::2", 7412)


class Broken(Discovery):
    """A way that cannot be had."""

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        raise ConfigError("no multicast here")
        yield

    def sightings(self) -> Sequence[Sighting]:
        return []


def test_a_peer_is_named_by_id_and_addresses() -> None:
    """An id, then one or more addresses, IPv6 in brackets."""
    assert Sighting(A, (HERE, THERE)) == parse_peer(f"{A}@{HERE}, {THERE}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("192.0.2.1:7411", "<id>@<host>:<port>"),
        (f"{A}@192.0.2.1", "no address"),
        (f"{A}@", "no address"),
        ("camera@192.0.2.1:7411", "no peer id"),
        ("", "names no peer"),
    ],
)
def test_a_peer_without_id_or_address_is_refused(text: str, says: str) -> None:
    """An address alone names nobody, and a name is no id."""
    with pytest.raises(ConfigError, match=says):
        parse_peer(text)


async def test_the_listed_are_seen_but_not_oneself() -> None:
    """The list may be the same on every device; a peer named twice has both addresses."""
    way = ListedDiscovery([Sighting(B, (THERE,)), Sighting(A, (HERE,)), Sighting(ME, (HERE,)), Sighting(B, (HERE,))])
    async with way.announce(Sighting(ME, (HERE,))):
        assert [Sighting(A, (HERE,)), Sighting(B, (THERE, HERE))] == way.sightings()


async def test_ways_add_up() -> None:
    """Whoever any way sees is seen once, with the addresses of the first way first."""
    together = Together(ListedDiscovery([Sighting(B, (HERE,))]), ListedDiscovery([Sighting(B, (THERE, HERE))]))
    async with together.announce(Sighting(ME, (HERE,))):
        assert [Sighting(B, (HERE, THERE))] == together.sightings()


async def test_a_way_that_fails_is_done_without_if_another_sees(caplog: pytest.LogCaptureFixture) -> None:
    """With listed peers, missing multicast is a warning, not the end; it is never silent."""
    together = Together(Broken(), ListedDiscovery([Sighting(B, (HERE,))]))
    with caplog.at_level(logging.WARNING):
        async with together.announce(Sighting(ME, (HERE,))):
            assert [Sighting(B, (HERE,))] == together.sightings()
    assert "no multicast here" in caplog.text


async def test_a_device_that_would_see_nobody_does_not_start() -> None:
    """Without anybody listed, a way that fails is a mistake in the settings."""
    with pytest.raises(ConfigError, match="no multicast here"):
        async with Together(ListedDiscovery([]), Broken()).announce(Sighting(ME, (HERE,))):
            pass
