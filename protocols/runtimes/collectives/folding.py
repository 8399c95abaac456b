"""Reductions: what `torch.distributed` calls SUM, MAX and so on, as operations on two tensors. Pure."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.distributed import ReduceOp

from mesh.errors import Misuse

__all__ = ["Fold", "fold_of"]

_KINDS = ReduceOp.RedOpType
_STEPS: dict[object, Callable[..., torch.Tensor]] = {
    _KINDS.SUM: torch.add,
    _KINDS.AVG: torch.add,
    _KINDS.PRODUCT: torch.mul,
    _KINDS.MIN: torch.minimum,
    _KINDS.MAX: torch.maximum,
    _KINDS.BAND: torch.bitwise_and,
    _KINDS.BOR: torch.bitwise_or,
    _KINDS.BXOR: torch.bitwise_xor,
}


class Fold:
    """One reduction. Ranks fold in rank order, always, so that floating point gives the same bits everywhere."""

    __slots__ = ("_average", "_step")

    def __init__(self, step: Callable[..., torch.Tensor], average: bool) -> None:
        self._step = step
        self._average = average

    def take(self, so_far: torch.Tensor, next_: torch.Tensor) -> None:
        """Fold `next_` into `so_far`, in place. Both have one shape and dtype."""
        self._step(so_far, next_, out=so_far)

    def finish(self, folded: torch.Tensor, size: int) -> None:
        """When `size` ranks are folded: what an average still lacks, in place."""
        if self._average:
            folded.div_(size)


def fold_of(operation: ReduceOp, dtype: torch.dtype) -> Fold:
    """The reduction that `operation` names.

    Raises:
        Misuse: there is none, or none on numbers of this kind.
    """
    step = _STEPS.get(operation.op)
    exact = not (dtype.is_floating_point or dtype.is_complex)
    if step is None:
        raise Misuse(f"the reduction {operation.op} is not known to the mesh backend")
    if operation.op in (_KINDS.BAND, _KINDS.BOR, _KINDS.BXOR) and not exact:
        raise Misuse(f"{operation.op} is for whole numbers and truth values, not for {dtype}")
    if operation.op == _KINDS.AVG and exact:
        raise Misuse(f"{operation.op} of {dtype} would have to be rounded: take the sum, or convert first")
    return Fold(step, operation.op == _KINDS.AVG)
