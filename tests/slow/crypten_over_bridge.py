"""Runs a file of CrypTen's own test suite on our tensor type, and says what passed.

    python -m tests.slow.crypten_over_bridge test_gradients [NAME ...]

CrypTen starts three processes a test, which takes most of an hour a file; here three threads run each test on links of
its own. Where a file says `MPCTensor`, it gets `ReplicatedTensor`. The last line is JSON: for each test null, or why it
failed.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import threading
import time
import types
import unittest
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from mesh.errors import PeerLost
from protocols.smpc.crypten_bridge.converter import mend_converter
from protocols.smpc.crypten_bridge.pair import Pair
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from tests.unit.protocols.smpc.crypten_bridge.together import ReplicatedTensor, crypten, taking_part

_LOCAL = threading.local()


class Together:
    """What CrypTen's tests ask of a communicator, for three threads; whoever fails wakes the others."""

    def __init__(self) -> None:
        self.barrier_ = threading.Barrier(PARTIES, timeout=60)
        self.table: dict[int, Any] = {}

    def at(self, rank: int) -> Place:
        return Place(self, rank)


class Place:
    """One rank's."""

    def __init__(self, together: Together, rank: int) -> None:
        self._together = together
        self.rank = rank

    def get_rank(self) -> int:
        return self.rank

    def get_world_size(self) -> int:
        return PARTIES

    def barrier(self) -> None:
        self._together.barrier_.wait()

    def broadcast(self, tensor: Any, src: int = 0, **_: Any) -> Any:
        if self.rank == src:
            self._together.table[src] = tensor.detach().clone()
        self.barrier()
        if self.rank != src:
            tensor.data.copy_(self._together.table[src])
        self.barrier()
        return tensor


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    mend_converter()
    one_by_one = threading.Lock()  # torch's exporter has one state a process
    export = crypten.nn.onnx_converter._export_pytorch_model

    def in_turn(*given: Any) -> Any:
        with one_by_one:
            return export(*given)

    crypten.nn.onnx_converter._export_pytorch_model = in_turn
    crypten.communicator.get = lambda: _LOCAL.place
    Pair.get_plain_text = lambda pair: ReplicatedTensor.around(pair).get_plain_text()  # some tests ask what is behind
    module = opened_file(sys.argv[1])
    results: dict[str, str | None] = {}
    for cls, name in found(module):
        if sys.argv[2:] and name not in sys.argv[2:]:
            continue
        start = time.monotonic()
        results[name] = outcome(cls, name)
        print(f"{name}: {results[name] or 'ok'} ({time.monotonic() - start:.1f} s)", flush=True)
    passed = sum(why is None for why in results.values())
    print(f"{sys.argv[1]}: {passed} of {len(results)} pass")
    print(json.dumps(results))


def opened_file(name: str) -> Any:
    """The module, on our tensors."""
    at = importlib.util.find_spec("crypten")
    if at is None or at.origin is None:
        raise SystemExit("CrypTen is not installed: it comes with the extra 'private'.")
    suite = types.ModuleType("test")  # the standard library has a package of that name, and comes first
    suite.__path__ = [str(Path(at.origin).parent.parent / "test")]
    sys.modules["test"] = suite
    module = importlib.import_module(f"test.{name}")
    cases = importlib.import_module("test.multiprocess_test_case")
    cases.dist = types.SimpleNamespace(is_initialized=lambda: True)
    if hasattr(module, "MPCTensor"):
        module.MPCTensor = ReplicatedTensor
    return module


def found(module: Any) -> Iterator[tuple[type, str]]:
    """Each test once: of the classes that repeat it for other providers, the first."""
    seen: set[str] = set()
    for _, cls in inspect.getmembers(module, inspect.isclass):
        ours = cls.__module__ == module.__name__ and cls.__name__ != "TestPTT"  # which is of tensors in clear
        if issubclass(cls, unittest.TestCase) and ours:
            for name in unittest.TestLoader().getTestCaseNames(cls):
                if name not in seen:
                    seen.add(name)
                    yield cls, name


def outcome(cls: type, name: str) -> str | None:
    """None, or the first error that any of the three raised."""
    meeting = Together()

    def at(link: LocalLink) -> None:
        _LOCAL.place = meeting.at(link.rank)
        taking_part(link)
        case: Any = cls(name)
        case.rank = link.rank
        case.setUp()
        case.world_size = PARTIES
        try:
            getattr(case, name)()
        except BaseException:
            meeting.barrier_.abort()
            raise

    config = crypten.cfg.config
    try:
        run_together(connect(timeout=60), at)
    except (threading.BrokenBarrierError, PeerLost) as error:
        return f"{type(error).__name__}: one of the three failed"
    except Exception as error:  # noqa: BLE001 - whatever a test raises is its result
        return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
    finally:
        crypten.cfg.set_config(config)
        crypten.CrypTensor.set_grad_enabled(True)
    return None


if __name__ == "__main__":
    main()
