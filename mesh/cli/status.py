"""`mesh status` and `mesh peers`."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import click

from mesh.cli.screen import as_json, bytes_of, chosen_node, emit, pairs, rate_of, seconds_of, table, warn
from mesh.client import Client
from mesh.doors.language import PeerView, Status
from mesh.settings import settings

__all__ = ["node_of", "peers", "status"]

_SOON = datetime.timedelta(days=7)
_LATE = datetime.timedelta(hours=6)


def node_of(state: Path | None, control: Path | None, config: Path | None) -> Client:
    """The node that the shared options choose. Raises ConfigError."""
    return Client(settings({"state": state, "control": control}, file=config).config.control)


@click.command()
@chosen_node
@as_json
def status(state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """What this device's node is doing: its id, its sessions, what it uses.

    \b
    Examples:
      mesh status
      mesh status --json | jq .peer
    """
    found = asyncio.run(node_of(state, control, config).status())
    if as_json:
        return emit(found)
    _show_status(found)
    return None


@click.command()
@chosen_node
@as_json
def peers(state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """Who else is in sight. Each is asked what it would lend; takes 2 s where one does not answer.

    A peer is "ready"; or it "declined"; or it is "silent"; or a "stranger" answered in its place; or it is "gone", and
    was not asked. LIFE is what this node believes of it, as the devices tell each other: alive, suspect, dead, or left.

    \b
    Examples:
      mesh peers
      mesh peers --json | jq '.[] | select(.state != "ready")'
    """
    found = asyncio.run(node_of(state, control, config).peers())
    if as_json:
        return emit(found)
    if not found:
        warn("no peer is in sight. Is another node up on this network? Name it with `mesh up --peer ID@HOST:PORT`.")
        return None
    table(
        ("PEER", "STATE", "LIFE", "ADDRESS", "ANSWERED", "OWNER", "LENDS", "SPEED"), [_peer_row(peer) for peer in found]
    )
    for peer in found:
        if peer.reason:
            warn(f"{peer.peer.short} is {peer.state}: {peer.reason}")
    return None


def _show_status(found: Status) -> None:
    expires = datetime.datetime.fromisoformat(found.expires)
    left = expires - datetime.datetime.now(datetime.UTC)
    pairs(
        [
            ("peer", found.peer),
            ("mesh", found.mesh),
            ("owner", found.owner or "nobody named"),
            ("listens at", ", ".join(found.addresses)),
            ("in sight", f"{found.in_sight} peers, {found.channels} channels open"),
            ("view", f"{found.view}, {found.present} present"),
            ("protocols", ", ".join(found.protocols)),
            ("models", ", ".join(found.models) or "none; add one with `mesh models add NAME FILE.onnx`"),
            ("certificate", f"ends {expires:%Y-%m-%d %H:%M} UTC{', renewed before that' if found.renews else ''}"),
            ("lends", f"{bytes_of(found.available)}, {found.seats - len(found.sessions)} of {found.seats} seats"),
            ("uses", f"{bytes_of(found.resident)}, {found.cpu:.1f} s of CPU in {seconds_of(found.uptime)}"),
        ]
    )
    if found.sessions:
        rows = [
            (one.session[:8], one.protocol, one.state, f"{one.rank} of {len(one.roster)}") for one in found.sessions
        ]
        table(("SESSION", "PROTOCOL", "STATE", "RANK"), rows)
    if left < (_LATE if found.renews else _SOON):
        cure = "is the authority's node up? See `mesh doctor`" if found.renews else "have the authority sign a new one"
        warn(f"the certificate ends in {left.total_seconds() / 3600:.0f} hours: {cure}.")
    for reason in found.missing.values():
        warn(reason)


def _peer_row(peer: PeerView) -> tuple[str, ...]:
    ready = peer.state == "ready"
    return (
        peer.peer.short,
        peer.state,
        f"{peer.alive} {seconds_of(peer.since)}" if peer.alive else "",
        peer.addresses[0] if peer.addresses else "",
        seconds_of(peer.seconds) if ready else "",
        peer.owner,
        bytes_of(peer.memory) if ready else "",
        rate_of(max(peer.speeds.values())) if peer.speeds else "",
    )
