"""Answers that stay: as shares with the three parties for a job to come, or whole with a receiver. Knows no network.

    at a party      shares/NAME/NUMBER/SESSION    its two shares, for the device that asked
    where asked     kept/NAME                     who the three are, and which answers they keep
    at a receiver   answers/NAME/NUMBER           the outputs

The session is part of a share's name, so that shares of two sessions, which do not belong together, are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mesh.errors import BadInput, NoPlan, StoreError
from mesh.ids import PeerId
from mesh.protocol import Vault
from mesh.tensors import Tensors
from protocols.smpc.program.steps import Port
from protocols.smpc.spec import PrivateSpec

__all__ = [
    "KeptShares", "Record", "Shares", "bound_to", "held_port", "keep_answer", "name_of", "record_of", "remember",
]  # fmt: skip


class KeptShares(msgspec.Struct, frozen=True):
    """One party's shares of all outputs of one answer, each row in the order of `outputs`."""

    party: int
    fraction: int
    outputs: tuple[Port, ...]
    first: bytes
    second: bytes


class Record(msgspec.Struct, frozen=True):
    """What the asking device remembers of answers that three others keep.

    Attributes:
        parties: ids of the three, by number.
        sessions: in which each answer was made, by its number.
    """

    parties: tuple[str, ...]
    fraction: int
    outputs: tuple[Port, ...]
    sessions: dict[int, str]


def name_of(word: str) -> str:
    """The name in "NAME" or "NAME:OUTPUT"."""
    return word.partition(":")[0]


def held_port(word: str, outputs: Sequence[Port]) -> Port:
    """Which output "NAME" or "NAME:OUTPUT" means. Raises BadInput: none of that name, or one must be named."""
    name, _, output = word.partition(":")
    fitting = [port for port in outputs if output in ("", port.name)]
    if len(fitting) != 1:
        known = ", ".join(port.name for port in outputs)
        raise BadInput(f"Which output of {name!r} is meant? Write {name}:OUTPUT; it has {known}.")
    return fitting[0]


class Shares:
    """What one party keeps for the device that asks.

    Args:
        owner: that device.
    """

    def __init__(self, vault: Vault, owner: PeerId) -> None:
        self._vault = vault
        self._owner = owner

    def keep(self, name: str, number: int, session: str, shares: KeptShares, seconds: float) -> None:
        """In place of whatever was kept under that name and number; number 0 begins anew. Raises StoreError."""
        self._vault.remove(self._owner, f"shares/{name}/{number}" if number else f"shares/{name}")
        packed = msgspec.msgpack.encode(shares)
        self._vault.put(self._owner, f"shares/{name}/{number}/{session}", packed, seconds=seconds)

    def listing(self, name: str) -> dict[int, str]:
        """The session of each answer that is here, by its number."""
        found = [kept.name.split("/") for kept in self._vault.listing(f"shares/{name}", self._owner)]
        return {int(parts[2]): parts[3] for parts in found if len(parts) == 4 and parts[2].isdigit()}

    def read(self, name: str, number: int) -> KeptShares:
        """One of them back. Raises StoreError: it is gone."""
        session = self.listing(name).get(number)
        packed = self._vault.read(self._owner, f"shares/{name}/{number}/{session}")
        try:
            return msgspec.msgpack.decode(packed, type=KeptShares)
        except msgspec.DecodeError as error:
            raise StoreError(f"What is kept as {name[:80]!r} is of another version: compute it again.") from error


def record_of(vault: Vault | None, me: PeerId, name: str) -> Record | None:
    """What is remembered of answers kept as `name`; None, if there are none, or none any more."""
    if vault is None:
        return None
    try:
        return msgspec.msgpack.decode(vault.read(me, f"kept/{name}"), type=Record)
    except (StoreError, msgspec.DecodeError):
        return None


def remember(vault: Vault, me: PeerId, spec: PrivateSpec, parties: Sequence[PeerId], made: Mapping[int, str]) -> None:
    """Note what the three keep by now; number 0 begins anew. Raises StoreError."""
    before = record_of(vault, me, spec.name)
    known = {} if before is None or 0 in made else before.sessions
    record = Record(tuple(map(str, parties)), spec.fraction, spec.program.outputs, {**known, **made})
    vault.put(me, f"kept/{spec.name}", msgspec.msgpack.encode(record), seconds=spec.keep)


def keep_answer(vault: Vault, owner: PeerId, spec: PrivateSpec, number: int, answer: Tensors) -> None:
    """An answer, at one who receives it; number 0 begins anew. Raises StoreError."""
    if number == 0:
        vault.remove(owner, f"answers/{spec.name}")
    vault.put(owner, f"answers/{spec.name}/{number}", msgspec.msgpack.encode(answer), seconds=spec.keep)


def bound_to(vault: Vault | None, me: PeerId, spec: PrivateSpec) -> tuple[str, ...]:
    """The three that this job needs, because they keep what it goes on with or adds to; nobody, if any will do.

    Raises:
        NoPlan: what it goes on with is not kept, or by different threes, or does not fit the program.
    """
    records: dict[str, Record] = {}
    for port in spec.program.inputs:
        if port.name not in spec.held:
            continue
        name = name_of(spec.held[port.name])
        record = record_of(vault, me, name)
        if record is None:
            raise NoPlan(f"Nothing is kept as {name[:80]!r}, or no longer: see `mesh results`, or compute it again.")
        records[name] = record
        _expect_fit(port, name, spec.held[port.name], record)
    if spec.keeps and (before := record_of(vault, me, spec.name)) is not None:
        records[spec.name] = before
    if len({record.parties for record in records.values()}) > 1:
        raise NoPlan(
            f"{', '.join(map(repr, records))} are kept by different devices, and cannot be used together: compute one "
            "of them again, or remove it with `mesh results remove NAME`."
        )
    return next((record.parties for record in records.values()), ())


def _expect_fit(port: Port, name: str, word: str, record: Record) -> None:
    try:
        source = held_port(word, record.outputs)
    except BadInput as error:
        raise NoPlan(str(error)) from error
    if (source.tensor.shape, source.tensor.kind) != (port.tensor.shape, port.tensor.kind):
        raise NoPlan(
            f"The input {port.name!r} takes {list(port.tensor.shape)} {port.tensor.kind}s, and {name!r} is "
            f"{list(source.tensor.shape)} {source.tensor.kind}s."
        )
