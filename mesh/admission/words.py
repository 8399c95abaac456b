"""What a device and the authority say to each other at the join door: JSON over TLS, each message a few kilobytes.

    GET  /v1/root     the authority's certificate, for whoever asks; believed only if its hash is the token's
    POST /v1/join     Joining -> Welcome
    POST /v1/renew    Renewing -> Welcome
    POST /v1/leave    Leaving -> Farewell

A refusal is a `Refusal`, with HTTP status 403.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from mesh.errors import BadFrame

__all__ = [
    "JOIN",
    "LARGEST",
    "LEAVE",
    "RENEW",
    "ROOT",
    "Farewell",
    "Joining",
    "Leaving",
    "Refusal",
    "Renewing",
    "Welcome",
    "decoded",
]

ROOT, JOIN, RENEW, LEAVE = "/v1/root", "/v1/join", "/v1/renew", "/v1/leave"

LARGEST = 64 * 1024
"""Bytes of one message at most."""

T = TypeVar("T")


class Joining(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let me in: the token's secret, and a signing request (PEM). The key itself stays on the device."""

    secret: bytes
    request: str


class Renewing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give me a new certificate for the key that you know me by. The signing request proves that I have it."""

    request: str


class Leaving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Put me out for good. The request is signed with my key, and made for this: see `joining.leaving_request`."""

    request: str


class Welcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate, and every authority that is to be believed. PEM, both."""

    certificate: str
    roots: str


class Farewell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """You are out; nobody will take your certificate any more once the list has reached them."""


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No, and a sentence for a person."""

    reason: str


def decoded(kind: type[T], data: bytes) -> T:
    """What arrived, trusting nothing. Raises BadFrame."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"{kind.__name__}: {error}") from error
