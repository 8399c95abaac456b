"""Who is asked to do what in private training, and who says no to what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh.control import decode_plan, encode_plan
from mesh.errors import NoPlan
from mesh.ids import Rank
from mesh.protocol import ANYONE, Candidate, Means, Permits
from protocols.smpc.training.network import Layer
from protocols.smpc.training.protocol import Training
from protocols.smpc.training.roles import Roles, TrainingPlan
from protocols.smpc.training.spec import SHARES, Holding, TrainingSpec
from tests.harness.groups import peers
from tests.harness.training_street import NoVault

PEERS = peers(6)
SPEC = TrainingSpec(
    "risk",
    (Holding("me", "patients"), Holding("bob", "patients", labels=False)),
    "columns",
    "ill",
    (Layer("dense", 1),),
    "logistic",
)
OPEN = Permits(receives=(ANYONE,), trains=(("patients", ANYONE),), losses=("patients",))


def training(owner: str = "", permits: Permits = OPEN, *tables: str) -> Training:
    named = {name: Path(name) for name in tables or ("patients",)}
    return Training(Means(owner=owner, permits=permits, vault=NoVault(), tables=named))


def crew(*owners: str) -> list[Candidate]:
    return [Candidate(peer, owner) for peer, owner in zip(PEERS, owners, strict=False)]


def plan(*owners: str, **spec: Any) -> TrainingPlan:
    return training().plan(replace(SPEC, **spec), crew(*(owners or ("ann", "bob", "cyd", "dan", "eve"))))


def objections(made: TrainingPlan, permits: Permits = OPEN) -> list[str | None]:
    return [training(stage.task.owner, permits).consent(made, Rank(rank)) for rank, stage in enumerate(made.stages)]


@pytest.mark.parametrize("owners", [("ann", "bob", "cyd"), ("ann", "bob", "cyd", "dan"), ("", "bob", "a", "b", "c")])
def test_its_own_plans_find_everyones_consent(owners: tuple[str, ...]) -> None:
    """Owners named by their own names, three that compute, and whoever asks first."""
    made = plan(*owners)
    assert PEERS[0] == made.roster[0]
    assert [None] * len(made.stages) == objections(made)
    assert made == decode_plan(training(), encode_plan(made))


def test_those_compute_who_have_no_other_part_in_it() -> None:
    """If there are three of them; then owners of data compute too, and last who asks."""

    def computing(*owners: str) -> set[str]:
        return {stage.task.owner for stage in plan(*owners).stages if stage.task.party is not None}

    assert {"cyd", "dan", "eve"} == computing("ann", "bob", "cyd", "dan", "eve")
    assert {"bob", "cyd", "dan"} == computing("ann", "bob", "cyd", "dan")
    assert {"ann", "bob", "cyd"} == computing("ann", "bob", "cyd")


def test_roles_are_read_off_a_plan() -> None:
    """By rank: the three by number, each holding's owner, and receivers but for the shares'."""
    made = plan(receivers=("eve", SHARES))
    roles = Roles.of(made)
    assert [PEERS[0], PEERS[1]] == [made.roster[rank] for rank in roles.owners]
    assert [PEERS[4]] == [made.roster[rank] for rank in roles.receivers]
    assert [0, 1, 2] == [made.stages[rank].task.party for rank in roles.parties]


def test_without_three_owners_there_is_no_plan() -> None:
    """The sentence says whose devices there are, and what to set."""
    with pytest.raises(NoPlan, match="`owner`"):
        plan("ann", "bob", "ann")
    with pytest.raises(NoPlan, match="2 devices"):
        plan("ann", "bob", "bob", "cyd", "dan")
    with pytest.raises(NoPlan, match="patients"):
        plan("ann", "cyd", "dan", "eve")


@pytest.mark.parametrize(
    ("permits", "spec", "says"),
    [
        (replace(OPEN, trains=()), {}, "may train on"),
        (replace(OPEN, trains=(("patients", str(PEERS[5])),)), {}, "may train on"),
        (replace(OPEN, losses=()), {"tell_loss": 5}, "not told"),
        (replace(OPEN, trains=(("patients", str(PEERS[0])),)), {"receivers": ("eve",)}, "does not name"),
        (replace(OPEN, parties=(str(PEERS[5]),)), {}, "`parties`"),
        (replace(OPEN, receives=()), {"receivers": ("eve",)}, "no results"),
    ],
)
def test_a_device_says_no_to_what_nobody_agreed_to(permits: Permits, spec: dict[str, Any], says: str) -> None:
    """Whether it is asked for data, for a loss, for others' sight of the model, or to receive it."""
    made = plan(**spec)
    assert any(says in (sentence or "") for sentence in objections(made, permits)[1:])


def test_who_may_not_have_a_table_is_not_told_whether_there_is_one() -> None:
    """One sentence for both."""
    made = plan()
    rank = Rank(made.roster.index(PEERS[1]))
    absent = training("", OPEN, "other").consent(made, rank)
    assert absent == training("", replace(OPEN, trains=())).consent(made, rank)


def test_plans_that_are_not_what_they_should_be_are_refused() -> None:
    """Two parties of one owner, fewer than three, a device that does nothing, a quorum, somebody else's name."""
    made = plan("ann", "bob", "cyd")
    stages = list(made.stages)
    twin = replace(stages[2], task=replace(stages[2].task, owner=stages[1].task.owner))
    idle = replace(stages[2], task=replace(stages[2].task, party=None))
    for broken in (
        replace(made, stages=(*stages[:2], twin)),
        replace(made, stages=(*stages[:2], idle)),
        replace(made, quorum=2),
        replace(made, spec=replace(made.spec, batch=0)),
        replace(made, spec=replace(made.spec, receivers=(str(PEERS[5]),))),
    ):
        assert training(stages[1].task.owner).consent(broken, Rank(1))
    assert "somebody else" in (training("zoe").consent(made, Rank(1)) or "")
