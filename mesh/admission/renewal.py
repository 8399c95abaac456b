"""Keeps a running device's certificate fresh: at two thirds of its life the authority's door is asked for the next."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography import x509

from mesh.admission.enrolment import Door, note_time, read_door, renewed, require_time, write_door
from mesh.contracts import Address
from mesh.errors import IdentityError, MeshError
from mesh.identity import Identity
from mesh.ids import PeerId

__all__ = ["Look", "due", "kept_fresh", "loaded"]

log = logging.getLogger(__name__)

LOOK = 600.0
"""Seconds between looks at the clock; a device that slept finds out within as many."""

RETRY = (60.0, 3600.0)
"""Seconds after which a renewal that failed is tried again: the first, doubled each time, and at most the second."""

WARNINGS = (30, 7, 1)
"""Days before its end at which the authority's own certificate is warned of."""

Look = Callable[[PeerId], Awaitable[Sequence[Address]]]
"""Where the door of the authority with that hash may be, besides where it was before."""


def due(certificate: Path, peer: PeerId) -> datetime.datetime:
    """When to renew: once 60 to 67 % of its life are over. Its id decides which, so that devices take turns."""
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return begin + (end - begin) * (2 / 3 - (ord(peer[0]) % 8) / 8 * 0.07)


async def loaded(folder: Path, look: Look) -> Identity:
    """The identity in `folder`, renewed first if it has expired and somebody let this device in by a door.

    Raises:
        IdentityError: it cannot be used, and what would mend it; or the clock here is wrong.
    """
    require_time(folder)
    door = read_door(folder)
    if door is None or not _over(folder):
        return Identity.load(folder)
    log.info("the certificate here has expired; asking the authority for another")
    try:
        return await _renew(folder, door, look)
    except MeshError as error:
        raise IdentityError(f"{folder}/certificate.pem has expired, and could not be renewed: {error}") from error


@asynccontextmanager
async def kept_fresh(identity: Identity, look: Look, renewed: Callable[[Identity], None]) -> AsyncIterator[None]:
    """Renew in time for as long as the context is open. Does nothing for a device that no door has let in.

    Args:
        renewed: is given each new identity.
    """
    folder = identity.certificate.parent
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(_keep(folder, identity.peer, look, renewed))
        try:
            yield
        finally:
            task.cancel()


async def _keep(folder: Path, peer: PeerId, look: Look, renewed: Callable[[Identity], None]) -> None:
    pause, told = RETRY[0], WARNINGS[0] + 1
    while True:
        note_time(folder)
        told = _warn(folder, told)
        door = read_door(folder)
        wait = LOOK
        if door is not None and due(folder / "certificate.pem", peer) <= datetime.datetime.now(datetime.UTC):
            try:
                renewed(identity := await _renew(folder, door, look))
                log.info("renewed the certificate, until=%s", identity.expires.isoformat())
                pause = RETRY[0]
            except MeshError as error:
                log.warning("could not renew the certificate, retry=%.0f reason=%s", pause, error)
                wait, pause = pause, min(2 * pause, RETRY[1])
        await asyncio.sleep(wait)


async def _renew(folder: Path, door: Door, look: Look) -> Identity:
    known = door.places()
    try:
        return await renewed(folder, known)
    except MeshError as error:
        moved = [place for place in await look(PeerId.parse(door.authority)) if place not in known]
        if not moved:
            raise
        log.info("the authority is not where it was (%s); trying where it is announced", error)
    identity = await renewed(folder, moved)
    write_door(folder, Door(door.authority, tuple(map(str, [*moved, *known][:8]))))
    return identity


def _over(folder: Path) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes())
    except (OSError, ValueError):
        return False  # `Identity.load` says it better
    return leaf.not_valid_after_utc <= datetime.datetime.now(datetime.UTC)


def _warn(folder: Path, told: int) -> int:
    """Warn once at each of the steps before the last of our authorities ends; the step that was warned of."""
    roots = x509.load_pem_x509_certificates((folder / "root.pem").read_bytes())
    left = (max(root.not_valid_after_utc for root in roots) - datetime.datetime.now(datetime.UTC)).days
    step = min((days for days in WARNINGS if left < days), default=told)
    if step < told:
        log.warning("this mesh's authority ends in %d days; whoever holds its key: `mesh ca rotate`", left)
    return min(step, told)
