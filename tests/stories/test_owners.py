"""Private inference among several people: one asks, another lends the model, a third is told, three compute."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mesh.blobs import BlobRef
from mesh.errors import MeshError, NoPlan
from mesh.ids import PeerId
from mesh.protocol import Job, Means, Permits
from mesh.results import answers_in
from mesh.service import Up
from mesh.store.vault import SealedVault
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.asking import Told
from protocols.smpc.dealing import pack_weights
from protocols.smpc.keeping import KeptShares
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.prefix import split
from protocols.smpc.protocol import Private
from scenarios.city import TLS, City, Equipment, Schedule, suffer
from tests.harness.private import Case, lent, mlp
from tests.stories.test_private import Overheard, boxes

DEVICES = 6
"""0 asks, 1 lends, 2 may be told; the others have nothing but their share of the work."""


def vault(folder: Path, device: int) -> SealedVault:
    """As `lent` gives it to that device."""
    return SealedVault(folder / f"vault {device}", bytes(32))


def borrowed(case: Case, city: City, deadline: float = 60.0, **spec: Any) -> Job:
    """A job of device 0 with the model of device 1."""
    return case.job(deadline, weights=None, lender=str(city.peers[1]), model="digits", **spec)


async def answered(city: City, job: Job, inputs: list[Any], news: list[Any] | None = None) -> list[dict[str, Any]]:
    """What device 0 is given."""
    report = (news if news is not None else []).append
    async with city.serve(0, job, report=report) as service:
        return [arrays_of(answer) async for answer in service.stream(tensors_of(x) for x in inputs)]


def test_a_model_of_somebody_else_answers(tmp_path: Path) -> None:
    """Neither who asks nor who lends computes, and neither is sent what is the other's."""
    case, heard = mlp(), list[bytes]()
    inputs = case.inputs(3)

    def protocol(means: Means) -> Private:
        return Overheard(means, heard)

    async def story() -> tuple[list[dict[str, Any]], list[Any], list[str]]:
        news: list[Any] = []
        async with City(TLS, DEVICES, lent(case, tmp_path, protocol=protocol)) as city:
            answers = await answered(city, borrowed(case, city), [{"x": x} for x in inputs], news)
            return answers, news, await city.wait_quiet(10)

    answers, news, left = TLS.run(story())
    for x, answer in zip(inputs, answers, strict=True):
        np.testing.assert_allclose(case.expected(x), answer["y"], atol=1e-3)
    plan = next(event.plan for event in news if isinstance(event, Up))
    assert ["asker", "party", "party", "party", "lender"] == [stage.role for stage in plan.stages]
    assert [] == left
    said = {data[at : at + 16] for data in heard for at in range(len(data) - 15)}
    for secret in (
        case.weights[16:],
        case.spec.weights.digest.encode() if case.spec.weights else b"",
        *map(bytes, inputs),
    ):
        assert not any(secret[at : at + 16] in said for at in range(len(secret) - 15))


def test_only_who_is_named_learns_the_answers(tmp_path: Path) -> None:
    """Who asked hears that they are there, under which name and with whom, and is given none."""
    case = mlp()
    inputs = case.inputs(3)

    async def story() -> tuple[list[dict[str, Any]], list[Any], PeerId, PeerId]:
        news: list[Any] = []
        async with City(TLS, DEVICES, lent(case, tmp_path)) as city:
            job = borrowed(case, city, receiver=city.peers[2][:9], name="street")
            answers = await answered(city, job, [{"x": x} for x in inputs], news)
            return answers, news, city.peers[0], city.peers[2]

    answers, news, asker, receiver = TLS.run(story())
    assert [{}, {}, {}] == answers
    assert [Told(receiver, seq, "street") for seq in range(3)] == [event for event in news if isinstance(event, Told)]
    received = answers_in(vault(tmp_path, 2), "street", asker)
    for x, answer in zip(inputs, received, strict=True):
        np.testing.assert_allclose(case.expected(x), arrays_of(answer)["y"], atol=1e-3)
    for other in (0, 1, 3, 4, 5):
        assert [] == vault(tmp_path, other).listing("answers")


def test_answers_stay_as_shares_and_go_on_in_a_next_job(tmp_path: Path) -> None:
    """Nobody can read them meanwhile; the next job with the same three gives what both models give together."""
    first, second = mlp(), mlp_of(10)
    inputs = first.inputs(3)

    async def story() -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        async with City(TLS, DEVICES, lent(first, tmp_path)) as city:
            job = borrowed(first, city, receiver="shares", name="hidden")
            kept = await answered(city, job, [{"x": x} for x in inputs])
            await city.wait_quiet(10)
            told = await _gone_on(city, second, [2, 0])
            return kept, told, await city.wait_quiet(10)

    kept, told, left = TLS.run(story())
    assert ([{}, {}, {}], []) == (kept, left)
    for number, answer in zip([2, 0], told, strict=True):
        np.testing.assert_allclose(second.expected(first.expected(inputs[number])), answer["y"], atol=5e-3)
    holders = [device for device in range(DEVICES) if vault(tmp_path, device).listing("shares/hidden")]
    assert 3 == len(holders)
    assert {0, 1}.isdisjoint(holders)
    shares = [_shares(vault(tmp_path, device)) for device in holders]
    whole = first.expected(inputs[0])
    for mine in shares:
        assert np.abs(np.frombuffer(mine.first, "<i8") * 2.0**-18 - whole.reshape(-1)).min() > 1


async def _gone_on(city: City, case: Case, numbers: list[int]) -> list[dict[str, Any]]:
    await _given(city, case)
    job = case.job(held={"x": "hidden"})
    return await answered(city, job, [{"x": np.array(number)} for number in numbers])


async def _given(city: City, case: Case) -> None:
    """Device 0 is given the weights of a model of its own."""
    store = city.nodes[0]._lends.store
    assert store is not None
    store.add(case.weights)


def _shares(where: SealedVault) -> KeptShares:
    kept = where.listing("shares/hidden/0")[0]
    return msgspec.msgpack.decode(where.read(kept.owner, kept.name), type=KeptShares)


def mlp_of(width: int) -> Case:
    """Another one, which takes what the first gives."""
    from tests.unit.protocols.families import Net

    net = Net()
    net.name(net.op("Relu", net.op("Gemm", "x", net.weight(width, 4), net.weight(4))), "y")
    return Case.of(net, 1, width)


def test_what_is_kept_no_more_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    """One party has lost one answer: that request is refused with a sentence, and no other."""
    first, second = mlp(), mlp_of(10)

    async def story() -> tuple[str, int]:
        async with City(TLS, DEVICES, lent(first, tmp_path)) as city:
            job = borrowed(first, city, receiver="shares", name="hidden")
            await answered(city, job, [{"x": x} for x in first.inputs(2)])
            holder = next(device for device in range(2, DEVICES) if vault(tmp_path, device).listing("shares/hidden"))
            assert 1 == vault(tmp_path, holder).remove(city.peers[0], "shares/hidden/1")
            await _given(city, second)
            async with city.serve(0, second.job(held={"x": "hidden"})) as service:
                with pytest.raises(MeshError, match="Compute it again") as refused:
                    await service.ask(tensors_of({"x": np.array(1)}))
                good = await service.ask(tensors_of({"x": np.array(0)}))
            return str(refused.value), arrays_of(good)["y"].size

    sentence, size = TLS.run(story())
    assert "'hidden'" in sentence
    assert 4 == size


@pytest.mark.parametrize(
    ("permits", "spec", "sentence"),
    [
        ({1: Permits(offers=(("other", "anyone"),))}, {}, "offer you no model"),
        ({1: Permits(offers=(("digits", "a" * 52),))}, {}, "offer you no model"),
        ({1: Permits(offers=(("digits", "anyone"),), parties=("a" * 52,))}, {}, "parties"),
        ({}, {"secret": "input"}, "would tell my model"),
        ({}, {"fraction": 30}, "computed with 18 fractional bits: ask for no other"),
        ({2: Permits()}, {"receiver": 2, "name": "a"}, "take no results"),
        ({}, {"receiver": 2}, "no name"),
        ({0: Permits(parties=("a" * 52,))}, {}, "`parties` in our settings"),
    ],
)
def test_whoever_does_not_consent_is_left_alone(
    tmp_path: Path, permits: dict[int, Permits], spec: dict[str, Any], sentence: str
) -> None:
    """The job ends before anything is sent, and tells why."""
    case = mlp()

    async def story() -> tuple[str, list[str]]:
        refusals: list[Any] = []
        async with City(TLS, DEVICES, lent(case, tmp_path, permits=permits)) as city:
            named = {**spec, "receiver": str(city.peers[2])} if "receiver" in spec else spec
            with pytest.raises(NoPlan) as refused:
                async with city.serve(0, borrowed(case, city, **named), report=refusals.append):
                    pass
            return f"{refused.value} {refusals}", await city.wait_quiet(10)

    said, left = TLS.run(story())
    assert sentence in said
    assert [] == left


@pytest.mark.parametrize("seed", range(6))
def test_any_fault_at_any_moment_is_survived(tmp_path: Path, seed: int) -> None:
    """Whoever is killed, stalled or cut off, asker, lender, party or receiver: the right answer or a mesh error."""
    case = mlp()
    inputs = case.inputs(5)
    schedule = Schedule.drawn(seed, devices=DEVICES, horizon=2.5)

    async def story() -> tuple[list[dict[str, Any]] | None, list[str]]:
        async with City(TLS, DEVICES, lent(case, tmp_path), seed=seed) as city, asyncio.TaskGroup() as tasks:
            faults = tasks.create_task(suffer(city.streets, schedule, DEVICES))
            answers = None
            try:
                job = borrowed(case, city, deadline=8.0, receiver=("me", str(city.peers[2])), name="a")
                answers = await answered(city, job, [{"x": x} for x in inputs])
            except MeshError:
                pass
            await faults
            return answers, await city.wait_quiet(20)

    answers, left = TLS.run(story())
    for x, answer in zip(inputs, answers or [], strict=answers is not None):
        np.testing.assert_allclose(case.expected(x), answer["y"], atol=1e-3)
    assert ([], []) == (left, boxes()), schedule


def test_the_public_beginning_runs_where_the_input_is(tmp_path: Path) -> None:
    """Fetched from who lends the model; what is refused there is refused to who asked, and the rest goes on."""
    case = mlp()
    halves = split(case.model.SerializeToString(), "relu1_0", {})
    compiled = compile_model(halves.rest)
    weights = pack_weights(compiled.program.weights, compiled.weights)
    spec = replace(case.spec, program=compiled.program, weights=BlobRef.of(weights), prefix=BlobRef.of(halves.public))
    mixed = replace(case, spec=spec, weights=weights)
    inputs = case.inputs(2)

    def equip(device: int) -> Equipment:
        equipment = lent(mixed, tmp_path)(device)
        if device == 1:
            equipment.store.add(halves.public)
        return equipment

    async def story() -> tuple[list[dict[str, Any]], list[str]]:
        async with City(TLS, DEVICES, equip) as city:
            async with city.serve(0, borrowed(mixed, city)) as service:
                with pytest.raises(MeshError, match="must be"):
                    await service.ask(tensors_of({"x": np.zeros((1, 3), np.float32)}))
                answers = [arrays_of(await service.ask(tensors_of({"x": x}))) for x in inputs]
            return answers, await city.wait_quiet(10)

    answers, left = TLS.run(story())
    for x, answer in zip(inputs, answers, strict=True):
        np.testing.assert_allclose(case.expected(x), answer["y"], atol=1e-3)
    assert [] == left


def test_what_was_not_calibrated_for_is_refused(tmp_path: Path) -> None:
    """An input larger than calibration allows for: a sentence, and no wrong answer."""
    case = mlp()
    spec = replace(case.spec, within={"x": 4.0})

    async def story() -> str:
        async with City(TLS, DEVICES, lent(case, tmp_path)) as city:
            async with city.serve(0, borrowed(replace(case, spec=spec), city)) as service:
                with pytest.raises(MeshError) as refused:
                    await service.ask(tensors_of({"x": np.full((1, 784), 9, np.float32)}))
                await service.ask(tensors_of({"x": np.full((1, 784), 1, np.float32)}))
            return str(refused.value)

    assert "'x' reaches 9, and this model was calibrated for up to 4" in TLS.run(story())
