"""Real ONNX Runtime sessions, cut over devices that talk over real TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mesh.blobs import BlobRef
from mesh.protocol import Job, Means
from mesh.service import Up
from mesh.store.memory import Memory
from protocols import sharded
from protocols.arrays import arrays_of, tensors_of
from protocols.runtimes.models import pack
from protocols.sharded.prepare import Prepared, prepare
from protocols.sharded.protocol import ShardedSpec
from scenarios.city import TLS, City, Equipment
from tests.unit.protocols import families

FRAMES = 60


def _equip(prepared: Prepared) -> Callable[[int], Equipment]:
    def equipment(device: int) -> Equipment:
        store = Memory()
        for blob in prepared.blobs if device == 0 else ():
            store.add(blob)
        return Equipment([sharded.create(Means())], owner=f"owner {device}", store=store)

    return equipment


def _job(prepared: Prepared) -> Job:
    refs = tuple(BlobRef.of(blob) for blob in prepared.blobs)
    return Job("sharded", ShardedSpec(prepared.info, refs, parts=3, where="elsewhere"), deadline=30.0)


@pytest.mark.parametrize("family", [families.residual, families.pyramid, families.transformer])
def test_bytes_are_the_whole_models_through_a_failover(family: Callable[[], families.Case]) -> None:
    """A network with skip connections on three devices, one of them killed half way: every answer byte for byte."""
    model, feeds = family()
    prepared = prepare(pack(model), feeds)
    expected = families.oracle(model, feeds)

    async def story() -> tuple[list[dict[str, bytes]], int]:
        news: list[object] = []
        answers: list[dict[str, bytes]] = []
        async with City(TLS, 4, _equip(prepared)) as city:
            async with city.serve(0, _job(prepared), report=news.append) as service:
                async for answer in service.stream(tensors_of(feeds) for _ in range(FRAMES)):
                    answers.append({name: array.tobytes() for name, array in arrays_of(answer).items()})
                    if len(answers) == FRAMES // 2:
                        plan = next(event.plan for event in news if isinstance(event, Up))
                        city.streets.kill(city.peers.index(plan.roster[2]))
        return answers, sum(isinstance(event, Up) for event in news)

    answers, sessions = asyncio.run(story())
    assert [expected] * FRAMES == answers
    assert sessions == 2
