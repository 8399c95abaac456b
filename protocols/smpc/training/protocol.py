"""Private training: three devices of different owners train a model on shares of data that none of them can see.

Every owner of data splits what is its own and hands one pair of shares to each of the three, and is needed no more. The
three do the steps and keep their shares of the state, sealed, every so many of them: the same job asked for again goes
on from there. What comes of it goes to receivers whom every owner of data has allowed, or stays with the three.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from mesh.errors import SessionError
from mesh.group import Group
from mesh.ids import Rank
from mesh.protocol import Candidate, Device, Means, Protocol
from protocols.arrays import tensors_of
from protocols.runtimes.box import Box, Limits
from protocols.smpc.keeping import Shares
from protocols.smpc.roles import ASKER, Part
from protocols.smpc.training.asking import Asker
from protocols.smpc.training.checkpoints import Checkpoints, parties_of
from protocols.smpc.training.consenting import objection
from protocols.smpc.training.owning import OwnerOfData
from protocols.smpc.training.party import Member
from protocols.smpc.training.promises import PROMISES
from protocols.smpc.training.receiving import received_model
from protocols.smpc.training.roles import Circles, Roles, TrainingPlan, planned
from protocols.smpc.training.spec import TrainingSpec
from protocols.smpc.training.words import VOCABULARY, Deliver, Finish, Held

__all__ = ["Training"]


class Training(Protocol[TrainingSpec, Part, None]):
    """A service: each request says how far to train, and is answered with how far it is; see `asking.Asker`.

    Args:
        inside: the module that runs in each party's box.
    """

    name = "private-training"
    spec = TrainingSpec
    task = Part
    vocabulary = VOCABULARY
    promises = PROMISES

    def __init__(self, means: Means, inside: str = "protocols.smpc.training.inside") -> None:
        self._means = means
        self._inside = inside

    def plan(self, spec: TrainingSpec, candidates: Sequence[Candidate]) -> TrainingPlan:
        bound = parties_of(self._means.vault, candidates[0].peer, spec.name)
        return planned(self.name, spec, candidates, self._means, bound)

    def consent(self, plan: TrainingPlan, rank: Rank) -> str | None:
        return objection(plan, rank, self._means)

    async def run(self, plan: TrainingPlan, group: Group, device: Device) -> None:
        spec, circles, roles, rank = plan.spec, Circles(group, len(plan.spec.data)), Roles.of(plan), group.rank
        async with asyncio.TaskGroup() as tasks:
            for number, owner in enumerate(roles.owners):
                if owner == rank:
                    path = self._means.tables[spec.data[number].table]
                    mine = OwnerOfData(circles, spec, roles, number, device=device, vault=self._means.vault)
                    tasks.create_task(mine.hand_in(path))
            if rank in roles.parties:
                tasks.create_task(self._compute(plan, circles, roles, device))
            if rank == ASKER:
                asker = Asker(circles, spec, roles, device=device, vault=self._means.vault)
                tasks.create_task(asker.serve())
            elif rank in roles.receivers:
                tasks.create_task(self._receive(spec, circles, roles))

    async def _compute(self, plan: TrainingPlan, circles: Circles, roles: Roles, device: Device) -> None:
        vault, owner, spec = self._means.vault, plan.roster[ASKER], plan.spec
        if vault is None:
            raise SessionError("This device keeps nothing, and so no checkpoints.")
        kept = Checkpoints(vault, owner, spec.name, spec.keep), Shares(vault, owner)
        threads = {name: str(self._means.threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        async with Box(self._inside, limits=Limits(memory=self._means.memory), environment=threads) as box:
            await Member(circles, spec, roles, box=box, device=device, kept=kept).work()

    async def _receive(self, spec: TrainingSpec, circles: Circles, roles: Roles) -> None:
        """At a receiver that does not ask: keep the model where `mesh results` finds it."""
        circle, vault = circles.results, self._means.vault
        if vault is None:
            raise SessionError("This device keeps nothing, so it can receive nothing.")
        owner = circle.peer(ASKER)
        async with asyncio.TaskGroup() as tasks:

            async def take() -> None:
                while True:
                    columns = (await circle.receive(ASKER, Deliver)).columns
                    model = await received_model(circle, roles, spec, columns)
                    packed = msgspec.msgpack.encode(tensors_of(model))
                    await asyncio.to_thread(vault.put, owner, f"answers/{spec.name}/0", packed, seconds=spec.keep)
                    await circle.send(ASKER, Held())

            taking = tasks.create_task(take())
            await circle.receive(ASKER, Finish)
            taking.cancel()
