"""The workshops for ONNX models: prepare them for protocols, read inputs from files, and write answers."""

from __future__ import annotations

from protocols.workshop.private import PrivateWorkshop
from protocols.workshop.sharded import OnnxWorkshop
from protocols.workshop.training import PrivateTrainingWorkshop

__all__ = ["OnnxWorkshop", "PrivateTrainingWorkshop", "PrivateWorkshop"]
