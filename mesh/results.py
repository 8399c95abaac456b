"""Answers that are kept here, and what others keep for us: what a person may see of a vault, by its names.

answers/NAME/NUMBER    an answer that this device received; whose job it was is its owner
kept/NAME              a note of ours on answers that stay, as shares, with the devices that made them
shares/NAME/...        such shares that we keep for another device; nobody here can read them
"""

from __future__ import annotations

import msgspec

from mesh.errors import BadInput, StoreError
from mesh.ids import PeerId
from mesh.protocol import Sealed, Vault
from mesh.tensors import Tensors

__all__ = ["Kept", "answers_in", "keepers", "kept_in"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What `mesh results` shows of one name.

    Attributes:
        kind: "answers", which can be read here; "elsewhere", shares that others keep for us; "shares", the same for
            another device.
        peer: whose job made them.
        count: how many answers.
        size: bytes here.
        expires: seconds since the epoch.
        keepers: who else has a part of them.
    """

    name: str
    kind: str
    peer: PeerId
    count: int
    size: int
    expires: float
    keepers: tuple[str, ...] = ()


class _Note(msgspec.Struct):
    parties: tuple[str, ...]
    sessions: dict[int, str]


def kept_in(vault: Vault | None) -> list[Kept]:
    """Everything, one entry a name."""
    groups: dict[tuple[str, PeerId, str], list[Sealed]] = {}
    for sealed in [] if vault is None else vault.listing():
        kind, _, rest = sealed.name.partition("/")
        groups.setdefault((kind, sealed.owner, rest.partition("/")[0]), []).append(sealed)
    return [_kept(vault, kind, peer, name, found) for (kind, peer, name), found in groups.items() if vault is not None]


def answers_in(vault: Vault | None, name: str, peer: str = "") -> list[Tensors]:
    """The answers received under a name, in order of their numbers.

    Args:
        peer: whose job they are of, by enough of its id; needed where several have used that name.

    Raises:
        BadInput: there are none, or several have used that name.
        StoreError: one is damaged.
    """
    if vault is None:
        raise BadInput("This node keeps nothing.")
    found = [sealed for sealed in vault.listing(f"answers/{name}") if sealed.owner.startswith(peer)]
    if not found:
        known = ", ".join(sorted({kept.name for kept in kept_in(vault) if kept.kind == "answers"})) or "none"
        raise BadInput(f"No answers are here as {name[:80]!r}. Those that are: {known}.")
    if len({sealed.owner for sealed in found}) > 1:
        owners = ", ".join(sorted({sealed.owner.short for sealed in found}))
        raise BadInput(f"Jobs of {owners} have given answers as {name!r}: say whose, with --from.")
    try:
        return [msgspec.msgpack.decode(vault.read(sealed.owner, sealed.name), type=Tensors) for sealed in found]
    except msgspec.DecodeError as error:
        raise StoreError(f"An answer kept as {name!r} is of another version.") from error


def keepers(vault: Vault | None, me: PeerId, name: str) -> tuple[PeerId, ...]:
    """Who keeps shares for us under a name; nobody, if there are none."""
    note = _note(vault, me, f"kept/{name}")
    return tuple(map(PeerId, note.parties)) if note is not None else ()


def _kept(vault: Vault, kind: str, peer: PeerId, name: str, found: list[Sealed]) -> Kept:
    note = _note(vault, peer, found[0].name) if kind == "kept" else None
    return Kept(
        name=name,
        kind="elsewhere" if kind == "kept" else kind,
        peer=peer,
        count=len(note.sessions) if note is not None else len(found),
        size=sum(sealed.size for sealed in found),
        expires=min(sealed.expires for sealed in found),
        keepers=note.parties if note is not None else (),
    )


def _note(vault: Vault | None, owner: PeerId, name: str) -> _Note | None:
    if vault is None:
        return None
    try:
        return msgspec.msgpack.decode(vault.read(owner, name), type=_Note)
    except (StoreError, msgspec.DecodeError):
        return None
