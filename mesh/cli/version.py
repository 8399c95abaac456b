"""`mesh version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click

from mesh.cli.screen import as_json, emit, pairs

__all__ = ["version"]


@click.command()
@as_json
def version(as_json: bool) -> None:
    """What is installed here.

    \b
    Example:
      mesh version --json
    """
    others = ("aiohttp", "cryptography", "numpy", "onnx", "onnxruntime", "torch", "zeroconf")
    found = {
        "veilmesh": _version("veilmesh"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: _version(name) for name in others},
    }
    if as_json:
        emit(found)
    else:
        pairs(list(found.items()))


def _version(distribution: str) -> str:
    try:
        return version_of(distribution)
    except PackageNotFoundError:
        return "not installed"
