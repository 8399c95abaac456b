"""Private inference: three devices of different owners compute on shares of what none of them can see.

One device asks, and has the input. It or another one has the model. Both split what is theirs into two-out-of-three
shares, one pair to each of the three, and neither sees the other's. Those named as receivers put the three's shares of
the answer together; or the shares stay where they are, for a job to come. No dealer exists: what masks are needed,
pairs of parties draw from keys that the third never has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

import msgspec

from mesh.blobs import BlobRef
from mesh.errors import BadInput, NoPlan, SessionError, one_line
from mesh.group import Group
from mesh.ids import PeerId, Rank
from mesh.protocol import Candidate, Device, Means, Plan, Protocol, Stage
from protocols.arrays import tensors_of
from protocols.runtimes.box import Box, Limits
from protocols.smpc.aside import aside
from protocols.smpc.asking import Asker
from protocols.smpc.circle import Circle
from protocols.smpc.consenting import objection
from protocols.smpc.dealing import total
from protocols.smpc.keeping import Shares, bound_to, keep_answer, remember
from protocols.smpc.lending import LENDING, lend
from protocols.smpc.party import Asked, Circles, Member
from protocols.smpc.program.steps import Array
from protocols.smpc.promises import PROMISES
from protocols.smpc.public import public_part
from protocols.smpc.receiving import RESULTS, Receiver
from protocols.smpc.replicated.link import PARTIES
from protocols.smpc.replicated.sharing import FixedPoint
from protocols.smpc.roles import ASKER, Part, PrivatePlan, Roles, found, of_different_owners
from protocols.smpc.spec import ME, MODES, SHARES, PrivateSpec
from protocols.smpc.words import VOCABULARY, Finish, Received

__all__ = ["Part", "Private"]


class Private(Protocol[PrivateSpec, Part, None]):
    """A service: it answers what its feed brings, until the feed is over.

    Args:
        inside: the module that runs in each party's box.
    """

    name = "private"
    spec = PrivateSpec
    task = Part
    vocabulary = VOCABULARY
    promises = PROMISES
    lent = frozenset(("program", "prefix", "within", "fraction", "calibrated"))
    modes = MODES

    def __init__(self, means: Means, inside: str = "protocols.smpc.inside") -> None:
        self._means = means
        self._inside = inside

    def plan(self, spec: PrivateSpec, candidates: Sequence[Candidate]) -> PrivatePlan:
        if (trouble := spec.trouble()) is not None:
            raise NoPlan(trouble)
        myself = candidates[0]
        spec = _settled(spec, candidates)
        named = {*spec.receivers, spec.lender} & {str(candidate.peer) for candidate in candidates}
        bound = bound_to(self._means.vault, myself.peer, spec)
        chosen = _bound(bound, candidates) if bound else self._chosen(candidates, named)
        parties = {candidate.peer: number for number, candidate in enumerate(chosen)}
        others = [candidate for candidate in candidates[1:] if candidate.peer in named and candidate not in chosen]
        members = [myself, *(candidate for candidate in chosen if candidate is not myself), *others]
        stages = [_stage(spec, member, rank, parties.get(member.peer)) for rank, member in enumerate(members)]
        return Plan(self.name, spec.for_all, tuple(stages), quorum=len(stages))

    def consent(self, plan: PrivatePlan, rank: Rank) -> str | None:
        return objection(plan, rank, self._means)

    async def run(self, plan: PrivatePlan, group: Group, device: Device) -> None:
        circles = Circles(Circle(group), Circle(group.within(LENDING)), Circle(group.within(RESULTS)))
        roles, rank = Roles.of(plan), group.rank
        async with asyncio.TaskGroup() as tasks:
            if rank == roles.lender:
                tasks.create_task(self._lend(plan, circles.lending, roles, device))
            if rank in roles.parties:
                tasks.create_task(self._compute(plan, circles, roles, device))
            if rank == ASKER:
                tasks.create_task(self._ask(plan, circles, roles, device))
            elif rank in roles.receivers:
                tasks.create_task(self._receive(plan, circles.results, roles))

    async def _lend(self, plan: PrivatePlan, circle: Circle, roles: Roles, device: Device) -> None:
        ref = self._weights(plan.spec) if plan.spec.lender else _asked(device).weights
        if ref is None:
            raise SessionError("No weights were handed in with this job: add the model with --protocol private.")
        weights = await device.blobs.bring(ref, circle.peer(circle.rank))
        await lend(circle, plan.spec, roles.parties, weights, device.entropy)

    def _weights(self, spec: PrivateSpec) -> BlobRef:
        """Those of a model of ours that another device asked for."""
        try:
            return msgspec.convert(self._means.model(spec.model).get("weights"), BlobRef)
        except (BadInput, msgspec.ValidationError) as error:
            raise SessionError(f"The model {spec.model!r} is not here any more.") from error

    async def _ask(self, plan: PrivatePlan, circles: Circles, roles: Roles, device: Device) -> None:
        spec, me = plan.spec, circles.main.peer(ASKER)
        asker = Asker(circles.main, circles.results, spec, roles, device)

        def kept(seq: int) -> None:
            if spec.keeps and self._means.vault is not None:
                three = [circles.main.peer(rank) for rank in roles.parties]
                remember(self._means.vault, me, spec, three, {seq: asker.session})

        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            if (prefix := _asked(device).prefix) is not None:
                inputs = [port.name for port in spec.program.inputs]
                blob = await device.blobs.bring(prefix, circles.main.peer(roles.lender))
                asker.prepare = await stack.enter_async_context(public_part(blob, inputs))
            listening = None
            if ASKER in roles.receivers:
                fixed = FixedPoint(spec.fraction)
                receiver = Receiver(circles.results, roles.parties, spec.program.outputs, fixed, asker.deliver)
                asker.missing = receiver.missing
                listening = tasks.create_task(receiver.listen())
            await asker.serve(kept)
            if listening is not None:
                listening.cancel()

    async def _receive(self, plan: PrivatePlan, circle: Circle, roles: Roles) -> None:
        spec, owner, vault = plan.spec, circle.peer(ASKER), self._means.vault
        if vault is None:
            raise SessionError("This device keeps nothing, so it can receive nothing.")

        async def deliver(seq: int, outputs: dict[str, Array]) -> None:
            await aside(total(spec.program.outputs), keep_answer, vault, owner, spec, seq, tensors_of(outputs))
            await circle.send(ASKER, Received(seq=seq))

        receiver = Receiver(circle, roles.parties, spec.program.outputs, FixedPoint(spec.fraction), deliver)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(receiver.listen())
            await circle.receive(ASKER, Finish)
            listening.cancel()

    async def _compute(self, plan: PrivatePlan, circles: Circles, roles: Roles, device: Device) -> None:
        vault, owner = self._means.vault, circles.main.peer(ASKER)
        shares = Shares(vault, owner) if vault is not None else None
        async with self._box() as box:
            await Member(circles, plan.spec, roles, box=box, device=device, shares=shares).work()

    def _box(self) -> AbstractAsyncContextManager[Asked]:
        threads = {name: str(self._means.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        return Box(self._inside, limits=Limits(memory=self._means.memory), environment=threads)

    def _chosen(self, candidates: Sequence[Candidate], named: set[str]) -> list[Candidate]:
        """Three that have no other part in it, if there are such; then lenders and receivers; then ourselves."""
        myself = candidates[0]
        entrusted = [one for one in candidates if one is myself or self._means.permits.entrusts(one.peer)]
        last = {one.peer for one in candidates if str(one.peer) in named}
        chosen = of_different_owners([one for one in entrusted if one is not myself], last=last)
        if len(chosen) < PARTIES:
            chosen = of_different_owners(entrusted, first=myself, last=last)
        if len(chosen) < PARTIES:
            raise NoPlan(_lacking(candidates, len(candidates) - len(entrusted)))
        return chosen


def _asked(device: Device) -> PrivateSpec:
    if not isinstance(device.asked, PrivateSpec):
        raise SessionError("No weights were handed in with this job: add the model with --protocol private.")
    return device.asked


def _settled(spec: PrivateSpec, candidates: Sequence[Candidate]) -> PrivateSpec:
    """With whole ids in place of their beginnings, and `ME` for our own."""
    myself = candidates[0].peer
    lender = found(spec.lender, candidates, "The model's owner") if spec.lender else ""
    if lender == myself:
        raise NoPlan(f"The model {spec.model!r} is this device's own: name it without an id.")
    receivers = [one if one == ME else found(one, candidates, "The receiver") for one in spec.receivers]
    named = tuple(dict.fromkeys(ME if one == myself else str(one) for one in receivers))
    if spec.keeps:
        named = (*(named if spec.receiver not in (SHARES, (SHARES,)) else ()), SHARES)
    return replace(spec, lender=str(lender), receiver=named)


def _bound(parties: Sequence[str], candidates: Sequence[Candidate]) -> list[Candidate]:
    known = {str(candidate.peer): candidate for candidate in candidates}
    if gone := [peer for peer in parties if peer not in known]:
        raise NoPlan(f"{PeerId(gone[0]).short} keeps a part of what this job goes on with, and cannot be asked now.")
    return [known[peer] for peer in parties]


def _stage(spec: PrivateSpec, member: Candidate, rank: int, party: int | None) -> Stage[Part]:
    # Whose the asking device is, is nobody's business unless it computes.
    if party is not None:
        return Stage(member.peer, "party", Part(party, one_line(member.owner)))
    if rank == ASKER:
        return Stage(member.peer, "owner" if not spec.lender else "asker", Part())
    return Stage(member.peer, "lender" if member.peer == spec.lender else "receiver", Part())


def _lacking(candidates: Sequence[Candidate], left_out: int) -> str:
    owners = sorted({candidate.owner for candidate in candidates if candidate.owner})
    unowned = sum(not candidate.owner for candidate in candidates)
    besides = f" {left_out} of them are not among those that `parties` in our settings names." if left_out else ""
    return (
        f"Private inference needs three devices of different owners; of the {len(candidates)} that could take part, "
        f"this one included, {unowned} say no owner and the others belong to {', '.join(owners) or 'nobody'}. Set "
        f"`owner` in the settings of each device.{besides}"
    )
