"""`init` and `deal`: CrypTen over our channels, its tensors on our engine, under this device's identity."""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import Any

import numpy as np
import torch.distributed as dist

from mesh.errors import ConfigError
from mesh.transport.blocking import Identity, Links
from mesh.transport.blocking_url import Invitation, open_url
from protocols.runtimes.collectives import register
from protocols.smpc.crypten_bridge.converter import mend_converter
from protocols.smpc.crypten_bridge.dealers import dealer_trouble, provider_trouble
from protocols.smpc.crypten_bridge.guard import stand_guard
from protocols.smpc.crypten_bridge.names import crypten
from protocols.smpc.crypten_bridge.session import become
from protocols.smpc.crypten_bridge.tensor import KIND
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.checked.party import CheckedParty
from protocols.smpc.replicated.link import PARTIES, Link, Words
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import KEY_BYTES, Correlated
from protocols.smpc.replicated.sharing import FixedPoint

__all__ = ["agreed_keys", "deal", "init"]


def init(
    config_file: Any = None, party_name: str | None = None, *, rendezvous: str | None = None, **settings: Any
) -> None:
    """What `crypten.init()` does, over mutual TLS; and from then on secret tensors are `ReplicatedTensor`s.

    Args:
        config_file, party_name: as CrypTen has them.
        rendezvous: who takes part, as `mesh.transport.blocking_url` says it; otherwise the variable RENDEZVOUS.
        settings: `kind`, replicated3 or mpc; `fraction`, the fractional bits of numbers, 18 unless said otherwise;
            `checked`, whether a party that cheats is to be found out before anything is opened (replicated3; see
            `replicated.checked` for what that promises, and it is much slower).

    Raises:
        ConfigError: nobody says who takes part; not three parties for replicated3; a provider of triples that is
            refused for mpc.
        MeshError: whatever keeps the parties from meeting.
    """
    kind, fraction = settings.pop("kind", KIND), settings.pop("fraction", FixedPoint().fraction)
    checked = settings.pop("checked", False)
    if settings.keys() - {"device"} or kind not in (KIND, "mpc"):
        raise ConfigError(f"init() knows kind={KIND!r} or 'mpc', fraction=, checked= and rendezvous=, no more.")
    if config_file is not None:
        crypten.cfg.load_config(config_file)
    dealt = kind == "mpc"
    trouble = provider_trouble(crypten.cfg.mpc.provider) if dealt else None
    if trouble:
        raise ConfigError(trouble)
    parties = _meet(rendezvous, dealers=int(dealt))
    stand_guard()
    mend_converter()
    if kind == KIND and parties != PARTIES:
        raise ConfigError(f"{KIND} is for {PARTIES} parties, and {parties} are named: use kind='mpc' for others.")
    if kind == KIND and crypten.mpc.ttp_required():
        raise ConfigError(f"{KIND} needs no dealer: leave crypten.cfg.mpc.provider as it is.")
    _begin(None, party_name)
    crypten.set_default_cryptensor_type(kind)
    if kind == KIND:
        become(_party(_links(), FixedPoint(fraction), checked=checked))


def deal(rendezvous: str | None = None) -> None:
    """Make triples for the parties of kind mpc until they end, on a device that is none of them: the last named.

    Raises:
        ConfigError: this device is one of the parties, or nobody says who takes part.
    """
    crypten.cfg.mpc.provider = "TTP"
    parties = _meet(rendezvous, dealers=1)
    if int(os.environ["RANK"]) != parties:
        raise ConfigError(str(dealer_trouble("This device", ["This device"])))
    stand_guard()
    crypten.init = _begin  # what the dealer's code calls
    crypten.mpc.provider.TTPServer()


def agreed_keys(link: Link) -> dict[int, bytes]:
    """A new key with each of the two other parties, to which both gave as much."""
    keys = {}
    for peer in sorted({link.next, link.previous}):
        mine: Words = np.frombuffer(secrets.token_bytes(KEY_BYTES), np.uint8).copy()
        theirs: Words = np.empty(KEY_BYTES, np.uint8)
        link.exchange(peer, [mine], peer, [theirs])
        ordered = (mine, theirs) if link.rank < peer else (theirs, mine)
        keys[peer] = hashlib.blake2b(
            b"".join(map(bytes, ordered)), digest_size=KEY_BYTES, person=b"veilmesh pair"
        ).digest()
    return keys


def _meet(rendezvous: str | None, *, dealers: int) -> int:
    """Tell CrypTen, in the variables that it reads, who we are. How many compute."""
    url = rendezvous or os.environ.get("RENDEZVOUS", "")
    if not url.startswith("mesh://"):
        raise ConfigError("Say who takes part: rendezvous='mesh://...', or the same in the variable RENDEZVOUS.")
    rank = os.environ.get("RANK")
    invitation = Invitation.parse(url if rank is None else f"{url}&rank={rank}")
    roster = [peer for peer, _ in invitation.roster]
    if rank is None:
        mine = Identity.load(invitation.identity).peer
        if mine not in roster:
            raise ConfigError(f"{invitation.identity} is the identity of {mine.short}, which is no party here.")
        rank = str(roster.index(mine))
    parties = len(roster) - dealers
    if trouble := dealer_trouble(roster[-1] if dealers else None, roster[:parties]):
        raise ConfigError(trouble)
    os.environ.update(DISTRIBUTED_BACKEND="mesh", RENDEZVOUS=url, RANK=rank, WORLD_SIZE=str(parties))
    if "mesh" not in dist.Backend.backend_list:
        register(open_url)
    return parties


def _links() -> Links:
    links: Links = dist.group.WORLD.links
    return links


def _party(links: Links, fixed: FixedPoint, *, checked: bool) -> Party:
    link = ChannelLink(links)
    randomness = Correlated(link.rank, agreed_keys(link), b"crypten")
    return CheckedParty(link, randomness, fixed) if checked else Party(link, randomness, fixed)


_begin: Any = crypten.init
