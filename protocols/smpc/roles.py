"""Who is what in a private session: who asks, who lends the model, who computes, who is told. Pure.

One device may be several of them. Whoever asks is rank 0.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mesh.errors import NoPlan
from mesh.ids import PeerId, Rank
from mesh.protocol import Candidate, Plan
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.spec import ME, PrivateSpec

__all__ = ["ASKER", "Part", "PrivatePlan", "Roles", "found", "of_different_owners"]

ASKER = Rank(0)


@dataclass(frozen=True, slots=True)
class Part:
    """What one rank does.

    Attributes:
        party: which of the three it is, 0 to 2; None where it does not compute.
        owner: of a device that computes: who runs it, as it says itself. All members of the session read it.
    """

    party: int | None = None
    owner: str = ""


PrivatePlan = Plan[PrivateSpec, Part]


@dataclass(frozen=True, slots=True)
class Roles:
    """The ranks of one plan.

    Attributes:
        parties: the three that compute, by number.
        lender: who hands in the model.
        receivers: who is told the answers.
    """

    parties: tuple[Rank, ...]
    lender: Rank
    receivers: tuple[Rank, ...]

    @classmethod
    def of(cls, plan: PrivatePlan) -> Roles:
        """Of a plan that somebody consented to."""
        numbers = {stage.task.party: Rank(rank) for rank, stage in enumerate(plan.stages)}
        ranks = {str(peer): Rank(rank) for rank, peer in enumerate(plan.roster)}
        return cls(
            tuple(numbers[number] for number in range(PARTIES)),
            ranks[plan.spec.lender] if plan.spec.lender else ASKER,
            tuple(ranks[peer] if peer != ME else ASKER for peer in plan.spec.receivers),
        )


def found(prefix: str, candidates: Sequence[Candidate], what: str) -> PeerId:
    """The one candidate whose id begins so.

    Raises:
        NoPlan: none does, or several do.
    """
    fitting = [candidate.peer for candidate in candidates if prefix and candidate.peer.startswith(prefix)]
    if len(fitting) == 1:
        return fitting[0]
    seen = ", ".join(candidate.peer.short for candidate in candidates[1:]) or "nobody"
    how = "begins with" if not fitting else "is the only one to begin with"
    raise NoPlan(
        f"{what}: no device that takes part in private jobs {how} {prefix[:60]!r}. In sight: {seen}; see `mesh peers`."
    )


def of_different_owners(
    candidates: Sequence[Candidate], first: Candidate | None = None, last: Collection[PeerId] = ()
) -> list[Candidate]:
    """Three at most, each of another owner, the fastest of each; `first` before all others, and `last` after them."""
    ordered = sorted(
        candidates,
        key=lambda candidate: (candidate is not first, candidate.peer in last, -candidate.speed, candidate.peer),
    )
    chosen: dict[str, Candidate] = {}
    for candidate in ordered:
        if candidate.owner:
            chosen.setdefault(candidate.owner, candidate)
    return list(chosen.values())[:PARTIES]
