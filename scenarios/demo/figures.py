"""What the demo counts: answers, their times, and whether every byte was right. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Tally", "Times", "percentile"]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed; NaN where there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Times:
    """A stretch of answers.

    Attributes:
        frames: how many.
        rate: answers per second.
        p50, p95, p99, longest: seconds from handing a frame over to having its answer.
    """

    frames: int
    rate: float
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, sent: Sequence[float], answered: Sequence[float]) -> Times:
        """From the moments at which frames were handed over, and those at which their answers came."""
        waits = [there - gone for gone, there in zip(sent, answered, strict=True)]
        span = answered[-1] - sent[0] if waits else math.nan
        return cls(
            len(waits),
            len(waits) / span if waits and span > 0 else math.nan,
            percentile(waits, 0.5),
            percentile(waits, 0.95),
            percentile(waits, 0.99),
            max(waits, default=math.nan),
        )


@dataclass(slots=True)
class Tally:
    """Each frame's fate.

    Attributes:
        sent, answered: moments in seconds, by the order of frames.
        differing: frames whose answer was not byte for byte the whole model's.
    """

    sent: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)

    def times(self, first: int = 0, last: int | None = None) -> Times:
        """How a stretch of frames went."""
        end = len(self.answered) if last is None else min(last, len(self.answered))
        return Times.of(self.sent[first:end], self.answered[first:end])

    def longest_gap(self, after: int) -> float:
        """Seconds of the longest silence between two answers from frame `after` on."""
        moments = self.answered[max(0, after - 1) :]
        return max((later - earlier for earlier, later in pairwise(moments)), default=math.nan)
