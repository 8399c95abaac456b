"""What a person asks of private training: whose data, which model, how it learns, and who is told what of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mesh.errors import BadInput
from mesh.messages import canonical
from protocols.smpc.training.losses import LossKind, label_columns
from protocols.smpc.training.network import Laid, Layer, Shape, lay_out
from protocols.smpc.training.optimisers import Optimiser

__all__ = ["ME", "MOST_ROWS", "SHARES", "Holding", "TrainingSpec"]

ME, SHARES = "me", "shares"
"""Receivers that are no peer's id: the device that asks; and none, the model staying with the three as shares."""

MOST_ROWS = 2**24
"""Of all owners together."""

MOST_NUMBERS = 2**27
"""Numbers of all owners together: 2 GiB of shares at each party."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_KEPT = 365 * 86_400.0
_DESCENT = Optimiser()


@dataclass(frozen=True, slots=True)
class Holding:
    """One owner's data.

    Attributes:
        peer: whose: an id or enough of its beginning, the name of an owner, or `ME`. A whole id in every plan.
        table: what its settings call the data.
        columns: of it that are used, in order; none named: all but the id and the label.
        labels: whether its labels are used. Split by rows everybody's are, split by columns one owner's.
    """

    peer: str
    table: str
    columns: tuple[str, ...] = ()
    labels: bool = True


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """Attributes:
    name: of the job; the same again goes on where it stopped.
    data: every owner's, in the order of rows or columns.
    split: whether owners have rows of the same columns, or columns of the same rows.
    label: name of the column to be learnt, or of the array in an NPZ file.
    layers: of the network; the last one's outputs are what is learnt.
    shape: of one row; (), if it is just its columns.
    loss: see `losses`; cross-entropy takes labels from 0 to one less than there are outputs.
    batch: rows a step.
    epochs: how often every row is used.
    seed: of the batches and of where the weights begin. Public.
    standardise: owners of columns bring each to mean 0 and deviation 1 before they share it, and tell nobody how.
    centres, scales: for owners of rows, who must all do the same: what is taken off each column, and what it is then
        divided by. Agreed beforehand, and public; the model that comes of it takes columns as they are.
    tell_loss: steps from one loss that is told to whoever asks to the next; 0 tells none. Every owner must have agreed.
    checkpoint: steps from one checkpoint to the next; each costs an encryption and a write of all state.
    receivers: who is told the model: peers, as in `Holding`; `ME`; `SHARES` to keep it with the three as shares.
    keep: seconds that checkpoints, and shares of the model, are kept from when they were made.
    fraction: bits after the binary point.
    patience: seconds that another party may keep silent, and that one stretch of steps may take.
    setup: seconds until the data is in.
    """

    name: str
    data: tuple[Holding, ...]
    split: Literal["rows", "columns"]
    label: str
    layers: tuple[Layer, ...]
    loss: LossKind
    shape: Shape = ()
    optimiser: Optimiser = _DESCENT
    batch: int = 128
    epochs: int = 1
    seed: int = 0
    standardise: bool = False
    centres: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    tell_loss: int = 0
    checkpoint: int = 100
    receivers: tuple[str, ...] = (ME,)
    keep: float = 30 * 86_400.0
    fraction: int = 18
    patience: float = 60.0
    setup: float = 120.0

    def trouble(self) -> str | None:
        """Why nobody should train this, as a sentence; None if it can be."""
        return (
            self._name_trouble()
            or self._data_trouble()
            or self.optimiser.trouble()
            or self._number_trouble()
            or self._network_trouble()
        )

    def network(self, columns: int) -> tuple[Laid, ...]:
        """With so many columns. Raises BadInput: it does not fit them."""
        shape = self.shape or (columns,)
        if self.scales and len(self.scales) != columns:
            raise BadInput(f"There are {len(self.scales)} scales for {columns} columns.")
        if _size(shape) != columns:
            raise BadInput(f"A row of shape {shape} is not {columns} columns: set `shape` to what a row is.")
        network = lay_out(self.layers, shape)
        label_columns(self.loss, network[-1].after[0])
        return network

    @property
    def outputs(self) -> int:
        """Columns of labels: the size of the last layer that has one."""
        sized = [layer.size for layer in self.layers if layer.kind == "dense"]
        return sized[-1] if sized else 0

    def digest(self, fingerprints: Sequence[bytes], parties: Sequence[str]) -> bytes:
        """What two runs have in common that may go on from each other's checkpoints: everything that shapes the model.

        Args:
            fingerprints: of each owner's data.
            parties: ids of the three, by number.
        """
        bare = replace(self, epochs=1, tell_loss=0, checkpoint=1, receivers=(), keep=1.0, patience=1.0, setup=1.0)
        whole = hashlib.sha256(canonical(bare))
        for part in (*fingerprints, *(peer.encode() for peer in parties)):
            whole.update(len(part).to_bytes(4, "big") + part)
        return whole.digest()

    def _name_trouble(self) -> str | None:
        if not _NAME.fullmatch(self.name):
            return f"{self.name[:80]!r} is no name for a job: use up to 64 of a-z, 0-9, dot, dash, underscore."
        return None

    def _data_trouble(self) -> str | None:
        labelled = sum(one.labels for one in self.data)
        by_rows = self.split == "rows"
        whose = {one.peer if self.split == "columns" else (one.peer, one.table) for one in self.data}
        troubles = {
            "Training takes data of 1 to 64 owners.": not 1 <= len(self.data) <= 64,
            "The same data is named twice, or two tables of one device that splits by columns: make them one.": (
                len(whose) < len(self.data)
            ),
            "Split by columns, one owner has the labels: set `labels` at one.": not by_rows and labelled != 1,
            "Split by rows, every owner has the labels of its rows.": by_rows and labelled < len(self.data),
            "Owners of rows cannot standardise each for itself, as they would not do the same: agree on `centres` and "
            "`scales`, and leave `standardise` out.": self.standardise and by_rows,
            "`centres` and `scales` are for owners of rows, one of each a column, and scales from 1/256 to 256.": (
                not self._fair_scales() or (bool(self.scales) and not by_rows)
            ),
            "The plan does not say which column is to be learnt: set `label`.": not self.label,
        }
        return next((sentence for sentence, holds in troubles.items() if holds), None)

    def _fair_scales(self) -> bool:
        fair = all(2.0**-8 <= scale <= 2.0**8 for scale in self.scales) and all(
            abs(one) < 2**20 for one in self.centres
        )
        return fair and len(self.centres) == len(self.scales)

    def _number_trouble(self) -> str | None:
        if not 10 <= self.fraction <= 20:
            return f"Training takes 10 to 20 fractional bits, not {self.fraction}."
        if not 1 <= self.batch <= 2**14 or not 1 <= self.epochs <= 10_000:
            return f"A batch has 1 to {2**14} rows, and there are 1 to 10000 epochs."
        if not 0 <= self.tell_loss <= 10**9 or not 1 <= self.checkpoint <= 10**9:
            return "A loss can be told every so many steps, or 0 for none; checkpoints are made every so many steps."
        if not (0 < self.patience <= 3600 and 0 < self.setup <= 3600):
            return "The plan asks for patience over an hour, or for none."
        if not 0 < self.keep <= _LONGEST_KEPT:
            return f"Checkpoints are kept for {_LONGEST_KEPT / 86_400:.0f} days at most, not for {self.keep:g} s."
        return None

    def _network_trouble(self) -> str | None:
        if not 1 <= len(self.layers) <= 100 or len(self.shape) not in (0, 1, 3) or any(n < 1 for n in self.shape):
            return "A network has 1 to 100 layers, and a row is its columns or (channels, height, width)."
        if self.outputs > 4096 or _size(self.shape) > 2**20:
            return "A row has at most 2**20 columns, and a network 4096 outputs."
        try:
            if self.shape:
                self.network(_size(self.shape))
        except BadInput as error:
            return str(error)
        return None


def _size(shape: Shape) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
