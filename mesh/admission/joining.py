"""A new device's side of the join door: get in with a token, get a new certificate in time, and leave for good.

The order matters. First the authority's certificate is fetched from whoever answers, and believed only if its hash is
the one in the token. Then a connection is made that only the holder of that authority's key can answer. Only over that
one does the secret go, with a signing request; the device's key stays where it was made.
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import aiohttp
import aiohttp.web
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from mesh.admission.requests import key_of, write_request
from mesh.admission.token import Token
from mesh.admission.words import (
    JOIN,
    LARGEST,
    LEAVE,
    RENEW,
    ROOT,
    Farewell,
    Joining,
    Leaving,
    Refusal,
    Renewing,
    Welcome,
    decoded,
)
from mesh.authority import DOOR
from mesh.contracts import Address
from mesh.errors import BadFrame, IdentityError, MeshError, NoNode, one_line
from mesh.identity import key_id
from mesh.ids import PeerId

__all__ = ["ASKING", "join", "leave", "renew"]

ASKING = 10.0
"""Seconds for one question at the door, TLS included."""

T = TypeVar("T")


async def join(doors: Sequence[Address], token: Token, key_pem: bytes) -> Welcome:
    """Be let in at the first of these doors that answers.

    Raises:
        IdentityError: the authority there is not the token's, or it says no, or the clock here is wrong.
        NoNode: nobody answers.
    """

    async def at(door: Address) -> Welcome:
        root = await _root(door, token.authority)
        asked = Joining(token.secret, write_request(key_of(key_pem), "join"))
        return await _ask(door, root.decode(), JOIN, asked, Welcome)

    return await _first(doors, at)


async def renew(doors: Sequence[Address], roots_pem: str, key_pem: bytes) -> Welcome:
    """A new certificate for the same key, which may have expired long ago. Raises as `join`.

    Args:
        roots_pem: the authorities that this device believes.
    """
    asked = Renewing(write_request(key_of(key_pem), "join"))

    async def at(door: Address) -> Welcome:
        return await _ask(door, roots_pem, RENEW, asked, Welcome)

    return await _first(doors, at)


async def leave(doors: Sequence[Address], roots_pem: str, key_pem: bytes) -> Farewell:
    """Be put out for good. Raises as `join`."""
    asked = Leaving(write_request(key_of(key_pem), "leave"))

    async def at(door: Address) -> Farewell:
        return await _ask(door, roots_pem, LEAVE, asked, Farewell)

    return await _first(doors, at)


async def _first(doors: Sequence[Address], attempt: Callable[[Address], Awaitable[T]]) -> T:
    failures: list[MeshError] = []
    for door in doors:
        try:
            return await attempt(door)
        except MeshError as error:
            failures.append(error)
    if not failures:
        raise NoNode("no join door is known: give its address with --peer HOST:PORT.")
    raise min(failures, key=lambda error: not isinstance(error, IdentityError))  # a no says more than silence


async def _root(door: Address, authority: PeerId) -> bytes:
    """The certificate of the authority with that hash. Whoever it comes from, nobody can make another one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing goes out, and what comes in is checked by its hash
    status, pem = await _exchange(door, context, ROOT, None)
    try:
        if status != aiohttp.web.HTTPOk.status_code:
            raise ValueError(f"HTTP {status}")
        root = x509.load_pem_x509_certificate(pem)
        root.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise IdentityError(f"{door} is no join door of this version: it sent no authority ({error}).") from error
    if (found := key_id(root.public_key())) != authority:
        raise IdentityError(
            f"{door} belongs to the authority {found.short}, and the token is from {authority.short}: it is another "
            "mesh's, or somebody pretends to be yours. The secret was not sent."
        )
    _require_time(root, door)
    return pem


def _require_time(root: x509.Certificate, door: Address) -> None:
    now = datetime.datetime.now(datetime.UTC)
    if not root.not_valid_before_utc <= now <= root.not_valid_after_utc:
        raise IdentityError(
            f"the authority at {door} is valid from {root.not_valid_before_utc:%Y-%m-%d %H:%M} to "
            f"{root.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, and this device believes it is {now:%Y-%m-%d %H:%M}: "
            "check the clock."
        )


async def _ask(door: Address, roots_pem: str, path: str, question: msgspec.Struct, expected: type[T]) -> T:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=roots_pem)
    status, data = await _exchange(door, context, path, msgspec.json.encode(question))
    try:
        if status == aiohttp.web.HTTPOk.status_code:
            return decoded(expected, data)
        reason = decoded(Refusal, data).reason
    except BadFrame as error:
        raise IdentityError(f"{door} is no join door of this version: {error}.") from error
    raise IdentityError(f"the authority at {door} says no: {one_line(reason)}.")


async def _exchange(door: Address, context: ssl.SSLContext, path: str, body: bytes | None) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=ASKING)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as client,
            client.request(
                "GET" if body is None else "POST",
                f"https://{door}{path}",
                data=body,
                ssl=context,
                server_hostname=DOOR if context.check_hostname else None,
                allow_redirects=False,
            ) as reply,
        ):
            data = await reply.content.read(LARGEST + 1)
            if len(data) > LARGEST or not reply.content.at_eof():
                raise IdentityError(f"{door} is no join door of this version: it sent over {LARGEST} bytes.")
            return reply.status, data
    except TimeoutError as error:
        raise NoNode(f"nobody answers at {door} within {ASKING:.0f} s.") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise IdentityError(
            f"whoever answers at {door} does not hold this authority's key ({error.certificate_error}): the secret was "
            "not sent. If the address is right, check both clocks."
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise NoNode(f"no join door answers at {door}: {error}.") from error
