"""The tensor type itself, as CrypTen's registry has it."""

from __future__ import annotations

from typing import Any, Self

from protocols.smpc.crypten_bridge.arithmetic import Arithmetic
from protocols.smpc.crypten_bridge.comparing import Comparing
from protocols.smpc.crypten_bridge.functions import Functions
from protocols.smpc.crypten_bridge.pooling import Pooling
from protocols.smpc.crypten_bridge.shared import KIND, CrypTensor
from protocols.smpc.crypten_bridge.structure import Structure

__all__ = ["KIND", "ReplicatedTensor"]


@CrypTensor.register_cryptensor(KIND)
class ReplicatedTensor(Functions, Pooling, Comparing, Arithmetic, Structure):
    """Numbers that three parties hold two shares of each, with autograd: see `Shared` for how one is made."""

    def __getstate__(self) -> dict[str, Any]:
        return {"_tensor": self._tensor, "requires_grad": self.requires_grad}

    def __setstate__(self, state: dict[str, Any]) -> None:
        CrypTensor.__init__(self, requires_grad=state["requires_grad"])
        self._tensor = state["_tensor"]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied: Self = self.around(self._tensor.clone())
        copied.requires_grad = self.requires_grad
        memo[id(self)] = copied
        return copied
