"""A backend of `torch.distributed` named `mesh`: every collective, under mutual TLS, with no store on any one device.

To be imported in a box only: it brings torch with it, and torch.distributed keeps its state for the whole process.
"""

from __future__ import annotations

from protocols.runtimes.collectives.registry import register

__all__ = ["register"]
