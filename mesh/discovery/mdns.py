"""Finding neighbours by multicast DNS, and being found.

What the street can hear of us: an id, a port, addresses. No host name, no model, no hardware. What we hear is a hint,
of a bounded number of peers and addresses; only the TLS handshake with what lives there proves anything.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo

from mesh.contracts import Address, Discovery, Sighting
from mesh.discovery.interfaces import Interface, choose, local_interfaces, on_link
from mesh.discovery.multicast import CURE, MULTICAST, daemon_on, described, literal
from mesh.errors import ConfigError, IdentityError
from mesh.ids import PeerId

__all__ = ["MAX_ADDRESSES", "MAX_PEERS", "SERVICE", "MdnsDiscovery"]

SERVICE = "_veilmesh._tcp.local."

MAX_PEERS = 512
"""Peers remembered at most; more are ignored until some have gone. A stranger can fill this, but not our memory."""

MAX_ADDRESSES = 8
"""Addresses remembered of each peer, latest heard first. More than one, so that a false claim hides no true one."""

ASKERS = 32
"""Questions that may be open at once, where somebody told a name and not yet an address."""

_log = logging.getLogger(__name__)


class MdnsDiscovery(Discovery):
    """Announces this device as `<peer id>._veilmesh._tcp.local.` and notes who else is.

    Args:
        interfaces: names or addresses of network interfaces; None takes every one that this device listens on, but not
            the bridges of containers and virtual machines.
    """

    def __init__(self, *, interfaces: Sequence[str] | None = None) -> None:
        self._wanted = interfaces
        self._heard: dict[PeerId, tuple[Address, ...]] = {}
        self._unplaced: dict[PeerId, AsyncServiceInfo] = {}
        self._askers = 0
        self._full = False
        self._me: PeerId | None = None
        self._interfaces: list[Interface] = []
        self._tasks: asyncio.TaskGroup | None = None

    @asynccontextmanager
    async def announce(self, me: Sighting) -> AsyncIterator[None]:
        """As the contract says. Raises ConfigError: multicast cannot be had here, or `me` names no address."""
        listening = [literal(address) for address in me.addresses]
        self._me = me.peer
        self._interfaces = choose(local_interfaces(), self._wanted, listening)
        info = described(SERVICE, me.peer, me.addresses, self._interfaces)
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(_Tasks())
            daemon = daemon_on(self._interfaces)
            stack.push_async_callback(daemon.async_close)
            browser = AsyncServiceBrowser(daemon.zeroconf, SERVICE, handlers=[self._on_change], question_type=MULTICAST)
            stack.push_async_callback(browser.async_cancel)
            try:
                # Names hold a key's hash, so no other device can have ours: asking around first would cost a second.
                announced = await daemon.async_register_service(info, cooperating_responders=True)
            except (OSError, zeroconf.Error) as error:
                raise ConfigError(f"cannot announce this device by mDNS ({error}): {CURE}") from error
            self._tasks.create_task(_until(announced))
            stack.push_async_callback(_hush, announced)  # before the goodbye, which an announcement after it would undo
            yield  # closing the daemon says goodbye

    def sightings(self) -> Sequence[Sighting]:
        return [Sighting(peer, addresses) for peer, addresses in sorted(self._heard.items())]

    def _on_change(
        self,
        zeroconf: zeroconf.Zeroconf,  # zeroconf names its arguments when it calls
        service_type: str,
        name: str,
        state_change: zeroconf.ServiceStateChange,
    ) -> None:
        peer = _peer(name)
        if peer is None or peer == self._me:
            return
        if state_change.name == "Removed":
            self._heard.pop(peer, None)
            self._full = False
        elif peer in self._heard or self._has_room():
            self._look_up(peer, AsyncServiceInfo(service_type, name), zeroconf)

    def _has_room(self) -> bool:
        if len(self._heard) + len(self._unplaced) < MAX_PEERS:
            return True
        if not self._full:
            self._full = True
            _log.warning("more than %d devices announce themselves; the rest are ignored", MAX_PEERS)
        return False

    def _look_up(self, peer: PeerId, info: AsyncServiceInfo, daemon: zeroconf.Zeroconf) -> None:
        if info.load_from_cache(daemon):
            self._note(peer, info)
        elif self._tasks is not None:
            self._unplaced.setdefault(peer, info)
            if self._askers < ASKERS:
                self._askers += 1
                self._tasks.create_task(self._ask(daemon))

    async def _ask(self, daemon: zeroconf.Zeroconf) -> None:
        """Ask where those live who told only their names, one after another."""
        try:
            while self._unplaced:
                peer = next(iter(self._unplaced))
                info = self._unplaced.pop(peer)
                if await info.async_request(daemon, timeout=3000, question_type=MULTICAST):
                    self._note(peer, info)
        except (OSError, zeroconf.Error) as error:
            _log.info("asking by mDNS where devices live failed: %s", error)
        finally:
            self._askers -= 1

    def _note(self, peer: PeerId, info: AsyncServiceInfo) -> None:
        claimed = [ipaddress.ip_address(packed) for packed in info.addresses_by_version(zeroconf.IPVersion.All)]
        port = info.port or 0
        new = [Address(str(ip), port) for ip in claimed[:MAX_ADDRESSES] if port and on_link(ip, self._interfaces)]
        if new:
            old = self._heard.get(peer, ())
            self._heard[peer] = tuple(dict.fromkeys([*new, *old]))[:MAX_ADDRESSES]


class _Tasks:
    """A task group that is cancelled on leaving, and lets the body's own error through as it is."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> asyncio.TaskGroup:
        return await self._group.__aenter__()

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            await self._group.__aexit__(_Done, _Done(), None)
        except* _Done:
            pass


class _Done(Exception):
    """The body of a task group has ended; its tasks are to be cancelled."""


async def _hush(announced: Awaitable[object]) -> None:
    if isinstance(announced, asyncio.Future):  # what zeroconf returns, though it promises less
        announced.cancel()
        await asyncio.wait([announced])


async def _until(done: Awaitable[object]) -> None:
    await done


def _peer(name: str) -> PeerId | None:
    try:
        return PeerId.parse(name.removesuffix(f".{SERVICE}"))
    except IdentityError:
        return None
