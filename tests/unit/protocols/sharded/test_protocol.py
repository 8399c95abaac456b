"""Sharded's plan and consent: who holds what, and who says no to what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mesh.blobs import BlobRef
from mesh.errors import NoPlan
from mesh.group import BUDGET
from mesh.ids import Rank
from mesh.protocol import Candidate, Plan, Stage
from protocols.sharded.protocol import Sharded, ShardedSpec, Slice, Where, pace_of
from protocols.sharded.segments import ValueInfo
from tests.harness import toy
from tests.harness.groups import peers

PEERS = peers(4)
ShardedPlan = Plan[ShardedSpec, Slice]


async def _never(*_: Any) -> Any:
    raise AssertionError


def sharded(memory: int = 0) -> Sharded:
    return Sharded(_never, _never, memory=memory)


def crew(count: int = 4, **changes: Any) -> list[Candidate]:
    return [replace(Candidate(peer, memory=10**6, speed=1e4), **changes) for peer in PEERS[:count]]


def plan(count: int = 4, **spec: Any) -> ShardedPlan:
    return sharded().plan(toy.spec(**spec), crew(count))


@pytest.mark.parametrize("where", ["here", "elsewhere", "anywhere"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_its_own_plans_find_everyones_consent(where: Where, count: int) -> None:
    """And make one whole model, with the asking device at rank 0."""
    made = plan(count, where=where)
    assert PEERS[0] == made.roster[0]
    assert toy.SEGMENTS == sum(stage.task.last - stage.task.first for stage in made.stages)
    assert [None] * len(made.stages) == [sharded().consent(made, Rank(rank)) for rank in range(len(made.stages))]


def test_where_the_parts_lie_is_as_was_asked() -> None:
    """Here: nobody else; elsewhere: the asking device only feeds the line."""
    assert 1 == len(plan(where="here").stages)
    elsewhere = plan(where="elsewhere", parts=3)
    assert Stage(PEERS[0], "entry", Slice(0, 0)) == elsewhere.stages[0]
    assert ["part"] * 3 == [stage.role for stage in elsewhere.stages[1:]]


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_as_many_parts_as_were_asked_for(parts: int) -> None:
    """Even where fewer would be faster; fewer only where fewer devices are there."""
    held = [stage for stage in plan(parts=parts).stages if stage.task.last > stage.task.first]
    assert parts == len(held)
    assert 2 == len([stage for stage in plan(2, parts=parts + 1).stages if stage.task.last > stage.task.first])


def test_the_same_facts_give_the_same_plan() -> None:
    """The planner is pure."""
    assert plan(parts=2) == plan(parts=2)


def test_what_fits_nowhere_is_no_plan() -> None:
    """And the message says what is missing."""
    with pytest.raises(NoPlan, match="MB"):
        sharded().plan(toy.spec(), crew(memory=50))


def _stages(change: Callable[[list[Stage[Slice]]], Any]) -> Callable[[ShardedPlan], ShardedPlan]:
    def changed(made: ShardedPlan) -> ShardedPlan:
        stages = list(made.stages)
        change(stages)
        return replace(made, stages=tuple(stages))

    return changed


def _spec(**changes: Any) -> Callable[[ShardedPlan], ShardedPlan]:
    return lambda made: replace(made, spec=replace(made.spec, **changes))


def _task(rank: int, **changes: int) -> Callable[[ShardedPlan], ShardedPlan]:
    def change(stages: list[Stage[Slice]]) -> None:
        stages[rank] = replace(stages[rank], task=replace(stages[rank].task, **changes))

    return _stages(change)


def _model(**changes: Any) -> Callable[[ShardedPlan], ShardedPlan]:
    return lambda made: replace(made, spec=replace(made.spec, model=replace(made.spec.model, **changes)))


SEGMENTS = toy.spec().model.segments


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_stages(lambda stages: stages.pop()), "one whole model"),
        (_stages(lambda stages: stages.reverse()), "one whole model"),
        (_task(1, first=0), "one whole model"),
        (_task(1, last=99), "one whole model"),
        (_task(0, last=-1), "one whole model"),
        (_task(0, first=1), "one whole model"),
        (_spec(window=-1), "window"),
        (_spec(window=1025), "window"),
        (_spec(patience=0.0), "patience"),
        (_spec(patience=3601.0), "patience"),
        (_spec(setup=float("inf")), "patience"),
        (_spec(setup=-1.0), "patience"),
        (_spec(blobs=()), "blobs"),
        (_spec(blobs=tuple(reversed(toy.spec().blobs))), "blobs"),
        (_model(segments=()), "blobs"),
        (_model(values=toy.spec().model.values[:2]), "does not name"),
        (_model(segments=(replace(SEGMENTS[0], entering=(-1,)), *SEGMENTS[1:])), "does not name"),
    ],
)
def test_a_plan_that_makes_no_sense_is_declined(change: Callable[[ShardedPlan], ShardedPlan], sentence: str) -> None:
    """By every rank, with a sentence that says what is wrong with it."""
    wrong = change(plan(parts=3))
    for rank in range(len(wrong.stages)):
        assert sentence in (sharded().consent(wrong, Rank(rank)) or "")


def test_nobody_takes_a_part_of_nothing() -> None:
    """A member that holds nothing would only listen in."""
    idle = _stages(lambda stages: stages.append(Stage(PEERS[3], "part", Slice(toy.SEGMENTS, toy.SEGMENTS))))
    assert "does nothing" in (sharded().consent(idle(plan(3, parts=3)), Rank(0)) or "")


def test_each_device_minds_its_own_memory() -> None:
    """By what the plan says and by what the blobs weigh, whichever is more."""
    made = plan(2, parts=2)
    needed = made.stages[1].task.memory
    assert sharded(needed).consent(made, Rank(1)) is None
    assert "I lend" in (sharded(needed - 1).consent(made, Rank(1)) or "")
    light = _task(1, memory=0)(made)
    weight = sum(ref.size for ref in light.spec.blobs[light.stages[1].task.first :])
    assert "I lend" in (sharded(weight - 1).consent(light, Rank(1)) or "")


def test_the_window_fits_what_may_lie_unread() -> None:
    """A slow device with the whole line before it does not take its neighbour for a flooder."""
    assert 6 == pace_of(plan(3, parts=3)).window
    assert 5 == pace_of(plan(3, parts=3, window=5)).window
    values = tuple(ValueInfo(value.name, BUDGET // 10) for value in toy.spec().model.values)
    heavy = _model(values=values)(plan(3, parts=3, window=64))
    assert 1 <= pace_of(heavy).window * (BUDGET // 10) <= BUDGET // 2
    assert 1 == pace_of(_model(values=tuple(ValueInfo(v.name, 2**62) for v in values))(heavy)).window


@pytest.mark.parametrize("size", [-1, -(2**62)])
def test_sizes_that_nothing_has_do_no_harm(size: int) -> None:
    """A forged model cannot make consent divide by zero."""
    values = tuple(ValueInfo(value.name, size) for value in toy.spec().model.values)
    assert sharded().consent(_model(values=values)(plan(3)), Rank(0)) is None


def test_a_large_forged_model_is_judged_at_once() -> None:
    """Tens of thousands of segments cost no more than reading them."""
    count = 10_000
    refs = tuple(BlobRef.of(b"%d" % number) for number in range(count))
    segments = tuple(replace(SEGMENTS[0], digest=ref.digest, entering=(place,)) for place, ref in enumerate(refs))
    values = tuple(ValueInfo(f"v{place}", 8) for place in range(count))
    model = replace(toy.spec().model, segments=segments, values=values)
    forged = replace(plan(2), spec=replace(toy.spec(), model=model, blobs=refs))
    assert "one whole model" in (sharded().consent(forged, Rank(1)) or "")
