"""What each rank looks at before it takes part in private training. Pure, but for the settings of this device."""

from __future__ import annotations

from mesh.errors import one_line
from mesh.ids import Rank
from mesh.protocol import Means
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.roles import ASKER
from protocols.smpc.training.roles import TrainingPlan
from protocols.smpc.training.spec import SHARES

__all__ = ["objection"]


def objection(plan: TrainingPlan, rank: Rank, means: Means) -> str | None:
    """Why this device takes no part, as a sentence; None if it does."""
    if plan.quorum != len(plan.stages):
        return "The plan would begin without one of its members, which cannot be."
    return (
        _parts_trouble(plan)
        or plan.spec.trouble()
        or _party_trouble(plan, rank, means)
        or _owner_trouble(plan, rank, means)
        or _receiver_trouble(plan, rank, means)
    )


def _parts_trouble(plan: TrainingPlan) -> str | None:
    computing = [stage.task for stage in plan.stages if stage.task.party is not None]
    named = {*(one.peer for one in plan.spec.data), *plan.spec.receivers} - {SHARES}
    if sorted(part.party for part in computing if part.party is not None) != list(range(PARTIES)):
        return "The plan does not have three parties that compute, each once."
    if len({*plan.roster}) < len(plan.stages) or not named <= {str(peer) for peer in plan.roster}:
        return "The plan names an owner of data or a receiver who is not in it, or a device twice."
    if any(stage.task.party is None and str(stage.peer) not in named for stage in plan.stages[1:]):
        return "The plan has a device in it that does nothing."
    if not all(part.owner for part in computing):
        return "A party of the plan has no owner: set `owner` in its settings."
    if len({part.owner for part in computing}) < PARTIES:
        return "Two parties of the plan have one owner, who could put together what they hold."
    return None


def _party_trouble(plan: TrainingPlan, rank: Rank, means: Means) -> str | None:
    mine = plan.stages[rank].task
    if mine.party is None:
        return None
    if mine.owner != one_line(means.owner):
        return "The plan says that my owner is somebody else."  # if each party sees to its own, all three are true
    if means.vault is None:
        return "The plan has me keep checkpoints, and I keep nothing."
    return None


def _owner_trouble(plan: TrainingPlan, rank: Rank, means: Means) -> str | None:
    """Whoever asks may use its own data as it likes; it must be named in the settings all the same."""
    me, asker = str(plan.roster[rank]), plan.roster[ASKER]
    permits = means.permits
    for table in (one.table for one in plan.spec.data if one.peer == me):
        # One sentence for both: who may not have a table is not told whether there is one.
        if table not in means.tables or not (rank == ASKER or permits.trains_for(table, asker)):
            return (
                f"I have no table {table[:80]!r} that you may train on: whose device this is may name it with `tables` "
                "and you with `trains` in its settings."
            )
        if plan.spec.tell_loss and not permits.tells_losses(table):
            return f"Losses on {table[:80]!r} are not told: leave `tell_loss` out, or name it with `losses` here."
        for peer in (one for one in plan.spec.receivers if one not in (SHARES, me, str(asker))):
            if not permits.trains_for(table, plan.roster[_rank(plan, peer)]):
                return (
                    f"{peer[:7]} is to be told a model of {table[:80]!r}, and `trains` in my settings does not name it."
                )
        for stage in plan.stages:
            if stage.task.party is not None and str(stage.peer) != me and not permits.entrusts(stage.peer):
                return f"{stage.peer.short} is to hold shares of my data, and is not among `parties` in my settings."
    return None


def _receiver_trouble(plan: TrainingPlan, rank: Rank, means: Means) -> str | None:
    asker = plan.roster[ASKER]
    if rank == ASKER or str(plan.roster[rank]) not in plan.spec.receivers:
        return None
    if not means.permits.receives_from(asker):
        return f"I take no results from {asker.short}: whose device this is may, with `receives` in its settings."
    return None if means.vault is not None else "I keep nothing, so I can receive nothing."


def _rank(plan: TrainingPlan, peer: str) -> int:
    return [str(one) for one in plan.roster].index(peer)
