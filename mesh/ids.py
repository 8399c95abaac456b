"""Names that must never be mixed up."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NewType

from mesh.errors import IdentityError

__all__ = ["PeerId", "Rank", "SessionId", "belongs", "new_session"]

SessionId = NewType("SessionId", str)
"""One run of one protocol: 32 hexadecimal digits, the first half of them told by the peer that asked for it."""

Rank = NewType("Rank", int)
"""A peer's place in one group: 0 <= rank < size. Rank 0 asked for the job."""

_SESSION = re.compile(r"[0-9a-f]{32}")
_FORM = re.compile(r"[a-z2-7]{51}[aq]")  # 256 bits fill 51 characters and one bit of the last


class PeerId(str):
    """A device's name: base32 of the SHA-256 of its public key, 52 characters.

    Two ids are equal if and only if the keys are. The id is a valid DNS label, so a certificate can carry it as its
    name and TLS itself checks whom we reached.
    """

    __slots__ = ()

    @classmethod
    def of_key(cls, public_key_der: bytes) -> PeerId:
        """The id of a public key.

        Args:
            public_key_der: the key as DER-encoded SubjectPublicKeyInfo.
        """
        digest = hashlib.sha256(public_key_der).digest()
        return cls(base64.b32encode(digest).decode("ascii").rstrip("=").lower())

    @classmethod
    def parse(cls, text: str) -> PeerId:
        """The id that somebody wrote down.

        Raises:
            IdentityError: no public key can have that id.
        """
        if not _FORM.fullmatch(text):
            raise IdentityError(f"{text[:60]!r} is no peer id: expected 52 characters of a-z and 2-7.")
        return cls(text)

    @property
    def short(self) -> str:
        """The first seven characters, for people and logs."""
        return self[:7]

    def __repr__(self) -> str:
        return f"PeerId({self.short}…)"


def new_session(host: PeerId, entropy: bytes) -> SessionId:
    """The name of a session that `host` asks for.

    Args:
        entropy: eight random bytes, or the session is mixed up with another one of the same host.
    """
    return SessionId(_host_digits(host) + entropy[:8].hex().zfill(16))


def belongs(session: str, host: PeerId) -> bool:
    """Whether `host` may name a session so. Nobody can take a name away from the peer that is about to use it."""
    return _SESSION.fullmatch(session) is not None and session.startswith(_host_digits(host))


def _host_digits(host: PeerId) -> str:
    return hashlib.sha256(host.encode()).hexdigest()[:16]
