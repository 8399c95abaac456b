"""What the demo found out, as data: the JSON report has these fields."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.demo.figures import Times

__all__ = ["DeviceUse", "Found", "LinkUse", "Outcome", "PartView", "Seen"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A device saw another one, so many seconds after the last of the processes was started."""

    device: str
    peer: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PartView:
    """What one device holds in a plan. Bytes of its segments; multiply-adds and predicted seconds for each frame."""

    device: str
    peer: str
    segments: tuple[int, int]
    weights: int
    multiply_adds: int
    predicted: float


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """What one process used while the frames went through: processor seconds, and bytes of memory at the end."""

    device: str
    alive: bool
    cpu: float
    resident: int


@dataclass(frozen=True, slots=True)
class LinkUse:
    """Bytes of frames that went from one device to another."""

    source: str
    target: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Found:
    """How well the detector did on these frames, against what was really to be seen, at an overlap of one half."""

    label: str
    precision: float
    recall: float
    things: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole demo.

    Attributes:
        whole: the whole model in one session, one frame after the other, in the demo's own process.
        before, after: the mesh, up to the frame after which a device was killed, and from then on.
        gap: seconds of the longest silence after the kill.
        answered, lost, twice, differing: frames; `differing` were not byte for byte the whole model's.
        replayed: requests that were asked again of the second session.
        killed: the device that was killed, and after which frame.
        slowest_sight: seconds until the last pair of devices had seen each other.
    """

    model: str
    source: str
    frames: int
    seen: tuple[Seen, ...]
    plans: tuple[tuple[PartView, ...], ...]
    whole: Times
    before: Times
    after: Times
    gap: float
    answered: int
    lost: int
    twice: int
    differing: int
    replayed: int
    killed: str
    killed_after: int
    sessions: int
    devices: tuple[DeviceUse, ...]
    links: tuple[LinkUse, ...]
    found: tuple[Found, ...]
    seconds: float
    picture: str = ""

    @property
    def sound(self) -> bool:
        """Whether the mesh kept its promise."""
        return not (self.lost or self.twice or self.differing)
