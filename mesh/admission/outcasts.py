"""Who is out for good: a list that the authority signs, and that every node keeps and passes on.

A list replaces any with a lower number from the same authority, whoever brings it: it proves itself. It names ids only,
so it stays small, and it never takes anybody back: a device that was put out by mistake joins again with a new key.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.admission.register import Register
from mesh.authority import Authority
from mesh.errors import BadFrame, IdentityError
from mesh.identity import key_id
from mesh.ids import PeerId
from mesh.store.directory import write_atomically

__all__ = ["LARGEST", "Outcasts", "Shunned", "publish"]

LARGEST = 2**18
"""Bytes of a list: some 4,700 devices."""

_CONTEXT = b"veilmesh outcasts 1\0"


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    body: bytes
    signature: bytes


class Outcasts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One state of the list.

    Attributes:
        authority: hash of the key that signed it.
        number: grows with every change; equal numbers are equal lists.
        issued: when, in UTC.
        peers: who is out, in order of id.
    """

    mesh: str
    authority: str
    number: int
    issued: datetime.datetime
    peers: tuple[str, ...]

    @classmethod
    def parse(cls, data: bytes | memoryview, mesh: str, roots: Sequence[x509.Certificate]) -> Self:
        """What arrived, if one of the authorities that we believe has signed it for this mesh.

        Raises:
            BadFrame: it is no list, or too long.
            IdentityError: it is another mesh's, or nobody we believe has signed it.
        """
        if len(data) > LARGEST:
            raise BadFrame(f"a list of outcasts of {len(data)} bytes; at most {LARGEST} are taken")
        try:
            signed = msgspec.msgpack.decode(data, type=_Signed)
            found = msgspec.json.decode(signed.body, type=cls)
            for peer in found.peers:
                PeerId.parse(peer)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, IdentityError) as error:
            raise BadFrame(f"not a list of outcasts: {error}") from error
        signers = [root for root in roots if key_id(root.public_key()) == found.authority]
        if found.mesh != mesh or not signers or found.number < 0:
            raise IdentityError("that list of outcasts is not of an authority of this mesh")
        key = signers[0].public_key()
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(signed.signature, _CONTEXT + signed.body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise IdentityError("the list of outcasts is not signed by the authority that it names") from error
        return found


def publish(authority: Authority, register: Register) -> bytes:
    """The list as the register has it now, signed."""
    number, removed = register.removed()
    body = msgspec.json.encode(
        Outcasts(
            authority.mesh,
            str(authority.id),
            number,
            datetime.datetime.now(datetime.UTC),
            tuple(sorted(removed)),
        )
    )
    return msgspec.msgpack.encode(_Signed(body, authority.vouch(_CONTEXT + body)))


class Shunned:
    """What this device knows of outcasts: one list of each authority, in the file `outcasts` beside its identity.

    Another process of this device may replace the file; `refresh` notices.

    Args:
        folder: that of the identity.
        mesh: which this device belongs to.
    """

    def __init__(self, folder: Path, mesh: str) -> None:
        self._file = folder / "outcasts"
        self._roots = folder / "root.pem"
        self._mesh = mesh
        self._stamp: tuple[int, int] | None = None
        self._lists: dict[str, tuple[Outcasts, bytes]] = {}
        self._peers: frozenset[str] = frozenset()
        self.refresh()

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._peers

    def __len__(self) -> int:
        return len(self._peers)

    def why(self, peer: PeerId) -> str | None:
        """Why nothing is to be had to do with that peer; None if there is no reason."""
        return f"{peer.short} was put out of this mesh by its authority." if peer in self._peers else None

    @property
    def state(self) -> dict[str, int]:
        """The number of each authority's list here."""
        return {authority: found.number for authority, (found, _) in self._lists.items()}

    def lists(self) -> list[bytes]:
        """All lists, as they are passed on."""
        return [data for _, data in self._lists.values()]

    def take(self, data: bytes | memoryview) -> bool:
        """Keep a list, if it is news here; whether it was.

        Raises:
            BadFrame, IdentityError: as `Outcasts.parse`.
            StoreError: it cannot be kept.
        """
        if not self._note(bytes(data)):
            return False
        write_atomically(self._file, msgspec.msgpack.encode(self.lists()), mode=0o644)
        return True

    def refresh(self) -> bool:
        """Read what another process may have written. Whether there was news. What is damaged counts as nothing."""
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            found = msgspec.msgpack.decode(self._file.read_bytes(), type=list[bytes])
            news = [self._note(data) for data in found]
        except (OSError, msgspec.DecodeError, BadFrame, IdentityError):
            return False
        return any(news)

    def _note(self, data: bytes) -> bool:
        roots = x509.load_pem_x509_certificates(self._roots.read_bytes())
        found = Outcasts.parse(data, self._mesh, roots)
        known = self._lists.get(found.authority)
        if known is not None and found.number <= known[0].number:
            return False
        self._lists[found.authority] = (found, data)
        self._peers |= frozenset(found.peers)
        return True
