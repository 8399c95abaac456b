"""`mesh init`, `mesh invite`, `mesh join`, `mesh leave`: how a mesh begins, grows and shrinks."""

from __future__ import annotations

import asyncio
import datetime
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesh.cli.screen import as_json, emit, pairs, table
from mesh.config import NodeConfig
from mesh.contracts import Address
from mesh.errors import BadInput, NoNode
from mesh.settings import settings

if TYPE_CHECKING:
    from mesh.admission.register import Register
    from mesh.ids import PeerId

__all__ = ["init", "invite", "join", "leave"]

_STDIN = "-"
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

_state = click.option("--state", type=click.Path(path_type=Path), help="Folder of what the node keeps.")
_file = click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file, not the usual one.")
_passphrase = click.option("--passphrase-file", help="File whose first line locks the authority's key.")


@click.command()
@click.option("--mesh", required=True, help="The mesh's name: lower-case letters, digits, dots and dashes.")
@_passphrase
@_state
@_file
@as_json
def init(mesh: str, passphrase_file: str | None, state: Path | None, file: Path | None, as_json: bool) -> None:
    """Found a mesh: this device becomes its first, and keeps the authority's key. Others are let in by `mesh up` here.

    The key is what the whole mesh rests on. Keep a copy of the folder off this device; or keep the folder itself
    elsewhere, and sign by hand: see `mesh ca`.

    \b
    Example:
      mesh init --mesh oak-street
    """
    from mesh.admission.enrolment import Door, write_door
    from mesh.admission.register import Register
    from mesh.authority import Authority, secret_in

    config = _config(state, file, passphrase_file)
    authority = Authority.create(config.authority, mesh=mesh, passphrase=secret_in(config.passphrase_file))
    identity = authority.issue(config.identity)
    Register(config.authority).enter(identity.peer)
    write_door(
        config.identity, Door(str(authority.id), (f"127.0.0.1:{config.join_port}",))
    )  # so that it renews its own
    found = {"mesh": mesh, "authority": str(config.authority), "peer": str(identity.peer)}
    if as_json:
        return emit(found)
    pairs(list(found.items()))
    click.echo("\nNext: `mesh up` here, `mesh invite` for each new device, and `mesh join TOKEN` there.", err=True)
    return None


@click.command()
@click.option("--uses", type=int, default=1, show_default=True, help="Devices that the token may let in.")
@click.option("--expires", default="1h", show_default=True, help="How long it stands: 30m, 12h or 7d, for instance.")
@click.option("--note", default="", help="What it is for; only shown in the list.")
@click.option("--list", "listing", is_flag=True, help="Show the invitations that stand, instead of making one.")
@click.option("--withdraw", metavar="ID", help="Take an invitation back, instead of making one.")
@_state
@_file
@as_json
def invite(
    *,
    uses: int,
    expires: str,
    note: str,
    listing: bool,
    withdraw: str | None,
    state: Path | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Make a token that lets a device in, on the device that founded the mesh. Treat it as a password.

    The token is shown this once; only a hash of it is kept. It holds the authority's hash too, so that the new device
    knows whom to believe.

    \b
    Examples:
      mesh invite
      mesh invite --uses 20 --expires 2d --note "junction cameras"
      mesh invite --list
      mesh invite --withdraw 3f9a01bc
    """
    from mesh.admission.register import Register

    config = _config(state, file)
    register = Register(config.authority)
    if listing:
        _list(register, as_json=as_json)
    elif withdraw is not None:
        gone = register.withdraw(withdraw)
        emit({"withdrawn": gone.id}) if as_json else pairs([("withdrawn", gone.id)])
    else:
        token, invitation = register.invite(_authority_of(config), uses=uses, lasts=_span(expires), note=note)
        found = {"token": str(token), "id": invitation.id, "expires": invitation.expires.isoformat()}
        if as_json:
            return emit(found)
        click.echo(str(token))
        click.echo(f"On the new device: mesh join {str(token)[:14]}...   (id {invitation.id}, for {expires})", err=True)
    return None


@click.command()
@click.argument("token")
@click.option("--peer", "doors", multiple=True, metavar="HOST:PORT", help="Where the join door is. May be repeated.")
@click.option("--interface", "interfaces", multiple=True, metavar="NAME", help="Where to look for it by mDNS.")
@_state
@_file
@as_json
def join(
    *,
    token: str,
    doors: tuple[str, ...],
    interfaces: tuple[str, ...],
    state: Path | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Join the mesh that TOKEN invites to. The device's key is made here and stays here.

    Without --peer the join door is looked for on the local network. TOKEN may be -, to read it from stdin: then it is
    in no list of processes and no shell's history.

    \b
    Examples:
      mesh join veil1-...
      mesh join - --peer 192.0.2.7:7412 < token.txt
    """
    from mesh.admission.enrolment import enrol
    from mesh.admission.token import Token
    from mesh.store.ownership import owned

    config = _config(state, file, interfaces=interfaces)
    found = Token.parse(sys.stdin.readline() if token == _STDIN else token)

    async def run() -> dict[str, str]:
        places = await _places(config, found.authority, doors)
        identity = await enrol(config.identity, found, places)
        return {"mesh": identity.mesh, "peer": str(identity.peer), "expires": identity.expires.isoformat()}

    with owned(config.state):
        joined = asyncio.run(run())
    if as_json:
        return emit(joined)
    pairs(list(joined.items()))
    click.echo("\nNext: `mesh up`.", err=True)
    return None


@click.command()
@click.option("--peer", "doors", multiple=True, metavar="HOST:PORT", help="Where the join door is now.")
@click.option("--offline", is_flag=True, help="Only destroy the key here; tell nobody.")
@_state
@_file
@as_json
def leave(*, doors: tuple[str, ...], offline: bool, state: Path | None, file: Path | None, as_json: bool) -> None:
    """Leave the mesh for good: the authority puts this device out, and its key is destroyed.

    Where the authority cannot be reached nothing is done, unless --offline is given: then whoever holds the authority
    should say `mesh ca revoke`, or the certificate stays good until it expires.

    \b
    Examples:
      mesh leave
      mesh leave --offline
    """
    from mesh.admission import enrolment
    from mesh.ids import PeerId
    from mesh.store.ownership import owned

    config = _config(state, file)
    door = enrolment.read_door(config.identity)
    if not offline and door is None and not doors:
        raise BadInput("this device was not let in by a door: `mesh leave --offline`, and `mesh ca revoke` there.")
    with owned(config.state):
        if not offline:
            known = [str(place) for place in door.places()] if door else []
            places = asyncio.run(_places(config, PeerId.parse(door.authority) if door else None, (*doors, *known)))
            asyncio.run(enrolment.leave(config.identity, places))
        enrolment.forget(config.identity)
    left = {"left": str(config.identity), "told": str(not offline).lower()}
    emit(left) if as_json else pairs(list(left.items()))


def _list(register: Register, *, as_json: bool) -> None:
    found = register.invitations()
    if as_json:
        return emit(found)
    now = datetime.datetime.now(datetime.UTC)
    rows = [
        (one.id, f"{one.used} of {one.uses}", f"{one.expires:%Y-%m-%d %H:%M}", one.trouble(now) or "stands", one.note)
        for one in found
    ]
    table(("ID", "USED", "EXPIRES (UTC)", "STATE", "NOTE"), rows)
    return None


def _config(
    state: Path | None, file: Path | None, passphrase_file: str | None = None, interfaces: tuple[str, ...] = ()
) -> NodeConfig:
    flags = {"state": state, "passphrase_file": passphrase_file, "interfaces": interfaces or None}
    return settings(flags, file=file).config


def _authority_of(config: NodeConfig) -> PeerId:
    from mesh.identity import authority_ids

    if not (config.authority / "authority.key.pem").exists():
        raise BadInput(f"no authority is kept here, in {config.authority}: invite on the device that founded the mesh.")
    return authority_ids(config.authority / "root.pem")[0]


def _span(text: str) -> datetime.timedelta:
    found = re.fullmatch(r"(\d{1,6})([mhd])", text.strip())
    if found is None:
        raise BadInput(f"{text[:20]!r} is no span of time: write 30m, 12h or 7d, for instance.")
    return datetime.timedelta(**{_UNITS[found[2]]: int(found[1])})


async def _places(config: NodeConfig, authority: PeerId | None, given: Sequence[str]) -> list[Address]:
    """Where the join door may be: as given, or else wherever it is announced."""
    from mesh.discovery.doorbell import find_doors

    if given:
        return [Address.parse(text) for text in dict.fromkeys(given)]
    found = await find_doors(authority, config.interfaces or None) if authority else []
    if not found:
        raise NoNode(
            "nobody announces a join door of that authority on the local network: is its node up? Where multicast is "
            "dropped, say where with --peer HOST:PORT."
        )
    return found
