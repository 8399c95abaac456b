"""The life of one session at one rank. No sockets, no clock: events in, actions out.

INVITED --Begin--> GATHERING --last ChannelUp--> RUNNING --Finished--> DONE
any of the first three --Failed--> FAILED
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from mesh.errors import Misuse
from mesh.ids import Rank

__all__ = [
    "Action",
    "Begin",
    "ChannelUp",
    "Dial",
    "Event",
    "Failed",
    "Finished",
    "Run",
    "Session",
    "State",
    "Stop",
]


class State(Enum):
    """Where a session stands at this rank."""

    INVITED = auto()
    GATHERING = auto()
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Begin:
    """Everyone has said yes."""


@dataclass(frozen=True, slots=True)
class ChannelUp:
    """The one channel to `rank` is open, whoever dialled."""

    rank: Rank


@dataclass(frozen=True, slots=True)
class Finished:
    """Our part is done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Our part, or the forming of the group, has failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Action: open the channel to `rank`."""

    rank: Rank


@dataclass(frozen=True, slots=True)
class Run:
    """Action: the group is whole; run our part."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Action: close every channel."""

    reason: str


Event = Begin | ChannelUp | Finished | Failed
Action = Dial | Run | Stop


@dataclass(slots=True)
class Session:
    """One rank's view. `handle` is the only way in."""

    rank: Rank
    size: int
    state: State = State.INVITED
    connected: set[Rank] = field(default_factory=set)

    def handle(self, event: Event) -> list[Action]:
        """Take one event; return what is to be done about it.

        Raises:
            Misuse: this event cannot happen in this state.
        """
        match self.state, event:
            case ((State.DONE | State.FAILED), _):
                return []
            case _, Failed(reason):
                self.state = State.FAILED
                return [Stop(reason)]
            case State.INVITED, Begin():
                self.state = State.GATHERING
                return [*self._dials(), *self._run_if_whole()]
            case ((State.INVITED | State.GATHERING), ChannelUp(rank)) if rank not in self.connected:
                self.connected.add(rank)
                return self._run_if_whole()
            case State.RUNNING, Finished():
                self.state = State.DONE
                return [Stop("finished")]
        raise Misuse(f"{event} in {self.state.name}")

    def missing(self) -> list[Rank]:
        """The ranks whose channel is not up yet, lowest first."""
        return [Rank(rank) for rank in range(self.size) if rank != self.rank and rank not in self.connected]

    def _dials(self) -> list[Action]:
        # The lower rank dials: exactly one channel per pair, and no two cross.
        return [Dial(Rank(rank)) for rank in range(self.rank + 1, self.size)]

    def _run_if_whole(self) -> list[Action]:
        if self.state is State.GATHERING and not self.missing():
            self.state = State.RUNNING
            return [Run()]
        return []
