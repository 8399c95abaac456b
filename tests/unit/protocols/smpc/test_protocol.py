"""Private's plan and consent: who computes, and who says no to what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mesh.blobs import BlobRef
from mesh.control import decode_plan, encode_plan
from mesh.errors import NoPlan
from mesh.ids import Rank
from mesh.protocol import Candidate, Means, Plan, Stage
from protocols.smpc.program.steps import Port, Program, Step, Tensor
from protocols.smpc.protocol import Part, Private
from protocols.smpc.spec import MOST_INPUTS, MOST_WEIGHTS, PrivateSpec
from tests.harness.groups import peers

PEERS = peers(6)
X, W, Y = (Tensor(number, "number", (2, 2)) for number in range(3))
PROGRAM = Program(17, (Port("x", X),), (Port("w", W),), (), (Step("MatMul", (0, 1), (Y,)),), (Port("y", Y),))
WEIGHTS = BlobRef.of(bytes(16))
SPEC = PrivateSpec(PROGRAM, WEIGHTS)


def private(memory: int = 0, owner: str = "bob") -> Private:
    return Private(Means(memory=memory, owner=owner))


def crew(*owners: str, **changes: Any) -> list[Candidate]:
    return [Candidate(peer, owner, **changes) for peer, owner in zip(PEERS, owners, strict=False)]


def plan(*owners: str, **spec: Any) -> Plan[PrivateSpec, Part]:
    return private().plan(replace(SPEC, **spec), crew(*(owners or ("ann", "bob", "cyd", "dan"))))


@pytest.mark.parametrize("owners", [("ann", "bob", "cyd"), ("", "bob", "cyd", "dan"), ("a", "b", "b", "c", "", "d")])
def test_its_own_plans_find_everyones_consent(owners: tuple[str, ...]) -> None:
    """Three compute, each once and of another owner, and the asking device is rank 0."""
    made = plan(*owners)
    assert PEERS[0] == made.roster[0]
    parts = [stage.task for stage in made.stages if stage.task.party is not None]
    assert ({0, 1, 2}, 3) == ({part.party for part in parts}, len({part.owner for part in parts}))
    for rank, stage in enumerate(made.stages):
        assert None is private(owner=stage.task.owner).consent(made, Rank(rank))


def test_three_others_compute_where_there_are_three() -> None:
    """The asking device then only hands in and takes out; and whose it is, the plan does not say."""
    made = plan()
    assert Stage(PEERS[0], "owner", Part()) == made.stages[0]
    assert ["party"] * 3 == [stage.role for stage in made.stages[1:]]
    assert "party" == plan("ann", "bob", "cyd").stages[0].role


def test_the_fastest_of_each_owner_computes() -> None:
    """Other devices of the same owner stay out."""
    candidates = crew("ann", "bob", "cyd", "dan", "bob")
    candidates[4] = replace(candidates[4], speed=9.0)
    assert (PEERS[0], PEERS[4]) == private().plan(SPEC, candidates).roster[:2]
    assert PEERS[1] not in private().plan(SPEC, candidates).roster


@pytest.mark.parametrize("owners", [("ann", "bob"), ("ann", "bob", "bob", "ann"), ("", "bob", "cyd"), ("", "", "", "")])
def test_fewer_than_three_owners_are_no_plan(owners: tuple[str, ...]) -> None:
    """And the sentence says what to set, and who is in sight."""
    with pytest.raises(NoPlan, match=r"three devices of different owners.*Set `owner`"):
        plan(*owners)


def test_a_plan_tells_nobody_what_the_weights_are_called() -> None:
    """Whoever knows a blob's name may fetch it from the store."""
    made = plan()
    assert None is made.spec.weights
    assert WEIGHTS.digest.encode() not in encode_plan(made)


def test_a_plan_survives_its_journey() -> None:
    """The program comes out as it went in, step by step."""
    assert plan() == decode_plan(private(), encode_plan(plan()))


Change = Callable[[Plan[PrivateSpec, Part]], Plan[PrivateSpec, Part]]


def _task(rank: int, **changes: Any) -> Change:
    def changed(made: Plan[PrivateSpec, Part]) -> Plan[PrivateSpec, Part]:
        stages = list(made.stages)
        stages[rank] = replace(stages[rank], task=replace(stages[rank].task, **changes))
        return replace(made, stages=tuple(stages))

    return changed


def _spec(**changes: Any) -> Change:
    return lambda made: replace(made, spec=replace(made.spec, **changes))


def _program(**changes: Any) -> Change:
    return _spec(program=replace(PROGRAM, **changes))


def _sized(number: int, size: int) -> Tensor:
    return Tensor(number, "number", (size,))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_task(1, owner="cyd"), "one owner"),
        (_task(1, owner=""), "no owner"),
        (_task(1, party=1), "three parties"),
        (_task(1, party=7), "three parties"),
        (_task(1, party=None), "three parties"),
        (_task(0, party=3), "three parties"),
        (lambda made: replace(made, stages=(*made.stages, Stage(PEERS[5], "idle", Part())), quorum=5), "nothing"),
        (lambda made: replace(made, quorum=3), "without one"),
        (_spec(weights=WEIGHTS), "fetch"),
        (_spec(fraction=31), "fractional bits"),
        (_spec(patience=0.0), "patience"),
        (_spec(patience=float("inf")), "patience"),
        (_spec(setup=3601.0), "patience"),
        (_program(steps=(Step("Telephone", (0, 1), (Y,)),)), "Telephone"),
        (_program(steps=()), "output"),
        (_program(inputs=(Port("x", _sized(0, MOST_INPUTS + 1)),), steps=(), outputs=(Port("y", W),)), "numbers"),
        (_program(inputs=(), steps=(), outputs=(Port("y", W),)), "numbers"),
        (_program(outputs=()), "gives 0"),
        (_program(weights=(Port("w", W), Port("v", _sized(9, MOST_WEIGHTS)))), "weights"),
    ],
)
def test_nobody_agrees_to_what_weakens_or_overburdens_them(change: Change, sentence: str) -> None:
    """Whoever is invited looks before sitting down."""
    said = private().consent(change(plan()), Rank(1))
    assert said is not None
    assert sentence in said


def test_a_party_lends_no_more_memory_than_it_has() -> None:
    """And a device that does not compute needs none."""
    made = plan()
    assert "MB" in str(private(2**20, made.stages[1].task.owner).consent(made, Rank(1)))
    assert None is private(2**20).consent(plan(), Rank(0))


def test_whose_a_party_is_it_knows_best() -> None:
    """A plan cannot pass two devices of one owner off as two people's: each of them reads what is said of itself."""
    made = plan("ann", "bob", "cyd", "dan")
    rank = Rank(made.roster.index(PEERS[1]))
    assert None is private(owner="bob").consent(made, rank)
    for owner in ("cyd", ""):
        assert "somebody else" in str(private(owner=owner).consent(made, rank))


def test_an_impossible_program_is_refused_before_anybody_is_asked() -> None:
    """With the operators that stand in the way."""
    with pytest.raises(NoPlan, match="Telephone"):
        plan(program=replace(PROGRAM, steps=(Step("Telephone", (0, 1), (Y,)),)))
