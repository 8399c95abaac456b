"""Answers that stay: found again by name and number, never mixed, and bound to the three that keep them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mesh.errors import BadInput, NoPlan, StoreError
from mesh.ids import PeerId
from mesh.protocol import Candidate, Means, Permits
from protocols.smpc.keeping import KeptShares, Shares, bound_to, held_port, name_of, record_of, remember
from protocols.smpc.program.steps import Port, Program, Tensor
from protocols.smpc.protocol import Private
from protocols.smpc.spec import PrivateSpec
from tests.harness.vault import PlainVault

PEERS = [PeerId.of_key(b"peer %d" % number) for number in range(6)]
ME = PEERS[0]
X, Y = Tensor(0, "number", (2,)), Tensor(1, "number", (3,))
PROGRAM = Program(17, (Port("x", X),), (Port("w", Y),), (), (), (Port("y", X), Port("z", Y)))
KEEPING = PrivateSpec(PROGRAM, receiver="shares", name="a")
GOING_ON = PrivateSpec(PROGRAM, held={"x": "a:y"})


def shares(session: str) -> KeptShares:
    return KeptShares(1, 18, PROGRAM.outputs, session.encode(), b"second")


def test_shares_come_back_by_name_and_number() -> None:
    """A later answer of the same number takes the place of an earlier one, and number 0 begins anew."""
    kept = Shares(PlainVault(), ME)
    for number, session in ((0, "old"), (1, "old"), (1, "new")):
        kept.keep("a", number, session, shares(session), 60)
    assert {0: "old", 1: "new"} == kept.listing("a")
    assert shares("new") == kept.read("a", 1)
    kept.keep("a", 0, "newest", shares("newest"), 60)
    assert {0: "newest"} == kept.listing("a")
    with pytest.raises(StoreError):
        kept.read("a", 1)


def test_a_name_may_say_which_output_is_meant() -> None:
    """It must, where there are several."""
    assert ("a", "a") == (name_of("a"), name_of("a:z"))
    assert "z" == held_port("a:z", PROGRAM.outputs).name
    for word in ("a", "a:v"):
        with pytest.raises(BadInput, match="a:OUTPUT; it has y, z"):
            held_port(word, PROGRAM.outputs)


def test_what_is_kept_binds_the_next_job_to_the_three() -> None:
    """In the same order; and a job that adds to a name as well."""
    vault = PlainVault()
    assert () == bound_to(vault, ME, KEEPING)
    remember(vault, ME, KEEPING, PEERS[1:4], {0: "s"})
    remember(vault, ME, KEEPING, PEERS[1:4], {1: "s"})
    record = record_of(vault, ME, "a")
    assert record is not None
    assert {0: "s", 1: "s"} == record.sessions
    for spec in (KEEPING, GOING_ON):
        assert tuple(map(str, PEERS[1:4])) == bound_to(vault, ME, spec)


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ({"x": "b"}, "Nothing is kept as 'b'"),
        ({"x": "a"}, "a:OUTPUT"),
        ({"x": "a:z"}, r"takes \[2\] numbers, and 'a' is \[3\]"),
    ],
)
def test_what_does_not_fit_is_no_plan(held: dict[str, str], sentence: str) -> None:
    """With what is kept, or what would fit."""
    vault = PlainVault()
    remember(vault, ME, KEEPING, PEERS[1:4], {0: "s"})
    with pytest.raises(NoPlan, match=sentence):
        bound_to(vault, ME, replace(GOING_ON, held=held))


def test_what_different_threes_keep_cannot_be_used_together() -> None:
    """The sentence says what to do."""
    vault = PlainVault()
    remember(vault, ME, KEEPING, PEERS[1:4], {0: "s"})
    remember(vault, ME, replace(KEEPING, name="b"), PEERS[2:5], {0: "s"})
    with pytest.raises(NoPlan, match="mesh results remove"):
        bound_to(vault, ME, replace(GOING_ON, receiver="shares", name="b"))


def plan(vault: PlainVault | None = None, permits: Permits | None = None, **spec: Any) -> Any:
    means = Means(owner="owner 0", vault=vault, permits=permits or Permits())
    candidates = [Candidate(peer, f"owner {number}") for number, peer in enumerate(PEERS)]
    return Private(means).plan(replace(PrivateSpec(PROGRAM), **spec), candidates)


def test_a_plan_keeps_to_the_three_that_keep() -> None:
    """Whoever else is there."""
    vault = PlainVault()
    remember(vault, ME, KEEPING, [PEERS[5], PEERS[2], PEERS[3]], {0: "s"})
    made = plan(vault, held={"x": "a:y"})
    assert (ME, PEERS[5], PEERS[2], PEERS[3]) == made.roster


def test_a_plan_names_everybody_in_full() -> None:
    """Enough of an id's beginning will do for a person; and the asking device by its id is `me`."""
    made = plan(lender=PEERS[4][:9], model="m", receiver=(PEERS[5][:9], str(ME)), name="a")
    assert (str(PEERS[4]), (str(PEERS[5]), "me")) == (made.spec.lender, made.spec.receiver)
    assert ["asker", "party", "party", "party", "lender", "receiver"] == [stage.role for stage in made.stages]
    assert {PEERS[1], PEERS[2], PEERS[3]} == set(made.roster[1:4])


def test_lenders_and_receivers_compute_only_where_nobody_else_can() -> None:
    """They are entitled to less, and so are asked for more last."""
    made = plan(lender=str(PEERS[1]), model="m", receiver=(str(PEERS[2]), str(PEERS[3])), name="a")
    parties = {stage.peer for stage in made.stages if stage.task.party is not None}
    assert {PEERS[4], PEERS[5]} < parties


def test_only_those_who_are_entrusted_compute() -> None:
    """And too few of them are no plan."""
    permits = Permits(parties=tuple(map(str, PEERS[3:6])))
    assert set(PEERS[3:6]) == set(plan(permits=permits).roster[1:])
    with pytest.raises(NoPlan, match="`parties` in our settings"):
        plan(permits=Permits(parties=(str(PEERS[3]),)))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"receiver": "shares"}, "no name"),
        ({"receiver": "shares", "name": "A b"}, "no name"),
        ({"receiver": "zz", "name": "a"}, "The receiver: no device"),
        ({"lender": "zz", "model": "m"}, "owner: no device"),
        ({"lender": str(PEERS[1])}, "needs both"),
        ({"lender": str(ME), "model": "m"}, "this device's own"),
        ({"held": {"q": "a"}}, "no input 'q'"),
        ({"keep": 1e9}, "30 days"),
        ({"calibrated": 20}, "calibrated for 20"),
    ],
)
def test_what_nobody_can_mean_is_no_plan(spec: dict[str, Any], sentence: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(NoPlan, match=sentence):
        plan(PlainVault(), **spec)
