"""Keeps pickles off the wire. torch's object collectives send them, and unpickling can run any code at the receiver.

All of torch's ways to send an object are refused on our groups, before anything is sent, on every rank alike. Programs
that pickle by themselves and send bytes (CrypTen's `send_obj` and `broadcast_obj`) cannot be seen from here: whoever
brings such a program into a box refuses them there.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch.distributed as dist
from torch.distributed import distributed_c10d

from mesh.errors import Misuse

__all__ = ["refuse_pickles"]

_PUBLIC = (
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "recv_object_list",
    "scatter_object_list",
    "send_object_list",
)
_INNERMOST = ("_object_to_tensor", "_tensor_to_object")  # for those who imported the others before us


def refuse_pickles() -> None:
    """From now on, in this process, torch.distributed sends no object over a group of ours."""
    for name in _PUBLIC + _INNERMOST:
        guarded = _guarded(getattr(distributed_c10d, name))
        setattr(distributed_c10d, name, guarded)
        if name in _PUBLIC:
            setattr(dist, name, guarded)


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def guarded(*args: Any, **settings: Any) -> Any:
        group = signature.bind(*args, **settings).arguments.get("group")
        if dist.get_backend(group) == "mesh":
            raise Misuse(
                f"{original.__name__} sends a pickle, which can run any code at the receiver: the mesh backend carries "
                "tensors only."
            )
        return original(*args, **settings)

    return guarded
