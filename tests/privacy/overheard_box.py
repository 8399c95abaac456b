"""The box of one of three, with an ear at what other boxes send it, or with a will of its own.

The environment says which: BOX_EAR is a folder into which everything goes that is received, a file a box; BOX_TWIST is
"what party after", for one of `TWISTS`, the number of a party, and how many exchanges it behaves well before.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from protocols.runtimes.box_inside import serve
from protocols.smpc import inside_meeting
from protocols.smpc.inside import Inside
from protocols.smpc.orders import Order
from protocols.smpc.replicated.channels import ChannelLink

EAR, TWIST = os.environ.get("BOX_EAR", ""), os.environ.get("BOX_TWIST", "").split()

Views = Sequence[memoryview]


def vanish(_: Views) -> Views:
    """Die like a process that is killed."""
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


def stall(_: Views) -> Views:
    """Say nothing any more, and keep everything open."""
    threading.Event().wait()
    return ()


def lengthen(out: Views) -> Views:
    """Send more than was agreed: what the plan of somebody else would want sent here."""
    return [memoryview(bytes(view) + b"more") for view in out]


def garble(out: Views) -> Views:
    """Send as much as was agreed, and nothing of what was."""
    return [memoryview(os.urandom(len(view))) for view in out]


TWISTS: dict[str, Callable[[Views], Views]] = {
    "vanish": vanish,
    "stall": stall,
    "lengthen": lengthen,
    "garble": garble,
}


class Overheard(ChannelLink):
    """A link with both."""

    exchanges = 0

    def post(self, to: int, out: Sequence[memoryview]) -> None:  # type: ignore[override]
        self.exchange(to, out, to, ())

    def _carry(self, to: int, out: Views, source: int, into: Views) -> None:
        self.exchanges += 1
        if TWIST and self.rank == int(TWIST[1]) and self.exchanges > int(TWIST[2]):
            out = TWISTS[TWIST[0]](out)
        super()._carry(to, out, source, into)
        if EAR:
            with (Path(EAR) / f"party {self.rank} of {os.getpid()}").open("ab") as heard:
                heard.writelines(into)


if __name__ == "__main__":
    inside_meeting.ChannelLink = Overheard  # type: ignore[misc]
    serve(Order, Inside().answer)
