"""A box's side of meeting the two others: it listens, and opens channels to them. Reusable by any box of three.

`Gate.open` first, whose `port` goes to the others by way of `meeting`; then, with the `Trio` that came of it,
`gate.links(trio)` and `party_of(trio, links, fraction)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mesh.errors import ConfigError
from mesh.transport.blocking import Address, Identity, Links, Listener, PeerId, SessionId
from protocols.smpc.meeting import Trio
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint

__all__ = ["Gate", "listening", "party_of"]


class Gate:
    """Where one box is met. The listener is closed once all have come.

    Attributes:
        port: that it listens at.
    """

    def __init__(self, identity: Identity, listener: Listener) -> None:
        self._identity = identity
        self._listener = listener
        self.port = listener.address.port

    @classmethod
    def open(cls, identity: str, listen: str, ports: tuple[int, int] = (0, 0)) -> Gate:
        """Listen, as the device whose key and certificates lie in the folder `identity`.

        Raises:
            ConfigError: no port of the range is free.
        """
        return cls(Identity.load(Path(identity)), listening(listen, ports))

    def links(self, trio: Trio) -> Links:
        """Channels to the two others. Raises as `Links.open` does."""
        roster = [
            (PeerId.parse(peer), tuple(Address(host, port) for host in hosts)) for peer, hosts, port in trio.doors
        ]
        return Links.open(
            self._identity,
            roster,
            session=SessionId(trio.session),
            listener=self._listener,
            within=trio.within,
            patience=trio.patience,
        )


def party_of(trio: Trio, links: Links, fraction: int, *, checked: bool = False) -> Party:
    """The party that this box is, with channels that are open.

    Args:
        checked: take nobody's word, and find out any single party that cheats: a `CheckedParty`.
    """
    randomness = Correlated(trio.party, trio.keys, trio.session.encode())
    kind = CheckedParty if checked else Party
    return kind(ChannelLink(links), randomness, FixedPoint(fraction))


def listening(host: str, ports: tuple[int, int]) -> Listener:
    """At the first port of a range that is free; (0, 0) takes any. Raises ConfigError: none is."""
    first, last = ports
    for port in _tried(first, last):
        try:
            return Listener(host, port)
        except ConfigError:
            if first == 0:
                raise
    raise ConfigError(f"No port of {first} to {last} is free at {host}: widen `boxes`; each session takes one.")


def _tried(first: int, last: int) -> Iterable[int]:
    return range(first, last + 1)
