"""`crypten.load_from_party` without a pickle on the way: the file is read where it lies, the others learn shapes."""

from __future__ import annotations

from typing import Any

import torch

from mesh.errors import BadInput
from protocols.smpc.crypten_bridge.names import crypten

__all__ = ["load_from_party"]

_AXES = 15
_NEITHER, _MODEL = -1, -2


def load_from_party(
    f: Any = None, preloaded: Any = None, *, src: int = 0, model_class: Any = None, load_closure: Any = torch.load,
    **settings: Any,
) -> Any:  # fmt: skip
    """What party `src` has in a file: a tensor, secret from then on, or a model, whose weights the others lack.

    Args:
        f: the file, at `src`.
        preloaded: what was loaded already, at `src`, instead.
        model_class: for a model, what makes an empty one. Every party must name it, for classes are not sent.
        settings: for `load_closure`.

    Raises:
        BadInput: the file holds neither, or a model and no `model_class` was named.
    """
    communicator = crypten.communicator.get()
    mine = communicator.get_rank() == src
    found: Any = None
    if mine:
        found = load_closure(f, **settings) if preloaded is None else preloaded
    header = communicator.broadcast(_header(found) if mine else torch.zeros(_AXES + 1, dtype=torch.int64), src)
    kind = int(header[0])
    if not _MODEL <= kind <= _AXES or kind == _NEITHER:
        raise BadInput(f"What party {src} loaded is neither a tensor nor a model.")
    if kind != _MODEL:
        tensor = crypten.cryptensor(found if mine else torch.zeros(header[1 : kind + 1].tolist()), src=src)
        tensor.src = src
        return tensor
    if not mine:
        if model_class is None:
            raise BadInput(f"Party {src} loaded a model: name its class with model_class=, for it is not sent.")
        found = model_class()
        for weights in found.parameters():
            weights.data.fill_(0)
    found.src = src
    return found


def _header(found: Any) -> Any:
    header = torch.zeros(_AXES + 1, dtype=torch.int64)
    if torch.is_tensor(found) and found.dim() <= _AXES:
        header[0] = found.dim()
        header[1 : found.dim() + 1] = torch.tensor(found.shape)
    else:
        header[0] = _MODEL if isinstance(found, torch.nn.Module) else _NEITHER
    return header
