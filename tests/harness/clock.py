"""The jumping clock, where tests look for it."""

from scenarios.city.clock import Deadlock, VirtualLoop, run

__all__ = ["Deadlock", "VirtualLoop", "run"]
