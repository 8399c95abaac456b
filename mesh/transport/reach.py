"""Reaching a peer at one of the addresses it was heard at, and saying plainly why that failed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from mesh.contracts import Address, Sighting
from mesh.errors import IdentityError, MeshError, PeerUnreachable
from mesh.ids import PeerId

__all__ = ["Patience", "reach"]

T = TypeVar("T")

_CHECK = "check that it is of the same mesh and not expired, and that both clocks are right"

_BEFORE_ASKING = (aiohttp.ClientConnectorError, aiohttp.ClientSSLError, aiohttp.ConnectionTimeoutError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait for others."""

    connect: float = 2.0
    """Seconds to reach one address, TLS included. A stale address delays a call by as much."""

    call: float = 5.0
    """Seconds for a whole control request, and for opening a channel, all addresses together."""


async def reach(to: Sighting, patience: Patience, attempt: Callable[[Address], Awaitable[T]]) -> T:
    """What `attempt` returns at the first of the peer's addresses where it gets through.

    Only a failure to connect, or another device in its place, leads on to the next address: what was asked once must
    not be asked again elsewhere.

    Raises:
        PeerUnreachable: nobody answered in time.
        IdentityError: somebody did, but not `to.peer`; or it does not believe that we are of its mesh.
    """
    failures: list[MeshError] = []
    try:
        async with asyncio.timeout(patience.call):
            for address in to.addresses:
                try:
                    with _translated(to.peer, address):
                        return await attempt(address)
                except _NotThere as failure:
                    failures.append(failure.error)
    except TimeoutError:
        failures.append(PeerUnreachable(to.peer, f"It did not answer within {patience.call:g} s."))
    if not failures:
        raise PeerUnreachable(to.peer, "It is not known where it lives.")
    # Another device at its address says more than silence at the next.
    raise min(failures, key=lambda failure: not isinstance(failure, IdentityError))


class _NotThere(Exception):
    """The peer cannot be reached at this address; nothing was asked yet."""

    def __init__(self, error: MeshError) -> None:
        super().__init__(str(error))
        self.error = error


@contextmanager
def _translated(peer: PeerId, address: Address) -> Iterator[None]:
    """Turn aiohttp's errors into ours, in one place."""
    try:
        yield
    except aiohttp.ClientError as error:
        if isinstance(error, _BEFORE_ASKING):
            raise _NotThere(_verdict(peer, address, error)) from error
        raise _verdict(peer, address, error) from error
    except OSError as error:  # from opening a channel, which may be tried again
        raise _NotThere(_verdict(peer, address, error)) from error


def _verdict(peer: PeerId, address: Address, error: Exception) -> MeshError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message if getattr(cause, "verify_message", None) else str(cause)
            return IdentityError(
                f"{address} is not {peer.short}: {why}. Either another device took that address, or the two are not "
                "of the same mesh: compare their ids and root.pem."
            )
        if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or ""):
            return IdentityError(f"{peer.short} at {address} refused our certificate ({cause.reason}): {_CHECK}.")
        if isinstance(cause, ConnectionResetError | BrokenPipeError | aiohttp.ServerDisconnectedError):
            # Under TLS 1.3, whoever is refused learns of it only like this.
            return PeerUnreachable(
                peer,
                f"It hung up at {address} before it answered. If it does so again, it may not believe our "
                f"certificate: {_CHECK}.",
            )
    if isinstance(error, TimeoutError):
        return PeerUnreachable(peer, f"Nobody answers at {address}.")
    return PeerUnreachable(peer, f"It cannot be reached at {address}: {error}.")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(8):
        if error is None:
            return
        yield error
        error = getattr(error, "certificate_error", None) or error.__cause__ or error.__context__
