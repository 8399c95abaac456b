"""`mesh ca`: found a mesh, and admit devices to it."""

from __future__ import annotations

from pathlib import Path

import click

from mesh.cli.screen import as_json, emit, pairs, table
from mesh.errors import BadInput, ConfigError
from mesh.settings import settings

__all__ = ["ca"]

_passphrase = click.option(
    "--passphrase-file", type=click.Path(path_type=Path), help="File whose first line locks the authority's key."
)
_policy = click.option("--policy", type=click.Path(path_type=Path), help="Lifetimes, as in certs/policy.toml.")
_authority = click.option(
    "--authority", required=True, type=click.Path(path_type=Path), help="The authority's folder, from `mesh ca init`."
)


@click.group()
def ca() -> None:
    """Found a mesh, and admit devices to it. Needed to join a mesh, never to run one.

    \b
    Examples:
      mesh ca init ./authority --mesh oak-street
      mesh ca issue --authority ./authority --out ./alice/identity
    """


@ca.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--mesh", required=True, help="The mesh's name: lower-case letters, digits, dots and dashes.")
@_passphrase
@_policy
@as_json
def init(folder: Path, mesh: str, passphrase_file: Path | None, policy: Path | None, as_json: bool) -> None:
    """Make a new authority in FOLDER. Keep it off the devices, and a copy of it somewhere safe.

    \b
    Example:
      mesh ca init ./authority --mesh oak-street --passphrase-file ./secret
    """
    from mesh.authority import Authority, Policy

    rules = Policy.from_toml(_text(policy)) if policy else None
    Authority.create(folder, mesh=mesh, passphrase=_secret(passphrase_file), policy=rules)
    found = {"mesh": mesh, "key": str(folder / "authority.key.pem"), "root": str(folder / "root.pem")}
    emit(found) if as_json else pairs(list(found.items()))


@ca.command()
@_authority
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the device's identity. Default: where `mesh up` looks."
)
@_passphrase
@_policy
@as_json
def issue(authority: Path, out: Path | None, passphrase_file: Path | None, policy: Path | None, as_json: bool) -> None:
    """Make a key and a certificate for one device. Copy the folder to its state folder, as `identity`.

    With `mesh ca sign` the key never leaves the device, which is better still.

    \b
    Examples:
      mesh ca issue --authority ./authority
      mesh ca issue --authority ./authority --out ./alice/identity
    """
    from mesh.admission.register import Register
    from mesh.authority import Authority, Policy

    rules = Policy.from_toml(_text(policy)) if policy else None
    folder = out or settings().config.identity
    identity = Authority.load(authority, passphrase=_secret(passphrase_file), policy=rules).issue(folder)
    Register(authority).enter(identity.peer)
    found = {"peer": str(identity.peer), "folder": str(folder), "expires": identity.expires.isoformat()}
    emit(found) if as_json else pairs(list(found.items()))


@ca.command()
@_authority
@click.argument("request", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File for the certificate.")
@_passphrase
@_policy
@as_json
def sign(
    *, authority: Path, request: Path, out: Path, passphrase_file: Path | None, policy: Path | None, as_json: bool
) -> None:
    """Sign a device's own request: a PEM file that `openssl req -new` made, see certs/README.md.

    \b
    Example:
      mesh ca sign --authority ./authority alice.csr --out alice.pem
    """
    from mesh.admission.register import Register
    from mesh.admission.requests import read_request
    from mesh.authority import Authority, Policy

    rules = Policy.from_toml(_text(policy)) if policy else None
    signer = Authority.load(authority, passphrase=_secret(passphrase_file), policy=rules)
    certificate = signer.sign(_text(request).encode())
    Register(authority).enter(read_request(_text(request)))
    try:
        out.write_bytes(certificate)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}): choose another --out.") from error
    found = {"certificate": str(out), "root": str(authority / "root.pem")}
    emit(found) if as_json else pairs(list(found.items()))


@ca.command()
@click.argument("peer")
@click.option("--authority", type=click.Path(path_type=Path), help="The authority's folder. Default: this device's.")
@click.option("--why", default="revoked", help="A word on the reason; it stays in the register.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the signed list, to be carried to a node.")
@_passphrase
@as_json
def revoke(
    *, peer: str, authority: Path | None, why: str, out: Path | None, passphrase_file: Path | None, as_json: bool
) -> None:
    """Put a device out of the mesh for good: nobody talks to PEER any more, whatever certificate it shows.

    Where a node runs on this device, it spreads the signed list by itself, within seconds. Where the authority is kept
    elsewhere, carry the list: `mesh ca spread LIST` on any device of the mesh.

    \b
    Examples:
      mesh ca revoke mdwuuyy6ihirhqbppvpzzuht2pnt3wj723lh4hwenc7tnlwzcvcq
      mesh ca revoke mdwu... --authority ./authority --out list
    """
    from mesh.admission.outcasts import Shunned, publish
    from mesh.admission.register import Register
    from mesh.authority import Authority
    from mesh.ids import PeerId
    from mesh.store.directory import write_atomically

    config = settings().config
    folder = authority or config.authority
    signer = Authority.load(folder, passphrase=_secret(passphrase_file or _named(config.passphrase_file)))
    number = Register(folder).remove(PeerId.parse(peer), why)
    data = publish(signer, Register(folder))
    if out is not None:
        write_atomically(out, data, mode=0o644)
    here = authority is None and Shunned(config.identity, signer.mesh).take(data)
    found = {"revoked": peer, "number": str(number), "list": str(out or ""), "spread": str(here).lower()}
    emit(found) if as_json else pairs(list(found.items()))


@ca.command()
@click.argument("file", metavar="LIST", type=click.Path(path_type=Path))
@as_json
def spread(file: Path, as_json: bool) -> None:
    """Take a signed list of those who are out to the node of this device, which tells everybody.

    \b
    Example:
      mesh ca spread list
    """
    from mesh.admission.outcasts import Shunned
    from mesh.identity import Identity

    identity = Identity.load(settings().config.identity)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from error
    shunned = Shunned(settings().config.identity, identity.mesh)
    found = {"news": str(shunned.take(data)).lower(), "out": str(len(shunned))}
    emit(found) if as_json else pairs([*found.items()])


@ca.command(name="list")
@click.option("--authority", type=click.Path(path_type=Path), help="The authority's folder. Default: this device's.")
@as_json
def listing(authority: Path | None, as_json: bool) -> None:
    """Who was let in, and who is out.

    \b
    Example:
      mesh ca list
    """
    from mesh.admission.register import Register

    register = Register(authority or settings().config.authority)
    devices, (_, removed) = register.devices(), register.removed()
    if as_json:
        emit({"devices": devices, "removed": removed})
        return
    rows = [(peer, "in", f"{one.at:%Y-%m-%d %H:%M}", one.invitation or "by hand") for peer, one in devices.items()]
    rows += [(peer, "out", f"{one.at:%Y-%m-%d %H:%M}", one.why) for peer, one in removed.items()]
    table(("PEER", "STATE", "SINCE (UTC)", "HOW"), sorted(rows, key=lambda row: row[2]))


def _named(file: str) -> Path | None:
    return Path(file) if file else None


def _secret(file: Path | None) -> str | None:
    from mesh.authority import secret_in

    return secret_in(file) if file else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
