"""A city: some devices, each with a node of its own, on streets that can be broken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from mesh.ids import PeerId
from mesh.node import Lends, Node
from mesh.protocol import Device, Job, Protocol
from mesh.service import Service
from mesh.store.contract import Store
from mesh.store.memory import Memory
from scenarios.city.streets import Streets, Tier

__all__ = ["City", "Equipment"]


@dataclass(frozen=True, slots=True)
class Equipment:
    """What one device has.

    Attributes:
        memory: bytes that it lends.
        inputs: its own data.
    """

    protocols: Iterable[Protocol[Any, Any, Any]]
    owner: str = ""
    memory: int = 2**30
    inputs: Mapping[str, Any] = field(default_factory=dict)
    store: Store = field(default_factory=Memory)


class City:
    """Use as a context: `async with City(VIRTUAL, 3, equip) as city: await city.submit(0, job)`.

    Args:
        equip: what device number so-and-so has.
        seed: fixes whatever the tier leaves to chance.

    Attributes:
        nodes: by device number.
        streets: what lies between them, and can be broken.
    """

    streets: Streets

    def __init__(self, tier: Tier, devices: int, equip: Callable[[int], Equipment], *, seed: int = 0) -> None:
        self.nodes: list[Node] = []
        self._tier = tier
        self._devices = devices
        self._equip = equip
        self._seed = seed
        self._stack = AsyncExitStack()
        self._at_rest: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.streets = await stack.enter_async_context(self._tier.streets(self._devices, self._seed))
            for number in range(self._devices):
                self.nodes.append(await stack.enter_async_context(self._node(number, self._equip(number))))
            self._stack = stack.pop_all()
        self._at_rest = asyncio.all_tasks()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.streets.heal()
        await self._stack.aclose()

    @property
    def peers(self) -> list[PeerId]:
        """Every device's id, by number."""
        return [self.streets.peer(number) for number in range(self._devices)]

    async def submit(self, device: int, job: Job) -> Any:
        """Ask one device to do a job; see `Node.submit`."""
        return await self.nodes[device].submit(job)

    def serve(self, device: int, job: Job, **options: Any) -> Service:
        """Ask one device for a service; see `Node.serve`."""
        return self.nodes[device].serve(job, **options)

    def leftovers(self) -> list[str]:
        """What is still held: each session, channel, and task begun since the city was entered. Best empty."""
        left: list[str] = []
        for number, node in enumerate(self.nodes):
            left += [f"device {number}: {view}" for view in node.sessions()]
            left += [f"device {number}: {node.channels()} channels"] if node.channels() else []
        tasks = asyncio.all_tasks() - self._at_rest
        return left + [f"task {task.get_coro()}" for task in tasks if not self.streets.maintains(task)]

    async def wait_quiet(self, seconds: float) -> list[str]:
        """Wait until nothing is left over, for so many seconds at most; what is left then."""
        loop = asyncio.get_running_loop()
        pause, end = 0.05, loop.time() + seconds
        while (left := self.leftovers()) and loop.time() < end:
            await asyncio.sleep(min(pause, end - loop.time()))
            pause = min(1.2 * pause, 0.5)  # whoever waits long need not look often
        return left

    def _node(self, number: int, equipment: Equipment) -> Node:
        return Node(
            transport=self.streets.transport(number),
            discovery=self.streets.discovery(number),
            protocols=equipment.protocols,
            device=Device(inputs=equipment.inputs),
            lends=Lends(
                equipment.owner,
                lambda: equipment.memory,
                store=equipment.store,
                identity=self.streets.identity(number),
            ),
        )
