"""What one party keeps of a training job: its shares of all state, sealed on its disk. Pure, but for a vault.

    training/NAME/STEP/SESSION      for the device that asked

Shares of different sessions do not belong together, so the session is part of the name; and the digest of everything
that shaped the model is inside, so that no job goes on from another's state.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mesh.errors import StoreError
from mesh.ids import PeerId
from mesh.protocol import Vault

__all__ = ["Checkpoint", "Checkpoints", "parties_of", "remember_parties"]

_KEPT = 2  # a party that was killed may lack the last one, and then all go on from the one before


class Checkpoint(msgspec.Struct, frozen=True):
    """One party's shares after a step, each in one row.

    Attributes:
        digest: of the job; see `TrainingSpec.digest`.
        party: which of the three it belongs to.
    """

    digest: bytes
    party: int
    first: bytes
    second: bytes


class Checkpoints:
    """Those of one job at one party.

    Args:
        owner: the device that asked.
        seconds: for which each is kept.
    """

    def __init__(self, vault: Vault, owner: PeerId, name: str, seconds: float) -> None:
        self._vault = vault
        self._owner = owner
        self._name = name
        self._seconds = seconds

    def keep(self, step: int, session: str, checkpoint: Checkpoint) -> None:
        """And let go of all but the last two. Raises StoreError: there is no room."""
        packed = msgspec.msgpack.encode(checkpoint)
        self._vault.remove(self._owner, f"{self._prefix}/{step}")
        self._vault.put(self._owner, f"{self._prefix}/{step}/{session}", packed, seconds=self._seconds)
        for old in sorted(self.listing())[:-_KEPT]:
            self._vault.remove(self._owner, f"{self._prefix}/{old}")

    def drop_after(self, step: int) -> None:
        """Let go of what lies ahead: it is of a session that is over, and will be done again."""
        for later in (one for one in self.listing() if one > step):
            self._vault.remove(self._owner, f"{self._prefix}/{later}")

    def listing(self) -> dict[int, str]:
        """The session of each that is here, by its step."""
        found = [kept.name.split("/") for kept in self._vault.listing(self._prefix, self._owner)]
        return {int(parts[2]): parts[3] for parts in found if len(parts) == 4 and parts[2].isdigit()}

    def read(self, step: int, session: str) -> Checkpoint:
        """One of them. Raises StoreError: it is not here, or damaged, or of another version."""
        packed = self._vault.read(self._owner, f"{self._prefix}/{step}/{session}")
        try:
            return msgspec.msgpack.decode(packed, type=Checkpoint)
        except msgspec.DecodeError as error:
            raise StoreError(f"The checkpoint of {self._name!r} is of another version.") from error

    def strange(self, digest: bytes) -> bool:
        """Whether any of them is of another job than this."""
        return any(self.read(step, session).digest != digest for step, session in self.listing().items())

    @property
    def _prefix(self) -> str:
        return f"training/{self._name}"


def parties_of(vault: Vault | None, me: PeerId, name: str) -> tuple[str, ...]:
    """Where a job was asked for: ids of the three that have its checkpoints; nobody, if it never began."""
    if vault is None:
        return ()
    try:
        return msgspec.msgpack.decode(vault.read(me, f"trainers/{name}"), type=tuple[str, ...])
    except (StoreError, msgspec.DecodeError):
        return ()


def remember_parties(vault: Vault, me: PeerId, name: str, parties: Sequence[PeerId], seconds: float) -> None:
    """Note them. Raises StoreError: there is no room."""
    vault.put(me, f"trainers/{name}", msgspec.msgpack.encode([str(peer) for peer in parties]), seconds=seconds)
