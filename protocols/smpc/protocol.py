"""Private inference: three devices of different owners compute on shares of what none of them can see.

The device that asks has the input and the model. It splits both into two-out-of-three shares, one pair to each of the
three, and puts their shares of the answer together. No dealer exists: what masks are needed, pairs of parties draw
from keys that the third never has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from mesh.errors import NoPlan, SessionError, one_line
from mesh.group import Group
from mesh.ids import Rank
from mesh.protocol import Candidate, Device, Means, Plan, Protocol, Stage
from protocols.runtimes.box import Box, Limits
from protocols.smpc.circle import Circle
from protocols.smpc.owner import Owner
from protocols.smpc.party import Member
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.spec import PrivateSpec
from protocols.smpc.words import VOCABULARY

__all__ = ["Part", "Private"]


@dataclass(frozen=True, slots=True)
class Part:
    """What one rank does.

    Attributes:
        party: which of the three it is, 0 to 2; None at a rank 0 that only hands in and takes out.
        owner: who runs the device, as it says itself. All members of the session read it.
    """

    party: int | None = None
    owner: str = ""


PrivatePlan = Plan[PrivateSpec, Part]


class Private(Protocol[PrivateSpec, Part, None]):
    """A service: it answers what its feed brings, until the feed is over.

    Args:
        inside: the module that runs in each party's box.
    """

    name = "private"
    spec = PrivateSpec
    task = Part
    vocabulary = VOCABULARY
    promises = (
        "No single one of the three computing devices learns anything of what is secret: input, model, or both.",
        "Only the device that asks learns the answers, and it finds out if one party's shares of them were altered.",
        "There is no dealer: nobody makes randomness for the others that could open what they hold.",
        "The three belong to different owners, by what their settings say: each checks the plan for that, and for what"
        " it says of itself.",
        "Every member of the session learns the plan: who takes part, whose devices they are, and the program, which is"
        " the network's operators and shapes without its weights.",
        "Each computing device sees when requests come, how many there are, and how long they take.",
        "Not promised: secrecy from two computing devices that pool what they hold. Together they learn everything.",
        "Not promised: a right answer from a party that departs from the program. All are taken to be honest but"
        " curious; a lie in the course of the computation is not noticed.",
        "Not promised: that answers give nothing away of the model. Whoever may ask often enough can copy a model.",
    )

    def __init__(self, means: Means, inside: str = "protocols.smpc.inside") -> None:
        self._means = means
        self._inside = inside

    def plan(self, spec: PrivateSpec, candidates: Sequence[Candidate]) -> PrivatePlan:
        if (trouble := spec.trouble()) is not None:
            raise NoPlan(trouble)
        myself, others = candidates[0], candidates[1:]
        chosen = _of_different_owners(others)
        if len(chosen) < PARTIES:
            chosen = _of_different_owners([*others, myself], first=myself)
        if len(chosen) < PARTIES:
            raise NoPlan(_lacking(candidates))
        parties = {candidate.peer: number for number, candidate in enumerate(chosen)}
        members = [myself, *(candidate for candidate in chosen if candidate is not myself)]
        stages = [_stage(member, parties.get(member.peer)) for member in members]
        return Plan(self.name, spec.for_all, tuple(stages), quorum=len(stages))

    def consent(self, plan: PrivatePlan, rank: Rank) -> str | None:
        if plan.spec.weights is not None:
            return "The plan says what the model's weights are called, and whoever knows that can fetch them."
        if plan.quorum != len(plan.stages):
            return "The plan would go on without one of its parties, which cannot be."
        return _parts_trouble(plan) or plan.spec.trouble() or self._own_trouble(plan, rank)

    def _own_trouble(self, plan: PrivatePlan, rank: Rank) -> str | None:
        mine, lent, needed = plan.stages[rank].task, self._means.memory, plan.spec.memory
        if mine.party is not None and mine.owner != one_line(self._means.owner):
            return "The plan says that my owner is somebody else."  # if each party sees to its own, all three are true
        if mine.party is not None and lent and needed > lent:
            return f"My part takes about {needed / 1e6:.0f} MB, and I lend {lent / 1e6:.0f} MB."
        return None

    async def run(self, plan: PrivatePlan, group: Group, device: Device) -> None:
        circle, parties = Circle(group), _ranks_of_parties(plan)
        async with asyncio.TaskGroup() as tasks:
            if group.rank == 0:
                tasks.create_task(self._own(plan, circle, device))
            if group.rank in parties:
                tasks.create_task(self._compute(plan, circle, device))

    async def _own(self, plan: PrivatePlan, circle: Circle, device: Device) -> None:
        asked = device.asked
        if not isinstance(asked, PrivateSpec) or asked.weights is None:
            raise SessionError("No weights were handed in with this job: add the model with --protocol private.")
        weights = await device.blobs.bring(asked.weights, circle.peer(circle.rank))
        await Owner(circle, plan.spec, _ranks_of_parties(plan), device).serve(weights)

    async def _compute(self, plan: PrivatePlan, circle: Circle, device: Device) -> None:
        if device.boxes is None:
            raise SessionError("This device lends no boxes.")
        parties = _ranks_of_parties(plan)
        threads = {name: str(self._means.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        async with Box(self._inside, limits=Limits(memory=self._means.memory), environment=threads) as box:
            member = Member(circle, plan.spec, parties, box=box, boxes=device.boxes, entropy=device.entropy)
            await member.work()


def _stage(member: Candidate, party: int | None) -> Stage[Part]:
    # Whose the asking device is, is nobody's business unless it computes.
    return (
        Stage(member.peer, "owner", Part())
        if party is None
        else Stage(member.peer, "party", Part(party, one_line(member.owner)))
    )


def _parts_trouble(plan: PrivatePlan) -> str | None:
    parts = [stage.task for stage in plan.stages]
    computing = [part for part in parts if part.party is not None]
    if sorted(part.party for part in computing if part.party is not None) != list(range(PARTIES)):
        return "The plan does not have three parties that compute, each once."
    if any(part.party is None for part in parts[1:]):
        return "The plan has a device in it that does nothing."
    if not all(part.owner for part in computing):
        return "A party of the plan has no owner: set `owner` in its settings."
    if len({part.owner for part in computing}) < PARTIES:
        return "Two parties of the plan have one owner, who could put together what they hold."
    return None


def _ranks_of_parties(plan: PrivatePlan) -> tuple[Rank, ...]:
    """The ranks of the three, by number."""
    numbers = {stage.task.party: Rank(rank) for rank, stage in enumerate(plan.stages)}
    return tuple(numbers[number] for number in range(PARTIES))


def _of_different_owners(candidates: Sequence[Candidate], first: Candidate | None = None) -> list[Candidate]:
    """Three at most, each of another owner, the fastest of each; `first` before all others."""
    ordered = sorted(candidates, key=lambda candidate: (candidate is not first, -candidate.speed, candidate.peer))
    chosen: dict[str, Candidate] = {}
    for candidate in ordered:
        if candidate.owner:
            chosen.setdefault(candidate.owner, candidate)
    return list(chosen.values())[:PARTIES]


def _lacking(candidates: Sequence[Candidate]) -> str:
    owners = sorted({candidate.owner for candidate in candidates if candidate.owner})
    unowned = sum(not candidate.owner for candidate in candidates)
    return (
        f"Private inference needs three devices of different owners; of the {len(candidates)} that could take part, "
        f"this one included, {unowned} say no owner and the others belong to {', '.join(owners) or 'nobody'}. Set "
        "`owner` in the settings of each device."
    )
