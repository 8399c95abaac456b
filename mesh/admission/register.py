"""The authority's books: who was invited, who was let in, and who is out for good.

One file, `register.json`, beside the authority's key. Every change is written whole, under a lock, before its effect
leaves this device: a token that was used up stays used up, whatever happens next.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from mesh.admission.token import Token, proof_of
from mesh.errors import BadInput, ConfigError, IdentityError
from mesh.ids import PeerId
from mesh.store.directory import write_atomically

__all__ = ["Admitted", "Invitation", "Register", "Removed"]

MOST_USES = 10_000
"""Devices that one invitation may let in."""

LONGEST = datetime.timedelta(days=30)
"""How long an invitation may stand. A secret on paper is lost more easily than a key."""


class Invitation(msgspec.Struct, frozen=True):
    """What the authority keeps of a token.

    Attributes:
        id: what it is called in lists: the first 8 characters of `proof`.
        proof: see `token.proof_of`.
        uses: devices it may let in; `used`: devices it has let in.
    """

    id: str
    proof: str
    made: datetime.datetime
    expires: datetime.datetime
    uses: int
    used: int = 0
    note: str = ""

    def trouble(self, now: datetime.datetime) -> str | None:
        """Why it lets nobody in; None if it does."""
        if now >= self.expires:
            return f"that invitation expired at {self.expires:%Y-%m-%d %H:%M} UTC"
        if self.used >= self.uses:
            return f"that invitation has let in the {self.uses} it was made for"
        return None


class Admitted(msgspec.Struct, frozen=True):
    """A device that was let in, and by which invitation; "" if by hand."""

    at: datetime.datetime
    invitation: str = ""


class Removed(msgspec.Struct, frozen=True):
    """A device that is out for good, since when and why."""

    at: datetime.datetime
    why: str


class _Books(msgspec.Struct, forbid_unknown_fields=True):
    invitations: dict[str, Invitation] = {}
    devices: dict[str, Admitted] = {}
    removed: dict[str, Removed] = {}
    number: int = 0


class Register:
    """The books of the authority in `folder`. Several processes may use them at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "register.json"
        self._lock = folder / "register.lock"

    def invite(
        self, authority: PeerId, *, uses: int = 1, lasts: datetime.timedelta, note: str = ""
    ) -> tuple[Token, Invitation]:
        """A new token. Only its hash is kept: nobody can be shown it again.

        Raises:
            BadInput: so many uses, or so long a time, make no sense.
        """
        if not 1 <= uses <= MOST_USES:
            raise BadInput(f"An invitation is for 1 to {MOST_USES} devices, not {uses}.")
        if not datetime.timedelta(0) < lasts <= LONGEST:
            raise BadInput(f"An invitation stands for at most {LONGEST.days} days.")
        token, now = Token.fresh(authority), _now()
        proof = proof_of(token.secret)
        invitation = Invitation(proof[:8], proof, now, now + lasts, uses, note=note)
        with self._changing() as books:
            books.invitations = {
                name: old for name, old in books.invitations.items() if now < old.expires + LONGEST
            } | {invitation.id: invitation}
        return token, invitation

    def invitations(self) -> list[Invitation]:
        """Those on the books, oldest first; what expired long ago is forgotten."""
        return sorted(self._read().invitations.values(), key=lambda invitation: invitation.made)

    def withdraw(self, name: str) -> Invitation:
        """Take an invitation back. Whoever it has let in stays in. Raises BadInput: there is none of that id."""
        with self._changing() as books:
            found = books.invitations.pop(name, None)
        if found is None:
            raise BadInput(f"There is no invitation {name[:40]!r}: `mesh invite --list` shows those there are.")
        return found

    def admit(self, secret: bytes, peer: PeerId) -> None:
        """Let a device in. One that this invitation has let in already may ask again, at no cost: answers get lost.

        Raises:
            IdentityError: no such invitation, or it is used up or expired, or the device is out for good.
        """
        name, now = proof_of(secret)[:8], _now()
        with self._changing() as books:
            invitation = books.invitations.get(name)
            if invitation is None or invitation.proof != proof_of(secret):
                raise IdentityError("no such invitation stands: ask for a new token")
            _require_not_removed(books, peer)
            before = books.devices.get(peer)
            if before is not None and before.invitation == name and now < invitation.expires:
                return
            if (trouble := invitation.trouble(now)) is not None:
                raise IdentityError(f"{trouble}: ask for a new token")
            books.invitations[name] = msgspec.structs.replace(invitation, used=invitation.used + 1)
            books.devices[str(peer)] = Admitted(now, name)

    def enter(self, peer: PeerId) -> None:
        """Note a device that was let in by hand. Raises IdentityError: it is out for good."""
        with self._changing() as books:
            _require_not_removed(books, peer)
            books.devices.setdefault(str(peer), Admitted(_now()))

    def require_member(self, peer: PeerId) -> None:
        """Raises IdentityError: the device was never let in, or is out for good."""
        books = self._read()
        _require_not_removed(books, peer)
        if peer not in books.devices:
            raise IdentityError(f"{peer.short} was never let into this mesh: it needs a token")

    def remove(self, peer: PeerId, why: str) -> int:
        """Put a device out for good.

        Returns:
            The number of this state of the list of those who are out; it only grows.
        """
        with self._changing() as books:
            books.devices.pop(peer, None)
            if peer not in books.removed:
                books.removed[str(peer)] = Removed(_now(), why)
                books.number += 1
            return books.number

    def devices(self) -> dict[str, Admitted]:
        """Those who were let in and are not out."""
        return dict(self._read().devices)

    def removed(self) -> tuple[int, dict[str, Removed]]:
        """The number of this state of the list, and the list."""
        books = self._read()
        return books.number, dict(books.removed)

    def _read(self) -> _Books:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Books)
        except FileNotFoundError:
            return _Books()
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"{self._file} cannot be read ({error}): put back a copy of it.") from error

    @contextmanager
    def _changing(self) -> Iterator[_Books]:
        """The books, to be changed; written down unless an error comes out."""
        try:
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{self._lock} cannot be used ({error.strerror}): is the authority elsewhere?") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            books = self._read()
            yield books
            write_atomically(self._file, msgspec.json.format(msgspec.json.encode(books), indent=1))
        finally:
            os.close(handle)


def _require_not_removed(books: _Books, peer: PeerId) -> None:
    if (out := books.removed.get(peer)) is not None:
        raise IdentityError(f"{peer.short} was put out of this mesh at {out.at:%Y-%m-%d %H:%M} UTC ({out.why})")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
