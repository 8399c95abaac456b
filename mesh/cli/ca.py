"""`mesh ca`: found a mesh, and admit devices to it."""

from __future__ import annotations

from pathlib import Path

import click

from mesh.cli.screen import as_json, emit, pairs
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


def _secret(file: Path | None) -> str | None:
    from mesh.authority import secret_in

    return secret_in(file) if file else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.") from error
