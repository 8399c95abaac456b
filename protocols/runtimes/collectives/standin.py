"""Has scripts that were written for another backend run over the mesh, without a word in them changed.

Whatever backend a script names, and however it means to meet the others, it gets the mesh's, at the place that whoever
started it has given. Nothing it says can make it talk to anybody in plain text through torch.distributed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed import distributed_c10d

from mesh.errors import ConfigError

__all__ = ["places", "stand_in"]


def places(rank: int, size: int, host: str, port: int) -> Mapping[str, str]:
    """What launchers of torch tell scripts in their environment, and what most scripts read there."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
    }


def stand_in(url: str, rank: int, size: int) -> None:
    """From now on, in this process, `init_process_group` and `new_group` mean the mesh backend, which is registered,
    and what torch has for gloo alone is there.

    Args:
        url: where to meet, as an init method of the mesh backend.
        rank: ours there, of so many as `size`.
    """
    _replace("init_process_group", _meeting(dist.init_process_group, url, rank, size))
    _replace("new_group", _grouping(dist.new_group))
    _replace("monitored_barrier", _monitored_barrier)


def _replace(name: str, function: Callable[..., Any]) -> None:
    setattr(dist, name, function)
    setattr(distributed_c10d, name, function)


def _monitored_barrier(group: Any = None, timeout: timedelta | None = None, wait_all_ranks: bool = False) -> None:
    """torch has it for gloo alone; every barrier of ours names who is missing."""
    settings = distributed_c10d.BarrierOptions()
    settings.asyncOp = False
    if timeout is not None:
        settings.timeout = timeout
    (group or dist.group.WORLD).barrier(settings).wait()


def _meeting(original: Callable[..., Any], url: str, rank: int, size: int) -> Callable[..., Any]:
    signature = inspect.signature(original)

    def init_process_group(*args: Any, **settings: Any) -> None:
        said = signature.bind(*args, **settings).arguments
        for name, ours in (("rank", rank), ("world_size", size)):
            if said.get(name, -1) not in (-1, ours):
                raise ConfigError(f"The script says {name} {said[name]}, and whoever started it {ours}: leave it out.")
        original("mesh", init_method=url, **{name: said[name] for name in ("timeout", "group_name") if name in said})

    return init_process_group


def _grouping(original: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    def new_group(*args: Any, **settings: Any) -> Any:
        said = signature.bind(*args, **settings)
        said.arguments.pop("backend", None)
        return original(*said.args, **said.kwargs)

    return new_group
