"""Max-pooling of secret tensors, and its gradient, under CrypTen's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from protocols.smpc.crypten_bridge.layout import as_pair, window_count
from protocols.smpc.crypten_bridge.session import myself
from protocols.smpc.crypten_bridge.shared import Shared
from protocols.smpc.crypten_bridge.tournament import winners
from protocols.smpc.replicated import comparison
from protocols.smpc.replicated.kernels import Geometry, patches
from protocols.smpc.replicated.link import Words

__all__ = ["Pooling"]

_FAR = np.full(1, 1 << 61, np.uint64)  # raised by it, what is compared lies above the zeros that pad it


class Pooling(Shared):
    """Windows as torch lays them, those that `ceil_mode` adds among them."""

    def max_pool2d(
        self,
        kernel_size: Any,
        padding: Any = 0,
        stride: Any = None,
        dilation: Any = 1,
        *,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        """The largest in each window; with `return_indices`, also where it stands in the window, as ones and zeros."""
        party, fraction, kernel = myself(), self._tensor.fraction, as_pair(kernel_size)
        planes = self._tensor.secret()
        geometry = _windows(planes.shape, kernel, as_pair(kernel if stride is None else stride), as_pair(padding),
                            as_pair(dilation), ceil=ceil_mode)  # fmt: skip
        lead = planes.shape[:-2]
        planes = planes.reshape(-1, 1, *planes.shape[-2:])
        if not return_indices:
            pooled = comparison.max_pool(party, planes, kernel, geometry)
            return self._made(pooled.reshape(*lead, *pooled.shape[-2:]), fraction)
        raised = party.add(planes, _FAR)
        seen = raised.map(lambda share: _flat(patches(share, kernel, geometry)))
        best, marks = winners(party, seen)
        shape = (*lead, *best.shape[-2:])
        lowered = party.add(best, np.negative(_FAR)).reshape(*shape)
        placed = marks.map(lambda share: np.moveaxis(share, 0, -1).reshape(*shape, *kernel))
        return self._made(lowered, fraction), self._made(placed, 0, self._tensor)

    def _max_pool2d_backward(
        self,
        indices: Any,
        kernel_size: Any,
        padding: Any = 0,
        stride: Any = None,
        dilation: Any = 1,
        *,
        ceil_mode: bool = False,
        output_size: Any = None,
    ) -> Any:
        """Each gradient of a window goes to where its largest stood."""
        kernel, (top, left) = as_pair(kernel_size), as_pair(padding or 0)
        step, apart = as_pair(kernel if stride is None else stride), as_pair(dilation)
        parts = self.view((*self.size(), 1, 1)).mul(indices)
        rows, columns = self.size(-2), self.size(-1)
        reach = [(count - 1) * step[i] + (kernel[i] - 1) * apart[i] + 1 for i, count in enumerate((rows, columns))]
        size = tuple(output_size) if output_size is not None else (
            *self.size()[:-2], step[0] * rows - 2 * top, step[1] * columns - 2 * left)  # fmt: skip
        total = [max(reach[0], size[-2] + 2 * top), max(reach[1], size[-1] + 2 * left)]

        def gathered(share: Words) -> Words:
            out = np.zeros((*size[:-2], *total), np.uint64)
            for down, across in np.ndindex(*kernel):
                y, x = down * apart[0], across * apart[1]
                out[..., y : y + (rows - 1) * step[0] + 1 : step[0], x : x + (columns - 1) * step[1] + 1 : step[1]] += (
                    share[..., down, across]
                )
            return out[..., top : top + size[-2], left : left + size[-1]]

        return self._made(parts._tensor.secret().map(gathered), parts._tensor.fraction)


def _flat(windows: Words) -> Words:
    """(planes, 1, rows, columns, kernel height, kernel width) to (kernel elements, planes, rows, columns)."""
    rows = windows[:, 0].reshape(windows.shape[0], *windows.shape[2:4], -1)
    return np.ascontiguousarray(np.moveaxis(rows, -1, 0))


def _windows(
    shape: tuple[int, ...], kernel: tuple[int, int], step: tuple[int, int], padding: tuple[int, int],
    apart: tuple[int, int], *, ceil: bool,
) -> Geometry:  # fmt: skip
    """Where windows lie; those that reach out at the end are given the padding that they need."""
    after = []
    for i in (0, 1):
        count = window_count(shape[i - 2], kernel[i], padding[i], step[i], apart[i], ceil=ceil)
        reach = (count - 1) * step[i] + (kernel[i] - 1) * apart[i] + 1
        after.append(max(reach - shape[i - 2] - padding[i], padding[i] if not ceil else 0))
    return Geometry(step, apart, (padding[0], padding[1], after[0], after[1]))
