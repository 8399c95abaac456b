"""Peers named in the configuration, for networks that drop multicast; and several ways of finding joined in one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from mesh.contracts import Address, Discovery, Sighting
from mesh.errors import ConfigError, IdentityError
from mesh.ids import PeerId

__all__ = ["ListedDiscovery", "Together", "parse_peer"]

_log = logging.getLogger(__name__)


def parse_peer(text: str) -> Sighting:
    """A peer as the configuration names it: "<id>@<host>:<port>", with more addresses after commas.

    An address alone is not taken: whoever answered there would be believed to be whoever was meant.

    Raises:
        ConfigError: it is not written like that.
    """
    peer, at, addresses = text.strip().partition("@")
    if not at:
        raise ConfigError(f"{text!r} names no peer: expected <id>@<host>:<port>; `mesh status` there shows its id.")
    try:
        return Sighting(PeerId.parse(peer), tuple(Address.parse(address.strip()) for address in addresses.split(",")))
    except IdentityError as error:
        raise ConfigError(f"{text!r}: {error}") from error


class ListedDiscovery(Discovery):
    """Sees those it was told of, always. Announces nothing.

    Args:
        peers: whom to see; a peer that is named twice has the addresses of both.
    """

    def __init__(self, peers: Sequence[Sighting]) -> None:
        self._peers = _merged(peers)
        self._me: PeerId | None = None

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        self._me = me.peer
        yield

    def sightings(self) -> Sequence[Sighting]:
        return [sighting for sighting in self._peers if sighting.peer != self._me]


class Together(Discovery):
    """Several ways of finding as one: whoever any of them sees is seen.

    Args:
        ways: the addresses that an earlier way knows of come before those of a later one.
    """

    def __init__(self, *ways: Discovery) -> None:
        self._ways = ways

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        """As the contract says. A way that cannot be had is done without, if another sees somebody already.

        Raises:
            ConfigError: a way cannot be had, and without it this device would see nobody.
        """
        async with AsyncExitStack() as stack:
            failures: list[ConfigError] = []
            for way in self._ways:
                try:
                    await stack.enter_async_context(way.announce(me))
                except ConfigError as error:
                    failures.append(error)
            for failure in failures:
                if not self.sightings():
                    raise failure
                _log.warning("only listed peers will be found: %s", failure)
            yield

    def sightings(self) -> Sequence[Sighting]:
        return _merged([sighting for way in self._ways for sighting in way.sightings()])


def _merged(sightings: Sequence[Sighting]) -> list[Sighting]:
    addresses: dict[PeerId, tuple[Address, ...]] = {}
    for sighting in sightings:
        addresses[sighting.peer] = (*addresses.get(sighting.peer, ()), *sighting.addresses)
    return [Sighting(peer, tuple(dict.fromkeys(where))) for peer, where in sorted(addresses.items())]
