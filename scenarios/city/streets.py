"""The contract of what lies between the devices of a city: how they reach each other, and how that is broken."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

from mesh.contracts import Discovery, Transport
from mesh.ids import PeerId

__all__ = ["Streets", "Tier"]

T = TypeVar("T")


class Streets(ABC):
    """Devices are numbered from 0. Faults that are done twice are done once."""

    @abstractmethod
    def peer(self, device: int) -> PeerId:
        """The id of a device."""

    @abstractmethod
    def transport(self, device: int) -> Transport:
        """A device's transport, made anew."""

    @abstractmethod
    def discovery(self, device: int) -> Discovery:
        """A device's discovery, which knows all the others."""

    @abstractmethod
    def kill(self, device: int) -> None:
        """Its process is gone: every connection is reset, and nobody listens any more."""

    @abstractmethod
    def stall(self, device: int) -> None:
        """It stands still: nothing leaves it and nothing reaches it, until it wakes."""

    @abstractmethod
    def wake(self, device: int) -> None:
        """It moves again."""

    @abstractmethod
    def cut(self, some: Iterable[int], others: Iterable[int]) -> None:
        """Nothing crosses between two sides, until all is healed."""

    @abstractmethod
    def heal(self) -> None:
        """Mend what was cut."""

    def identity(self, device: int) -> Path | None:
        """The folder with a device's key; None where devices have none."""
        return None

    def maintains(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task belongs to the streets themselves, and to no job."""
        return False


class Tier(ABC):
    """One way of building streets, and the kind of time that passes in them.

    Attributes:
        name: for people and test ids.
        silence: seconds after which a channel to a device that stands still is broken, at the latest.
    """

    name: str
    silence: float

    @abstractmethod
    def streets(self, devices: int, seed: int) -> AbstractAsyncContextManager[Streets]:
        """Streets for so many devices. The seed fixes what the tier leaves to chance."""

    @abstractmethod
    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """Run a story from start to end."""
