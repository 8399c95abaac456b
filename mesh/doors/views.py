"""What a node shows of itself through its doors."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from msgspec.structs import replace

from mesh.control import Offer
from mesh.doors.language import Fault, PeerView, PlanView, StageView, Status, plain
from mesh.errors import BadInput, IdentityError, MeshError, PeerDeclined, PeerError, PeerMisbehaved
from mesh.identity import Identity
from mesh.membership.view import View
from mesh.node import Node
from mesh.plugins import Installed
from mesh.protocol import Plan, Vault
from mesh.recruit import Answered
from mesh.resources import Memory, usage
from mesh.results import keepers, kept_in
from mesh.store.catalogue import Catalogue
from mesh.store.contract import Store

__all__ = ["Insides", "peers", "plan_view", "removed", "status"]


@dataclass(frozen=True, slots=True)
class Insides:
    """All that a door may reach for.

    Attributes:
        view: who is believed to be present.
        identity: who we are, by the certificate that is shown now.
        owner, seats: as configured.
        started: the loop's time when the node began.
        vault: what is kept for a time; None keeps nothing.
    """

    node: Node
    view: View
    identity: Callable[[], Identity]
    installed: Installed
    catalogue: Catalogue
    store: Store
    memory: Memory
    owner: str
    seats: int
    started: float
    vault: Vault | None = None


def status(inside: Insides) -> Status:
    """The node, now. Asks nobody."""
    node, used = inside.node, usage()
    return Status(
        peer=node.peer,
        mesh=inside.identity().mesh,
        owner=inside.owner,
        version=_version(),
        pid=os.getpid(),
        addresses=tuple(map(str, node.addresses)),
        expires=inside.identity().expires.isoformat(),
        protocols=tuple(protocol.name for protocol in inside.installed.protocols),
        missing=dict(inside.installed.missing),
        models=tuple(inside.catalogue.names()),
        in_sight=len(node.sightings()),
        view=inside.view.digest.hex(),
        present=len(inside.view.present()),
        renews=(inside.identity().certificate.parent / "door.json").exists(),
        uptime=asyncio.get_running_loop().time() - inside.started,
        available=inside.memory.available(),
        cpu=used.cpu,
        resident=used.memory,
        seats=inside.seats,
        sessions=tuple(node.sessions()),
        channels=node.channels(),
        traffic=node.traffic(),
    )


async def peers(inside: Insides) -> list[PeerView]:
    """Everyone in sight, in order of id, asked what they would lend. Takes as long as the slowest, 2 s at most."""
    surveys: dict[str, list[Answered]] = {}

    async def survey(protocol: str) -> None:
        surveys[protocol] = await inside.node.survey(protocol)

    async with asyncio.TaskGroup() as tasks:
        for protocol in inside.installed.protocols:
            tasks.create_task(survey(protocol.name))
    heard: dict[str, dict[str, Answered]] = {}
    for name, answers in sorted(surveys.items()):
        for answer in answers:
            heard.setdefault(answer.sighting.peer, {})[name] = answer
    found = [_peer_view(answers) for _, answers in sorted(heard.items())]
    asked = {view.peer for view in found} | {inside.node.peer}
    found += [
        PeerView(peer=member.peer, addresses=member.statement.facts.addresses, state="gone")
        for member in inside.view
        if member.peer not in asked
    ]
    return [_with_life(view, inside.view) for view in sorted(found, key=lambda view: view.peer)]


def plan_view(plan: Plan[Any, Any]) -> PlanView:
    """Who does what. The spec is left out: whoever asked for the job knows it, and it may be large."""
    stages = tuple(StageView(stage.peer, stage.role, dict(plain(stage.task))) for stage in plan.stages)
    return PlanView(plan.protocol, plan.quorum, stages)


async def removed(inside: Insides, name: str, peer: str = "") -> list[Fault]:
    """Delete what is kept under a name, here and at whoever keeps a part of it for us; why some could not be told.

    Args:
        peer: whose job it was, by enough of its id; "" for anybody's.

    Raises:
        BadInput: nothing is kept under that name.
    """
    mine = [kept for kept in kept_in(inside.vault) if kept.name == name and kept.peer.startswith(peer)]
    if not mine or inside.vault is None:
        raise BadInput(f"Nothing is kept as {name[:80]!r}: see `mesh results`.")
    others = keepers(inside.vault, inside.node.peer, name) if any(kept.kind == "elsewhere" for kept in mine) else ()
    failed = await inside.node.browser.forget([one for one in others if one != inside.node.peer], name)
    for kept in mine:
        for kind in ("answers", "kept", "shares"):
            inside.vault.remove(kept.peer, f"{kind}/{name}")
    return [Fault.of(error) for error in failed.values()]


def _version() -> str:
    try:
        return version("veilmesh")
    except PackageNotFoundError:
        return "not installed"


def _with_life(found: PeerView, view: View) -> PeerView:
    member = view.get(found.peer)
    if member is None:
        return found
    since = asyncio.get_running_loop().time() - member.since
    return replace(found, alive=member.state.name.lower(), since=since)


def _peer_view(answers: dict[str, Answered]) -> PeerView:
    sighting = next(iter(answers.values())).sighting
    addresses = tuple(map(str, sighting.addresses))
    offers = {name: answer.offer for name, answer in answers.items() if isinstance(answer.offer, Offer)}
    seconds = min(answer.seconds for answer in answers.values())
    if not offers:
        state, reason = _trouble([answer.offer for answer in answers.values() if isinstance(answer.offer, MeshError)])
        return PeerView(peer=sighting.peer, addresses=addresses, state=state, reason=reason, seconds=seconds)
    one = next(iter(offers.values()))
    speeds = {name: offer.speed for name, offer in offers.items() if offer.willing}
    return PeerView(
        peer=sighting.peer,
        addresses=addresses,
        state="ready" if speeds else "declined",
        reason="" if speeds else f"It takes part in none of our protocols: {_listed(answers)}.",
        seconds=seconds,
        owner=one.owner,
        memory=max(offer.memory for offer in offers.values()),
        speeds=speeds,
    )


def _trouble(errors: Sequence[MeshError]) -> tuple[str, str]:
    for kinds, state in (((IdentityError, PeerMisbehaved), "stranger"), ((PeerDeclined,), "declined")):
        for error in errors:
            if isinstance(error, kinds):
                return state, _reason(error)
    return "silent", _reason(errors[0])


def _reason(error: MeshError) -> str:
    return error.reason if isinstance(error, PeerError) else str(error)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
