"""Every implementation keeps every law of its contract."""

from __future__ import annotations

import pytest

from mesh.contracts import Discovery
from mesh.discovery.listed import ListedDiscovery, Together
from mesh.discovery.mdns import MdnsDiscovery
from mesh.discovery.noticeboard import Noticeboard
from mesh.identity import Identity
from tests.contract import discovery
from tests.contract.channel import CHANNEL_LAWS, Law
from tests.contract.discovery import DISCOVERY_LAWS, Street
from tests.contract.transport import TRANSPORT_LAWS
from tests.contract.worlds import Http, Virtual, World, issue


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    return issue(tmp_path_factory.mktemp("identities"), 3)


@pytest.fixture(params=["virtual", "http"])
def world(request: pytest.FixtureRequest, identities: list[Identity]) -> World:
    return Virtual() if request.param == "virtual" else Http(identities)


@pytest.mark.parametrize("law", CHANNEL_LAWS, ids=lambda law: law.__name__)
def test_every_channel(world: World, law: Law) -> None:
    """A channel in memory and a channel over TLS keep the same laws."""
    world.run(law(world))


@pytest.mark.parametrize("law", TRANSPORT_LAWS, ids=lambda law: law.__name__)
def test_every_transport(world: World, law: Law) -> None:
    """A transport in memory and a transport over TLS keep the same laws."""
    world.run(law(world))


STREETS = {
    "noticeboard": Street(lambda them: on_one_board(len(them)), forgets=True),
    "listed": Street(lambda them: [ListedDiscovery(them) for _ in them], forgets=False),
    "mdns": Street(lambda them: [MdnsDiscovery(interfaces=["127.0.0.1"]) for _ in them], forgets=True),
    "together": Street(lambda them: joined(on_one_board(len(them))), forgets=True),
}


def joined(ways: list[Discovery]) -> list[Discovery]:
    return [Together(ListedDiscovery([]), way) for way in ways]


def on_one_board(count: int) -> list[Discovery]:
    board = Noticeboard()
    return [board.discovery() for _ in range(count)]


@pytest.mark.parametrize("street", STREETS.values(), ids=STREETS)
@pytest.mark.parametrize("law", DISCOVERY_LAWS, ids=lambda law: law.__name__)
async def test_every_discovery(street: Street, law: discovery.Law) -> None:
    """A wall in memory, a list and multicast on loopback keep the same laws."""
    await law(street)
