"""What a person carries to a new device: which authority to believe, and a secret that says it may come in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Self

from mesh.errors import BadInput, IdentityError
from mesh.ids import PeerId

__all__ = ["SECRET_BYTES", "Token", "proof_of"]

SECRET_BYTES = 16
"""128 bits: not to be guessed, however many tries there are."""

_PREFIX = "veil1"
_CHECK = 4  # characters that find a slip of the finger before anything is sent


@dataclass(frozen=True, slots=True)
class Token:
    """An invitation on paper. Whoever has it can join until it is used up or expires: treat it as a password.

    Attributes:
        authority: hash of the authority's public key, in the form of a device's id. A new device checks it before it
            sends the secret to anybody.
        secret: what the authority knows only a hash of.
    """

    authority: PeerId
    secret: bytes = field(repr=False)

    @classmethod
    def fresh(cls, authority: PeerId) -> Self:
        return cls(authority, secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote, in any case and with blanks around it.

        Raises:
            BadInput: it is no token, or a character was mistyped.
        """
        parts = text.strip().lower().split("-")
        if len(parts) != 4 or parts[0] != _PREFIX:
            raise BadInput(f"That is no token: one has four parts and begins with {_PREFIX}-, see `mesh invite`.")
        if parts[3] != _check("-".join(parts[:3])):
            raise BadInput("The token is mistyped: its last characters do not fit the others. Copy it whole.")
        try:
            secret = base64.b32decode(parts[2].upper() + "=" * (-len(parts[2]) % 8))
            authority = PeerId.parse(parts[1])
        except (binascii.Error, IdentityError) as error:
            raise BadInput(f"That is no token ({error}): copy it whole from `mesh invite`.") from error
        if len(secret) != SECRET_BYTES:
            raise BadInput(f"The token's secret has {len(secret)} bytes instead of {SECRET_BYTES}: copy it whole.")
        return cls(authority, secret)

    def __str__(self) -> str:
        body = f"{_PREFIX}-{self.authority}-{_base32(self.secret)}"
        return f"{body}-{_check(body)}"


def proof_of(secret: bytes) -> str:
    """What the authority keeps of a secret: from it nobody gets the secret back."""
    return hashlib.sha256(b"veilmesh invitation\0" + secret).hexdigest()


def _check(body: str) -> str:
    return _base32(hashlib.sha256(body.encode()).digest())[:_CHECK]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower().rstrip("=")
