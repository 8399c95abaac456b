"""What happened while a model was run: plans made and lost, who was told, and what each device spent on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mesh.doors.language import PlanLost, PlanUp, PlanView, Progress

__all__ = ["Spent", "Story"]


@dataclass(slots=True)
class Spent:
    """What one device says that it spent.

    Attributes:
        answers: that it worked on.
        seconds, sent, rounds: of all of them together; bytes to its fellows, and exchanges with them.
    """

    answers: int = 0
    seconds: float = 0.0
    sent: int = 0
    rounds: int = 0


@dataclass(slots=True)
class Story:
    """Hears what a stream reports, and passes on what a person should see at once.

    Attributes:
        say: takes a sentence.
        spent: by device.
        told: by receiver, how many answers it has.
    """

    say: Callable[[str], None]
    plans: list[PlanView] = field(default_factory=list)
    losses: list[PlanLost] = field(default_factory=list)
    spent: dict[str, Spent] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)

    def hear(self, event: PlanUp | PlanLost | Progress) -> None:
        """One event."""
        match event:
            case PlanUp(plan):
                self.plans.append(plan)
                self.say(f"a plan of {len(plan.stages)}: {', '.join(stage.peer.short for stage in plan.stages)}")
            case PlanLost() if not self.plans:
                return  # there was none yet: what came instead is the command's own error
            case PlanLost(fault, replayed):
                self.losses.append(event)
                self.say(f"the plan is lost: {fault.message} {replayed} requests are asked again")
            case Progress("Joined", {"peer": peer, "seconds": seconds}):
                self.say(f"{str(peer)[:7]} is ready after {seconds:.1f} s")
            case Progress("Computed", {"peer": peer, **fields}):
                self._add(str(peer), fields)
            case Progress("Told", {"peer": peer}):
                self.told[str(peer)] = self.told.get(str(peer), 0) + 1

    def _add(self, peer: str, fields: Mapping[str, Any]) -> None:
        spent = self.spent.setdefault(peer, Spent())
        spent.answers += 1
        spent.seconds += float(fields.get("seconds", 0.0))
        spent.sent += int(fields.get("sent", 0))
        spent.rounds += int(fields.get("rounds", 0))
