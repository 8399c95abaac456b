"""Reductions: what `torch.distributed` calls SUM, MAX and so on, as operations on two tensors. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

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

    def take(self, so_far: torch.Tensor, next_: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """`so_far` and `next_` folded into `out`, which may be one of the two. All have one shape and dtype."""
        return self._step(so_far, next_, out=out)

    def finish(self, folded: torch.Tensor, size: int) -> None:
        """When `size` ranks are folded: what an average still lacks, in place."""
        if self._average:
            folded.div_(size)


def fold_of(operation: ReduceOp, dtype: torch.dtype) -> Fold:
    """The reduction that `operation` names.

    Raises:
        Misuse: there is none, or none on numbers of this kind. Nothing has been sent yet, and all ranks raise alike.
    """
    return _fold(operation.op, dtype)


@lru_cache(maxsize=256)
def _fold(kind: object, dtype: torch.dtype) -> Fold:
    step = _STEPS.get(kind)
    exact = not (dtype.is_floating_point or dtype.is_complex)
    if step is None:
        raise Misuse(f"the reduction {kind} is not known to the mesh backend")
    if kind in (_KINDS.BAND, _KINDS.BOR, _KINDS.BXOR) and not exact:
        raise Misuse(f"{kind} is for whole numbers and truth values, not for {dtype}")
    if kind == _KINDS.AVG and exact:
        raise Misuse(f"{kind} of {dtype} would have to be rounded: take the sum, or convert first")
    one = torch.ones(1, dtype=dtype)
    try:
        step(one, one, out=torch.empty_like(one))
    except RuntimeError as error:
        raise Misuse(f"torch does not compute {kind} of {dtype} on a processor: {error}") from error
    return Fold(step, kind == _KINDS.AVG)
