"""Every operator that is computed on secrets, by its name in ONNX: one small function each, in files by kind."""

from __future__ import annotations

from protocols.smpc.program.node import Table
from protocols.smpc.program.operators.activation import ACTIVATION
from protocols.smpc.program.operators.elementwise import ELEMENTWISE
from protocols.smpc.program.operators.indexing import INDEXING
from protocols.smpc.program.operators.linear import LINEAR
from protocols.smpc.program.operators.logic import LOGIC
from protocols.smpc.program.operators.movement import MOVEMENT
from protocols.smpc.program.operators.normal import NORMAL
from protocols.smpc.program.operators.pooling import POOLING
from protocols.smpc.program.operators.recurrent import RECURRENT
from protocols.smpc.program.operators.reduction import REDUCTION
from protocols.smpc.program.operators.resize import RESIZE

__all__ = ["OPERATORS"]

OPERATORS: Table = {
    **ACTIVATION,
    **ELEMENTWISE,
    **INDEXING,
    **LINEAR,
    **LOGIC,
    **MOVEMENT,
    **NORMAL,
    **POOLING,
    **RECURRENT,
    **REDUCTION,
    **RESIZE,
}
