"""The whole model in one ONNX Runtime session: what every answer of the mesh is held against."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from mesh.errors import BadInput

__all__ = ["Oracle"]


class Oracle:
    """The file as it is, optimised by ONNX Runtime at its level EXTENDED, on one thread.

    Attributes:
        seconds: that each answer took, in the order of asking.
    """

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except (RuntimeError, ValueError, OSError) as error:
            raise BadInput(f"ONNX Runtime cannot load {model}: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.seconds: list[float] = []

    def answer(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What the whole model makes of these inputs."""
        began = time.perf_counter()
        made = self._session.run(self._outputs, dict(feeds))
        self.seconds.append(time.perf_counter() - began)
        return dict(zip(self._outputs, made, strict=True))
