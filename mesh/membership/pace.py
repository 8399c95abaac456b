"""How fast a mesh notices, and what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, but for counts. Equal throughout a mesh."""

    period: float = 0.5
    """Between probes of one node: the next in the ring of ids and one at random take turns. Halving it halves the time
    until a crash is noticed, and doubles what an idle node costs."""

    ping: float = 0.3
    """Until others are asked to look, too."""

    verdict: float = 0.8
    """Until a device that nobody gets an answer from is suspected."""

    looks: int = 3
    """How many others are asked."""

    gossip: float = 0.2
    """Between rounds of passing news on, while there are any."""

    fan: int = 3
    """How many are told in one round."""

    doubt: float = 2.8
    """For which a suspect may still speak up, once enough suspect it; times the decimal logarithm of their number."""

    patience: float = 3.0
    """How many times as long, while only one device suspects it: it may itself be the one that is ill."""

    witnesses: int = 3
    """Further devices that must suspect it before its time is shortest."""

    health: int = 8
    """How many times slower a device may take itself to be, and wait that much longer before it suspects others."""

    seek: float = 2.0
    """Between tries to reach somebody who is not in the view, or was lost."""

    sync: float = 20.0
    """Between exchanges of whole views with somebody, should news have been lost."""

    remember: float = 3600.0
    """For which the dead are remembered, and looked for."""

    def spread(self, size: int) -> int:
        """How often one piece of news is passed on, in a mesh of that size."""
        return 3 * math.ceil(math.log10(size + 1)) + 2

    def doubt_for(self, size: int, further: int) -> float:
        """How long a suspect has to speak up.

        After Lifeguard (Dadgar, Phillips and Currey 2018, section IV-B): the more devices suspect it independently of
        each other, the shorter.

        Args:
            size: devices present.
            further: how many suspect it besides the first.
        """
        least = self.doubt * max(1.0, math.log10(max(size, 1)))
        wanted = min(self.witnesses, size - 2)
        if wanted < 1:
            return least
        share = math.log(further + 1) / math.log(wanted + 1)
        return least + (self.patience - 1) * least * max(0.0, 1.0 - share)
