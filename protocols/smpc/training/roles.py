"""Who is what in private training: who asks, whose data it is, who computes, who is told the model. Pure.

One device may be several of them. Whoever asks is rank 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mesh.errors import NoPlan, one_line
from mesh.group import Group
from mesh.ids import Rank
from mesh.protocol import Candidate, Means, Plan, Stage
from protocols.smpc.circle import Circle
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.roles import Part, found, of_different_owners
from protocols.smpc.training.spec import ME, SHARES, TrainingSpec

__all__ = ["Circles", "Roles", "TrainingPlan", "planned"]

TrainingPlan = Plan[TrainingSpec, Part]


@dataclass(frozen=True, slots=True)
class Roles:
    """The ranks of one plan.

    Attributes:
        parties: the three that compute, by number.
        owners: of each holding of the spec, in order.
        receivers: who is told the model.
    """

    parties: tuple[Rank, ...]
    owners: tuple[Rank, ...]
    receivers: tuple[Rank, ...]

    @classmethod
    def of(cls, plan: TrainingPlan) -> Roles:
        """Of a plan that somebody consented to."""
        numbers = {stage.task.party: Rank(rank) for rank, stage in enumerate(plan.stages)}
        ranks = {str(peer): Rank(rank) for rank, peer in enumerate(plan.roster)}
        return cls(
            tuple(numbers[number] for number in range(PARTIES)),
            tuple(ranks[one.peer] for one in plan.spec.data),
            tuple(ranks[peer] for peer in plan.spec.receivers if peer != SHARES),
        )


class Circles:
    """The session's group in its scopes. One of each in a process, so that a device may speak to itself.

    Attributes:
        main: the asking device and the three, and the three among themselves.
        results: the three, the receivers and the asking device.
        data: each holding's owner, the three, and the asking device.
        lines: each holding's owner and the other owners.
    """

    def __init__(self, group: Group, holdings: int) -> None:
        self.main = Circle(group)
        self.results = Circle(group.within("results"))
        self.data = tuple(Circle(group.within("data", number)) for number in range(holdings))
        self.lines = tuple(Circle(group.within("lines", number)) for number in range(holdings))


def planned(
    name: str, spec: TrainingSpec, candidates: Sequence[Candidate], means: Means, bound: Sequence[str]
) -> TrainingPlan:
    """Who does what.

    Args:
        bound: the three that have checkpoints of this job; nobody, if it is new.

    Raises:
        NoPlan: owners, receivers or three parties are not in sight.
    """
    if (trouble := spec.trouble()) is not None:
        raise NoPlan(trouble)
    myself, known = candidates[0], {str(candidate.peer): candidate for candidate in candidates}
    spec = _settled(spec, candidates)
    named = dict.fromkeys([*(one.peer for one in spec.data), *(one for one in spec.receivers if one != SHARES)])
    chosen = _bound(bound, known) if bound else _chosen(candidates, named, means)
    parties = {candidate.peer: number for number, candidate in enumerate(chosen)}
    members = list(dict.fromkeys([myself, *chosen, *(known[peer] for peer in named)]))
    stages = tuple(_stage(spec, member, parties.get(member.peer)) for member in members)
    return Plan(name, spec, stages, quorum=len(stages))


def _settled(spec: TrainingSpec, candidates: Sequence[Candidate]) -> TrainingSpec:
    """With whole ids in place of whatever else people call devices."""
    data = tuple(replace(one, peer=_somebody(one.peer, candidates, f"{one.table!r}'s owner")) for one in spec.data)
    receivers = tuple(
        dict.fromkeys(
            one if one == SHARES else _somebody(one, candidates, "the model's receiver") for one in spec.receivers
        )
    )
    return replace(spec, data=data, receivers=receivers or (SHARES,))


def _somebody(word: str, candidates: Sequence[Candidate], what: str) -> str:
    if word == ME:
        return str(candidates[0].peer)
    owned = [candidate.peer for candidate in candidates if candidate.owner == word]
    if len(owned) > 1:
        raise NoPlan(f"{word[:60]!r} has {len(owned)} devices in sight: name one by the beginning of its id.")
    return str(owned[0] if len(owned) == 1 else found(word, candidates, f"{what[:1].upper()}{what[1:]}"))


def _bound(parties: Sequence[str], known: Mapping[str, Candidate]) -> list[Candidate]:
    if gone := [peer for peer in parties if peer not in known]:
        raise NoPlan(
            f"{gone[0][:7]} has a part of the checkpoints of this job, and cannot be asked now: wait for it, or give "
            "the job another name to begin anew."
        )
    return [known[peer] for peer in parties]


def _chosen(candidates: Sequence[Candidate], named: Mapping[str, None], means: Means) -> list[Candidate]:
    """Three of different owners: such as have no other part in it, if there are; then owners and receivers, then us."""
    entrusted = [one for one in candidates if one is candidates[0] or means.permits.entrusts(one.peer)]
    last = {one.peer for one in candidates if str(one.peer) in named}
    chosen = of_different_owners(entrusted[1:], last=last)
    if len(chosen) < PARTIES:
        chosen = of_different_owners(entrusted, last={*last, candidates[0].peer})
    if len(chosen) < PARTIES:
        owners = ", ".join(sorted({one.owner for one in candidates if one.owner})) or "nobody"
        raise NoPlan(
            f"Private training needs three devices of different owners to compute; of the {len(candidates)} that could "
            f"take part, this one included, those that say an owner belong to {owners}. Set `owner` in the settings of "
            "each device."
        )
    return chosen


def _stage(spec: TrainingSpec, member: Candidate, party: int | None) -> Stage[Part]:
    held = any(one.peer == member.peer for one in spec.data)
    role = (
        "party" if party is not None else "owner" if held else "receiver" if member.peer in spec.receivers else "asker"
    )
    return Stage(member.peer, role, Part(party, one_line(member.owner) if party is not None else ""))
