"""An owner's side of private training: it reads its file, sees that its rows are the others' rows, and hands in shares.

Rows are aligned beforehand: every owner of columns has the same ids in the same order. That is checked, by digests
under a salt that only owners have; it is not made so. Private set intersection, by which owners find out which ids they
have in common without telling the others, is not done here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mesh.errors import BadInput, PeerMisbehaved, StoreError
from mesh.ids import Rank
from mesh.protocol import Device, Vault
from protocols.smpc.handing import Hander
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.roles import ASKER
from protocols.smpc.training.inside import DATA
from protocols.smpc.training.roles import Circles, Roles
from protocols.smpc.training.spec import TrainingSpec
from protocols.smpc.training.tables import Rows, rows_of
from protocols.smpc.training.words import HANDING, Finish, Lines, Salt, Table

__all__ = ["OwnerOfData"]

log = logging.getLogger(__name__)

_SALT = 32
_FOREVER = 10 * 365 * 86_400.0


class OwnerOfData:
    """One holding, at the device whose it is.

    Args:
        number: of the holding in the spec.
        vault: where the key is kept by which this data is known again.
    """

    def __init__(
        self, circles: Circles, spec: TrainingSpec, roles: Roles, number: int, *, device: Device, vault: Vault | None
    ) -> None:
        self._circles = circles
        self._circle = circles.data[number]
        self._spec = spec
        self._roles = roles
        self._number = number
        self._entropy: Callable[[int], bytes] = device.entropy
        self._vault = vault

    async def hand_in(self, path: Path) -> None:
        """From the file to the last share; then wait until the asking device needs us no more.

        Raises:
            BadInput: the file cannot be used, and it is the asking device's own. Any other owner writes that into its
                log, and tells the asking device just that it is so.
            PeerLost: somebody who was needed is gone.
        """
        rows = await self._rows(path)
        if rows is not None:
            await self._deal(rows)
        await self._circle.receive(ASKER, Finish)

    async def _rows(self, path: Path) -> Rows | None:
        try:
            rows = await asyncio.to_thread(rows_of, path, self._spec.data[self._number], self._spec)
            FixedPoint(self._spec.fraction).encode([np.abs(rows.x).max(), np.abs(rows.labels).max(initial=0)])
        except BadInput as error:
            if self._circle.rank == ASKER:
                raise
            log.warning("the table %s cannot be used: %s", self._spec.data[self._number].table, error)
            await self._circle.send(ASKER, Table(rows=0, columns=0, fingerprint=b"", trouble="unusable"))
            return None
        if self._spec.split == "columns" and len(self._spec.data) > 1 and not await self._aligned(rows):
            await self._circle.send(ASKER, Table(rows=0, columns=0, fingerprint=b"", trouble="unaligned"))
            return None
        return rows

    async def _aligned(self, rows: Rows) -> bool:
        """Whether every owner has the same ids in the same order. Each owner tells all others a digest."""
        lines, mine = self._circles.lines, self._number
        others = [(number, rank) for number, rank in enumerate(self._roles.owners) if number != mine]
        salt = self._entropy(_SALT)
        if mine == 0:
            for _, rank in others:
                await lines[0].send(rank, Salt(salt=salt))
        else:
            salt = (await lines[0].receive(self._roles.owners[0], Salt)).salt
            if len(salt) != _SALT:
                raise PeerMisbehaved(lines[0].peer(self._roles.owners[0]), "It sent no salt of 32 bytes.")
        digest = rows.lines(salt)
        for _, rank in others:
            await lines[mine].send(rank, Lines(digest=digest))
        heard = [(await lines[number].receive(rank, Lines)).digest for number, rank in others]
        return all(other == digest for other in heard)

    async def _deal(self, rows: Rows) -> None:
        table = Table(
            rows=rows.x.shape[0],
            columns=rows.x.shape[1],
            fingerprint=rows.fingerprint(await asyncio.to_thread(self._key)),
            trouble="",
        )
        for rank in (ASKER, *self._roles.parties):
            await self._circle.send(rank, table)
        row = FixedPoint(self._spec.fraction).encode(np.concatenate([rows.x.reshape(-1), rows.labels.reshape(-1)]))
        hander = Hander(self._circle, self._roles.parties, self._entropy, HANDING)
        await hander.begin()
        async for _ in hander.deal(DATA, row, acknowledged=True):
            pass

    def _key(self) -> bytes:
        """By which this device knows its own data again, and nobody else can. Without a vault, it is new every time."""
        if self._vault is None:
            return self._entropy(_SALT)
        me: Rank = self._circle.rank
        owner, name = self._circle.peer(me), "training/fingerprint"
        try:
            return self._vault.read(owner, name)
        except StoreError:
            key = self._entropy(_SALT)
            self._vault.put(owner, name, key, seconds=_FOREVER)
            return key
