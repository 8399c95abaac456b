"""A vault on disk: files that only this device's key opens, and that are over after a time.

    <root>/<SHA-256 of owner and name>       a head and a body, each sealed with AES-256-GCM

The key is derived from the device's private key, so whoever copies the folder alone has nothing; whoever has the
identity as well has everything. What is over is deleted when anything is kept or listed, and is never read.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mesh.errors import IdentityError, StoreError
from mesh.ids import PeerId
from mesh.protocol import Sealed, Vault
from mesh.store.directory import write_atomically

__all__ = ["MOST", "SealedVault", "vault_key"]

MOST = 2**30
"""Bytes that one owner may have kept here, overheads not counted."""

_MAGIC, _NONCE = b"VEIV1", 12
_LENGTH = struct.Struct("!I")


class _Head(msgspec.Struct, frozen=True, array_like=True):
    owner: str
    name: str
    size: int
    expires: float


def vault_key(identity: Path) -> bytes:
    """The 32 bytes that seal a device's vault. Raises IdentityError: there is no private key to derive them from."""
    path = identity / "key.pem"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise IdentityError(f"{path} cannot be read as a private key: {error}.") from error
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"veilmesh vault").derive(plain)


class SealedVault(Vault):
    """Args:
    root: made when it does not exist.
    key: 32 bytes that only this device has.
    now: seconds since the epoch.
    """

    def __init__(self, root: Path, key: bytes, now: Callable[[], float] = time.time) -> None:
        self._root = root
        self._cipher = AESGCM(key)
        self._now = now

    def put(self, owner: PeerId, name: str, data: bytes, *, seconds: float) -> None:
        others = sum(kept.size for kept in self.listing(owner=owner) if kept.name != name)
        if others + len(data) > MOST:
            raise StoreError(f"{owner.short} has {others} bytes kept here; of {MOST} there is no room for {len(data)}.")
        path = self._path(owner, name)
        head = msgspec.msgpack.encode(_Head(str(owner), name, len(data), self._now() + seconds))
        sealed = self._sealed(head, path.name.encode())
        write_atomically(path, _MAGIC + _LENGTH.pack(len(sealed)) + sealed + self._sealed(data, sealed))

    def read(self, owner: PeerId, name: str) -> bytes:
        path = self._path(owner, name)
        try:
            whole = path.read_bytes()
        except OSError as error:
            raise StoreError(f"Nothing is kept here as {name[:80]!r} for {owner.short}, or no longer.") from error
        head = self._head(path, whole)
        if head is None:
            raise StoreError(
                f"What was kept as {name[:80]!r} for {owner.short} is damaged, or sealed with another key."
            )
        if head.expires <= self._now():
            path.unlink(missing_ok=True)
            raise StoreError(f"What was kept as {name[:80]!r} for {owner.short} is over.")
        start = len(_MAGIC) + _LENGTH.size
        length = _LENGTH.unpack_from(whole, len(_MAGIC))[0]
        sealed, body = whole[start : start + length], whole[start + length :]
        try:
            return self._cipher.decrypt(body[:_NONCE], body[_NONCE:], sealed)
        except InvalidTag as error:
            raise StoreError(f"What was kept as {name[:80]!r} for {owner.short} is damaged.") from error

    def listing(self, prefix: str = "", owner: PeerId | None = None) -> list[Sealed]:
        found = [
            kept for _, kept in self._all() if (owner is None or kept.owner == owner) and _under(kept.name, prefix)
        ]
        return sorted(found, key=lambda kept: (_natural(kept.name), kept.owner))

    def remove(self, owner: PeerId, prefix: str) -> int:
        gone = [path for path, kept in self._all() if kept.owner == owner and _under(kept.name, prefix)]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def _all(self) -> Iterator[tuple[Path, Sealed]]:
        for path in sorted(self._root.glob("[0-9a-f]*")):
            try:
                with path.open("rb") as file:
                    start = file.read(len(_MAGIC) + _LENGTH.size)
                    whole = start + (file.read(_LENGTH.unpack_from(start, len(_MAGIC))[0]) if _begins(start) else b"")
            except OSError:
                continue  # deleted meanwhile
            head = self._head(path, whole)
            if head is None:
                continue
            if head.expires <= self._now():
                path.unlink(missing_ok=True)
                continue
            yield path, Sealed(PeerId(head.owner), head.name, head.size, head.expires)

    def _head(self, path: Path, whole: bytes) -> _Head | None:
        start = len(_MAGIC) + _LENGTH.size
        if not _begins(whole):
            return None
        sealed = whole[start : start + _LENGTH.unpack_from(whole, len(_MAGIC))[0]]
        try:
            head = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], path.name.encode())
            return msgspec.msgpack.decode(head, type=_Head)
        except (InvalidTag, ValueError, msgspec.DecodeError):
            return None

    def _sealed(self, data: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, context)

    def _path(self, owner: PeerId, name: str) -> Path:
        return self._root / hashlib.sha256(f"{owner}/{name}".encode()).hexdigest()


def _begins(whole: bytes) -> bool:
    return len(whole) >= len(_MAGIC) + _LENGTH.size and whole.startswith(_MAGIC)


def _under(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(f"{prefix}/")


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Numbers among the parts of a name in their order, 2 before 10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split("/")]
