"""A device's own papers: how it gets them, keeps them fresh, and gives them up.

Besides the three files of an identity the folder holds `door.json`: which authority let us in and where its door was;
and `clock`: the latest time that this device has been sure of.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.admission import joining
from mesh.admission.requests import key_of
from mesh.admission.token import Token
from mesh.admission.words import Welcome
from mesh.contracts import Address
from mesh.errors import BadInput, ConfigError, IdentityError
from mesh.identity import Identity, key_id, require_private
from mesh.store.directory import write_atomically

__all__ = ["Door", "enrol", "forget", "leave", "note_time", "read_door", "renewed", "require_time", "write_door"]

SLACK = datetime.timedelta(hours=1)
"""How far a clock may fall behind the latest time it was sure of: clocks are set back by a little now and then."""


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the authority was last found, first the place that answered last. It may have moved since."""

    authority: str
    addresses: tuple[str, ...]

    def places(self) -> list[Address]:
        """Raises ConfigError: one is not written as it should be."""
        return [Address.parse(text) for text in self.addresses]


async def enrol(folder: Path, token: Token, doors: Sequence[Address]) -> Identity:
    """Make a key here, have it signed, and keep both in `folder`. What failed may simply be tried again.

    Raises:
        BadInput: this device is in a mesh already.
        IdentityError: the door says no, or is not the token's authority's, or the clock here is wrong.
        NoNode: no door answers.
        ConfigError, StoreError: the folder cannot be written.
    """
    if (folder / "certificate.pem").exists():
        raise BadInput(f"this device has a certificate already, in {folder}: `mesh leave` gives it up.")
    key_pem = _key(folder)
    welcome = await joining.join(doors, token, key_pem)
    _require_ours(welcome, key_pem)
    write_door(folder, Door(str(token.authority), tuple(map(str, doors))))
    _keep(folder, welcome)
    note_time(folder)
    return Identity.load(folder)


async def renewed(folder: Path, doors: Sequence[Address]) -> Identity:
    """The identity in `folder` with a new certificate. The old one stays until the new one is there, and fits."""
    key_pem, roots = _read(folder / "key.pem"), _read(folder / "root.pem").decode(errors="replace")
    welcome = await joining.renew(doors, roots, key_pem)
    _require_ours(welcome, key_pem)
    _keep(folder, welcome)
    note_time(folder)
    return Identity.load(folder)


async def leave(folder: Path, doors: Sequence[Address]) -> None:
    """Be put out by the authority. The files stay; see `forget`. Raises as `enrol`."""
    roots = _read(folder / "root.pem").decode(errors="replace")
    await joining.leave(doors, roots, _read(folder / "key.pem"))


def forget(folder: Path) -> None:
    """Destroy this device's papers, its key first."""
    for name in ("key.pem", "certificate.pem", "root.pem", "door.json", "clock"):
        (folder / name).unlink(missing_ok=True)


def read_door(folder: Path) -> Door | None:
    """Where the authority's door was; None if nobody let this device in by one. Raises ConfigError: damaged."""
    try:
        return msgspec.json.decode((folder / "door.json").read_bytes(), type=Door)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{folder}/door.json cannot be read ({error}): remove it, and join again.") from error


def write_door(folder: Path, door: Door) -> None:
    """Note where the authority's door is."""
    write_atomically(folder / "door.json", msgspec.json.encode(door))


def note_time(folder: Path) -> None:
    """Keep the present time as one that was: no clock may later say that it has not come yet."""
    write_atomically(folder / "clock", datetime.datetime.now(datetime.UTC).isoformat().encode())


def require_time(folder: Path) -> None:
    """Raises IdentityError: the clock here says a time that was over long ago, as boards without a battery do."""
    try:
        latest = datetime.datetime.fromisoformat((folder / "clock").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return  # nothing was noted yet, or nothing that can be read: certificates still have dates
    now = datetime.datetime.now(datetime.UTC)
    if latest.tzinfo is not None and now < latest - SLACK:
        raise IdentityError(
            f"this device believes it is {now:%Y-%m-%d %H:%M} UTC, and it has been {latest:%Y-%m-%d %H:%M} here "
            f"already: set the clock. If it is the note that is wrong, remove {folder}/clock."
        )


def _key(folder: Path) -> bytes:
    """This device's key; made where there is none, so that asking again asks for the same device."""
    path = folder / "key.pem"
    if path.exists():
        require_private(path)
        return _read(path)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(handle)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): choose another --state.") from error
    return pem


def _require_ours(welcome: Welcome, key_pem: bytes) -> None:
    """Raises IdentityError: it is not a certificate of our key that one of the authorities it came with has signed."""
    try:
        leaf = x509.load_pem_x509_certificate(welcome.certificate.encode())
        roots = x509.load_pem_x509_certificates(welcome.roots.encode())
    except (ValueError, x509.InvalidVersion) as error:
        raise IdentityError(f"the authority sent no certificate ({error}): is it of another version?") from error
    if key_id(leaf.public_key()) != key_id(key_of(key_pem).public_key()):
        raise IdentityError("the authority signed another key than ours: do not use it.")
    if not any(_signed(leaf, root) for root in roots):
        raise IdentityError("the certificate is not of an authority that came with it: do not use it.")


def _signed(leaf: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _keep(folder: Path, welcome: Welcome) -> None:
    # Roots first: were we cut off in between, the old certificate is still one that they vouch for.
    write_atomically(folder / "root.pem", welcome.roots.encode(), mode=0o644)
    write_atomically(folder / "certificate.pem", welcome.certificate.encode(), mode=0o644)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IdentityError(f"{path} cannot be read ({error.strerror}): is this device in a mesh?") from error
