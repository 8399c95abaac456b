"""Runs one file of CrypTen's own test suite over our backend, or over gloo, which it was written for.

    python -m tests.slow.crypten_party mesh test_communicator

CrypTen's tests start their parties as processes of their own, which import this module again before anything else: so
what stands outside `main` happens in every party. Their source comes with the wheel.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import sys
import tempfile
import threading
import time
import types
import unittest
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from mesh.authority import Authority
from mesh.contracts import Address
from mesh.identity import Identity
from mesh.ids import SessionId
from mesh.transport.blocking import Links, Listener

_IDENTITIES = "VEILMESH_TEST_IDENTITIES"
_MOST_PARTIES = 12
_MEETING = 60.0


def main() -> None:
    """Run the file named second over the backend named first, and exit as unittest does."""
    backend, name = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_IDENTITIES] = folder
        if backend == "mesh":
            authority = Authority.create(Path(folder) / "authority", mesh="crypten")
            for rank in range(_MOST_PARTIES):
                authority.issue(Path(folder) / str(rank))
        unittest.main(module=f"test.{name}", argv=[name, *sys.argv[3:]], verbosity=2)


def prepare() -> None:
    """What CrypTen 0.4.1 needs on this torch, and, if it is our turn, our backend in gloo's place."""
    warnings.simplefilter("ignore")
    import torch
    from torch.onnx._internal.torchscript_exporter import registration

    torch.set_num_threads(1)
    sys.modules["torch.onnx._internal.registration"] = registration
    found = importlib.util.find_spec("crypten")
    if found is None or found.origin is None:
        raise SystemExit("CrypTen is not installed: it comes with the extra 'private'.")
    suite = types.ModuleType("test")  # the standard library has a package of that name, and comes first
    suite.__path__ = [str(Path(found.origin).parent.parent / "test")]
    sys.modules["test"] = suite
    if sys.argv[1] == "mesh":
        take_over()


def take_over() -> None:
    """`init_process_group("gloo", init_method="file://...")` means our backend from now on."""
    import torch.distributed as dist

    from protocols.runtimes.collectives import register

    register(meet)
    original = dist.init_process_group

    def init_process_group(backend: str, init_method: str, **settings: Any) -> None:
        place = urlsplit(init_method).path
        original("mesh", init_method=f"mesh://{place}", **settings)

    dist.init_process_group = init_process_group


def meet(url: str) -> Links:
    """Links to all ranks, which tell each other their addresses in files beside the one that gloo would have used."""
    parts = urlsplit(url)
    words = dict(parse_qsl(parts.query))
    rank, size, place = int(words["rank"]), int(words["world_size"]), Path(parts.path)
    identities = [Identity.load(Path(os.environ[_IDENTITIES]) / str(number)) for number in range(size)]
    listener = Listener()
    draft = place.with_name(f"{place.name}-{rank}.new")
    draft.write_text(str(listener.address))
    draft.rename(place.with_name(f"{place.name}-{rank}"))
    roster = [(identity.peer, read(place, number)) for number, identity in enumerate(identities)]
    session = SessionId(place.name)
    return Links.open(identities[rank], roster, session=session, listener=listener, within=_MEETING)


def read(place: Path, rank: int) -> Address:
    file = place.with_name(f"{place.name}-{rank}")
    pause, deadline = threading.Event(), time.monotonic() + _MEETING
    while not file.exists() and time.monotonic() < deadline:
        pause.wait(0.02)
    return Address.parse(file.read_text())


if __name__ in ("__main__", "__mp_main__"):
    prepare()
if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
