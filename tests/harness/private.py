"""Small networks for private sessions, their compiled form, and devices of different owners that compute them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from mesh.protocol import ANYONE, Job, Means, Permits
from mesh.store.memory import Memory
from mesh.store.vault import SealedVault
from protocols.smpc.dealing import pack_weights, words_of
from protocols.smpc.inside import Work
from protocols.smpc.orders import Compute, Done, Hold, Join, Open, Opened, Order, Take
from protocols.smpc.program.compile import compile_model
from protocols.smpc.protocol import Private
from protocols.smpc.replicated.local import connect
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.spec import PrivateSpec
from scenarios.city import Equipment
from tests.unit.protocols.families import FLOAT, Net

__all__ = ["Case", "PlainBox", "equip", "lenet", "lent", "mlp"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A model, as ONNX and as three parties compute it.

    Attributes:
        weights: the stored weights, which only the asking device has.
    """

    model: ModelProto
    spec: PrivateSpec
    weights: bytes
    shape: tuple[int, ...]

    @classmethod
    def of(cls, net: Net, *shape: int) -> Case:
        """A net from "x" of this shape to "y"."""
        model = net.model({"x": (FLOAT, list(shape))}, {"y": FLOAT})
        compiled = compile_model(model.SerializeToString())
        weights = pack_weights(compiled.program.weights, compiled.weights)
        return cls(model, PrivateSpec(compiled.program, BlobRef.of(weights)), weights, shape)

    def inputs(self, count: int = 1) -> list[Array]:
        """So many requests."""
        random = np.random.default_rng(5)
        return [random.standard_normal(self.shape).astype(np.float32) for _ in range(count)]

    def expected(self, x: Array) -> Array:
        """What ONNX Runtime answers."""
        session = onnxruntime.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"])
        answer: Array = session.run(["y"], {"x": x})[0]
        return answer

    def job(self, deadline: float = 60.0, **spec: Any) -> Job:
        """The job of serving it."""
        return Job("private", replace(self.spec, **spec), deadline)


def mlp() -> Case:
    """784, 32 and 10 wide, in half a millisecond of computing."""
    net = Net()
    hidden = net.op("Relu", net.op("Gemm", "x", net.weight(784, 32), net.weight(32)))
    net.name(net.op("Gemm", hidden, net.weight(32, 10), net.weight(10)), "y")
    return Case.of(net, 1, 784)


def lenet() -> Case:
    """LeNet-5 with rectifiers and max-pooling."""
    net = Net()
    x = "x"
    for channels, width in ((1, 6), (6, 16)):
        x = net.op("Relu", net.op("Conv", x, net.weight(width, channels, 5, 5), net.weight(width)))
        x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Flatten", x)
    for before, after in ((256, 120), (120, 84)):
        x = net.op("Relu", net.op("Gemm", x, net.weight(before, after), net.weight(after)))
    net.name(net.op("Gemm", x, net.weight(84, 10), net.weight(10)), "y")
    return Case.of(net, 1, 1, 28, 28)


def equip(
    case: Case,
    owners: Mapping[int, str] | None = None,
    protocol: Callable[[Means], Private] = Private,
) -> Callable[[int], Equipment]:
    """Device 0 has the weights; each device has an owner of its own, unless told otherwise."""

    def of(device: int) -> Equipment:
        store = Memory()
        if device == 0:
            ref = BlobRef.of(case.weights)
            for index in range(ref.count):
                start = index * 2**20
                store.append(ref, index, case.weights[start : start + 2**20])
            store.finish(ref)
        owner = (owners or {}).get(device, f"owner {device}")
        return Equipment([protocol(Means(owner=owner))], owner=owner, store=store)

    return of


def lent(
    case: Case,
    folder: Path,
    *,
    lender: int = 1,
    offers: tuple[tuple[str, str], ...] = (("digits", ANYONE),),
    permits: Mapping[int, Permits] | None = None,
    protocol: Callable[[Means], Private] = Private,
) -> Callable[[int], Equipment]:
    """As `equip`, but one device lends the weights as "digits"; each has a vault, and takes results from anyone."""

    def of(device: int) -> Equipment:
        equipment = equip(case if device == lender else replace(case, weights=b""))(0 if device == lender else 99)
        owner = f"owner {device}"
        allowed = Permits(offers=offers if device == lender else (), receives=(ANYONE,))
        means = Means(
            owner=owner,
            permits=(permits or {}).get(device, allowed),
            model=lambda name: _kept(case, name) if device == lender else _kept(case, ""),
            vault=SealedVault(folder / f"vault {device}", bytes(32)),
        )
        return replace(equipment, protocols=[protocol(means)], owner=owner)

    return of


def _kept(case: Case, name: str) -> dict[str, Any]:
    if name != "digits":
        raise BadInput(f"no {name}")
    built: dict[str, Any] = msgspec.to_builtins({"program": case.spec.program, "weights": case.spec.weights})
    return built


class PlainBox:
    """A box in this process, for programs without a step: shares in, the same shares out, and no links to anybody.

    For stories in virtual time, in which no process can be started. `pace` seconds of it go by for every answer.
    """

    def __init__(self, pace: float = 0.0) -> None:
        self._pace = pace
        self._work: Work | None = None

    async def __aenter__(self) -> PlainBox:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def ask(self, order: Order, kind: type[Any]) -> Any:
        """As `Box.ask`."""
        match order.task:
            case Open():
                return Opened(7000)
            case Join() as join:
                link = connect()[join.trio.party]
                randomness = Correlated(join.trio.party, join.trio.keys, join.trio.session.encode())
                self._work = Work(join, Party(link, randomness, FixedPoint(join.fraction)))
            case Take(batch, count, words) if self._work is not None:
                self._work.take(batch, count, words_of(words))
            case Hold() as hold if self._work is not None:
                self._work.hold(hold)
            case Compute(batch, keep) if self._work is not None:
                await asyncio.sleep(self._pace)
                return self._work.compute(batch, keep=keep)
        return Done()
