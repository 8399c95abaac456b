"""What each rank looks at before it takes part in a private session. Pure, but for the settings of this device."""

from __future__ import annotations

import msgspec

from mesh.errors import BadInput, one_line
from mesh.ids import Rank
from mesh.protocol import Means
from protocols.smpc.program.steps import Program
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.roles import ASKER, PrivatePlan
from protocols.smpc.spec import ME

__all__ = ["objection"]


def objection(plan: PrivatePlan, rank: Rank, means: Means) -> str | None:
    """Why this device takes no part, as a sentence; None if it does."""
    if plan.spec.weights is not None:
        return "The plan says what the model's weights are called, and whoever knows that can fetch them."
    if plan.quorum != len(plan.stages):
        return "The plan would go on without one of its members, which cannot be."
    return (
        _parts_trouble(plan)
        or plan.spec.trouble()
        or _people_trouble(plan)
        or _party_trouble(plan, rank, means)
        or _lender_trouble(plan, rank, means)
        or _receiver_trouble(plan, rank, means)
    )


def _parts_trouble(plan: PrivatePlan) -> str | None:
    parts = [stage.task for stage in plan.stages]
    computing = [part for part in parts if part.party is not None]
    if sorted(part.party for part in computing if part.party is not None) != list(range(PARTIES)):
        return "The plan does not have three parties that compute, each once."
    named = {*plan.spec.receivers, plan.spec.lender}
    if any(stage.task.party is None and str(stage.peer) not in named for stage in plan.stages[1:]):
        return "The plan has a device in it that does nothing."
    if not all(part.owner for part in computing):
        return "A party of the plan has no owner: set `owner` in its settings."
    if len({part.owner for part in computing}) < PARTIES:
        return "Two parties of the plan have one owner, who could put together what they hold."
    return None


def _people_trouble(plan: PrivatePlan) -> str | None:
    others = {str(peer) for peer in plan.roster[1:]}
    if plan.spec.lender and plan.spec.lender not in others:
        return "The plan names an owner of the model who is not in it."
    if any(one != ME and one not in others for one in plan.spec.receivers):
        return "The plan names a receiver who is not in it."
    return None


def _party_trouble(plan: PrivatePlan, rank: Rank, means: Means) -> str | None:
    mine, lent, needed = plan.stages[rank].task, means.memory, plan.spec.memory
    if mine.party is None:
        return None
    if mine.owner != one_line(means.owner):
        return "The plan says that my owner is somebody else."  # if each party sees to its own, all three are true
    if lent and needed > lent:
        return f"My part takes about {needed / 1e6:.0f} MB, and I lend {lent / 1e6:.0f} MB."
    if means.vault is None and (plan.spec.keeps or plan.spec.held):
        return "The plan has me keep answers, and I keep nothing."
    return None


def _lender_trouble(plan: PrivatePlan, rank: Rank, means: Means) -> str | None:
    spec = plan.spec
    if spec.lender != plan.roster[rank] or rank == ASKER:
        return None
    offered = _offered(plan, means)
    if offered is None:  # one sentence for both: who may not have a model is not told whether there is one
        return f"I offer you no model {spec.model[:80]!r}: whose device this is may, with `offers` in its settings."
    if offered.program != spec.program:
        return f"My model {spec.model!r} is another by now: ask for it again."
    if not spec.hides_model:
        return "The plan would tell my model to the three that compute: only ask for it with the model secret."
    if spec.fraction != offered.fraction:  # answers that have wrapped around tell more of a model than right ones
        return f"My model is computed with {offered.fraction} fractional bits: ask for no other number of them."
    return _entrusted_trouble(plan, means)


def _entrusted_trouble(plan: PrivatePlan, means: Means) -> str | None:
    computing = (stage.peer for stage in plan.stages if stage.task.party is not None)
    if strangers := [peer for peer in computing if not means.permits.entrusts(peer)]:
        return f"{strangers[0].short} is to hold shares of my model, and is not among the `parties` of my settings."
    return None


class _Offered(msgspec.Struct):
    """The fields of a model's spec that a plan must agree with."""

    program: Program
    fraction: int = 18


def _offered(plan: PrivatePlan, means: Means) -> _Offered | None:
    """What we would let who asks compute under the name that it wants."""
    if not means.permits.offers_to(plan.spec.model, plan.roster[ASKER]):
        return None
    try:
        return msgspec.convert(means.model(plan.spec.model), _Offered)
    except (BadInput, msgspec.ValidationError):
        return None


def _receiver_trouble(plan: PrivatePlan, rank: Rank, means: Means) -> str | None:
    asker = plan.roster[ASKER]
    if rank == ASKER or str(plan.roster[rank]) not in plan.spec.receivers:
        return None
    if not means.permits.receives_from(asker):
        return f"I take no results from {asker.short}: whose device this is may, with `receives` in its settings."
    if means.vault is None:
        return "I keep nothing, so I can receive nothing."
    return None
