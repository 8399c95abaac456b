"""CrypTen on three parties' shares: its modules, autograd and optimisers, over our engine and our channels.

A script written for CrypTen says

    from protocols.smpc import crypten_bridge

    crypten_bridge.init()

where it said `crypten.init()`, and is started as `python -m protocols.runtimes.collectives SCRIPT` on every device.
Nothing here is imported before it is asked for: torch takes seconds, and belongs in a box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.smpc.crypten_bridge.start import deal, init

__all__ = ["deal", "init"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from protocols.smpc.crypten_bridge import start

        return getattr(start, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
