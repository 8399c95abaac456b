"""Echo: everyone says a word to everyone. The smallest whole protocol; copy it to start a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.group import Group
from mesh.messages import Message, message
from mesh.protocol import Candidate, Device, Means, Plan, Protocol, Stage

__all__ = ["Echo", "EchoSpec", "Word", "create"]


@message("echo.word", reveals="the word")
class Word(Message, frozen=True):
    """What one rank says to each other rank."""

    text: str


@dataclass(frozen=True, slots=True)
class EchoSpec:
    """What everyone is to say."""

    text: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """A speaker is told nothing more than the spec."""


class Echo(Protocol[EchoSpec, Nothing, tuple[str, ...]]):
    """Every rank says the word; rank 0 returns what it heard, in rank order."""

    name = "echo"
    spec = EchoSpec
    task = Nothing
    vocabulary = (Word,)
    promises = ("Nothing is hidden: every member of the session hears every word.",)

    def plan(self, spec: EchoSpec, candidates: Sequence[Candidate]) -> Plan[EchoSpec, Nothing]:
        stages = tuple(Stage(candidate.peer, "speaker", Nothing()) for candidate in candidates)
        return Plan(self.name, spec, stages, quorum=len(stages))

    async def run(self, plan: Plan[EchoSpec, Nothing], group: Group, device: Device) -> tuple[str, ...] | None:
        words = await group.exchange(Word(text=f"{plan.spec.text} from {group.rank}"))
        return tuple(word.text for word in words) if group.rank == 0 else None


def create(means: Means) -> Echo:
    """The entry point. Speaking takes no means."""
    return Echo()
