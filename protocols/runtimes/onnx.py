"""ONNX Runtime on this device: a part of a model, loaded once and run many times. Changes nothing in the graph."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mesh.errors import BadInput
from protocols.runtimes.models import join, pack, parse, write

__all__ = ["CPU", "DTYPES", "FAILURES", "Part", "Port", "load", "measure", "options"]

CPU = ("CPUExecutionProvider",)

DTYPES: Mapping[int, str] = {
    onnx.TensorProto.BOOL: "bool",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT16: "uint16",
    onnx.TensorProto.INT16: "int16",
    onnx.TensorProto.UINT32: "uint32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.UINT64: "uint64",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.DOUBLE: "float64",
}
"""ONNX's number of each dtype that can travel between devices, and its name."""

FAILURES: tuple[type[Exception], ...] = (
    state.EPFail,
    state.EngineError,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
    MemoryError,
    RuntimeError,
    ValueError,
)
"""What ONNX Runtime raises over a model or its inputs. Its own classes share no ancestor."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Port:
    """A tensor that goes into or comes out of a part.

    Attributes:
        name: the value's name in the graph.
        dtype: one of the names in `DTYPES`.
        shape: a number is a fixed dimension, a word or "?" a free one; None leaves even their count free.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    @classmethod
    def of(cls, value: onnx.ValueInfoProto) -> Port:
        """Raises BadInput: the value is no tensor, or of a dtype that cannot leave a session."""
        tensor = value.type.tensor_type
        if value.type.WhichOneof("value") != "tensor_type" or tensor.elem_type not in DTYPES:
            raise BadInput(
                f"{value.name!r} is not a tensor of numbers or truth values; such a model cannot be run here"
            )
        shape = tuple(_dimension(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
        return cls(value.name, DTYPES[tensor.elem_type], shape)

    def __str__(self) -> str:
        return f"{self.dtype}{'[...]' if self.shape is None else _brackets(self.shape)}"

    def accepts(self, array: Array) -> bool:
        if array.dtype != np.dtype(self.dtype):
            return False
        if self.shape is None:
            return True
        return len(self.shape) == array.ndim and all(
            isinstance(want, str) or want == got for want, got in zip(self.shape, array.shape, strict=True)
        )


def load(
    blobs: Sequence[bytes],
    *,
    keep: Collection[str] | None = None,
    threads: int = 1,
    providers: Sequence[str] = CPU,
) -> Part:
    """Consecutive pieces of a model, joined, in one session that runs them exactly as they are written.

    Args:
        blobs: at least one; a whole model is a piece too.
        keep: values wanted from this part, for later parts or as the answer. Those that it does not make itself are
            none of its business. None means every output of every piece.
        threads: that work on one operator. More finish sooner; other parts on this device then wait.
        providers: of ONNX Runtime, best first. Exactness across devices holds between equal providers only.

    Raises:
        BadInput: the bytes are not pieces of one model that ONNX Runtime can run.
    """
    with tempfile.TemporaryDirectory(prefix="veilmesh-") as folder:
        # By way of a file: given bytes, ONNX Runtime would keep them beside the weights that it reads from them.
        path = Path(folder, "part.onnx")
        inputs, outputs = _write(path, blobs, keep)
        try:
            session = onnxruntime.InferenceSession(
                str(path), options(threads), providers=list(providers), enable_fallback=0
            )
        except FAILURES as error:
            raise BadInput(f"ONNX Runtime cannot load this model: {_reason(error)}") from error
    return Part(session, inputs, outputs)


class Part:
    """Some consecutive pieces of a model, ready to run here.

    `run` blocks; `infer` works in a thread of the part's own, one call after the other.

    Attributes:
        inputs: by name; all of them are needed for each run.
        outputs: by name.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, inputs: Mapping[str, Port], outputs: Mapping[str, Port]
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._session = session
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="part")

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for these inputs.

        Args:
            feeds: exactly `inputs`, of their dtypes and fixed dimensions. They are only read.

        Raises:
            BadInput: a feed is missing, unknown or does not fit, or the model fails on its content.
        """
        return self._run(feeds, onnxruntime.RunOptions())

    async def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """`run` without blocking the loop. A cancelled call returns only when its thread is free again.

        ONNX Runtime looks for the cancellation between two operators, and between two turns of a loop in the graph.
        """
        settings = onnxruntime.RunOptions()
        loop, settled = asyncio.get_running_loop(), asyncio.Event()
        running = self._thread.submit(self._run, feeds, settings)
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(settled.set))
        try:
            await settled.wait()
        except asyncio.CancelledError:
            settings.terminate = True
            running.cancel()
            while not settled.is_set():  # whoever cancels again must wait as well: the thread is still at work
                with contextlib.suppress(asyncio.CancelledError):
                    await settled.wait()
            raise
        return running.result()

    def close(self) -> None:
        """Waits for a call that is under way, and ends the thread. Closing twice is harmless."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, feeds: Mapping[str, Array], settings: onnxruntime.RunOptions) -> dict[str, Array]:
        given = {name: self._checked(name, array) for name, array in feeds.items()}
        if missing := self.inputs.keys() - given.keys():
            raise BadInput(f"the input {min(missing)!r} ({self.inputs[min(missing)]}) is missing")
        try:
            made = self._session.run(list(self.outputs), given, settings)
        except FAILURES as error:
            raise BadInput(f"the model fails on these inputs: {_reason(error)}") from error
        return dict(zip(self.outputs, made, strict=True))

    def _checked(self, name: str, array: Array) -> Array:
        port = self.inputs.get(name)
        if port is None:
            expected = ", ".join(f"{port.name!r} ({port})" for port in self.inputs.values()) or "none"
            raise BadInput(f"{name!r} is no input here; expected {expected}")
        if not port.accepts(array):
            raise BadInput(f"the input {name!r} must be {port}, not {array.dtype}{_brackets(array.shape)}")
        return np.require(array, requirements=["C", "A"])  # what came in a frame may lie at an odd address


def options(threads: int = 1) -> onnxruntime.SessionOptions:
    """A session that changes nothing in the graph, spins on no core, and says nothing on stderr."""
    chosen = onnxruntime.SessionOptions()
    chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    chosen.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = 4
    # A waiting thread must not burn the core that another part on this device could use.
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return chosen


def measure(threads: int = 1, *, seconds: float = 0.08) -> float:
    """This device's speed in multiply-adds per second: a 3x3 convolution, 64 to 64 channels, over 32x32 positions.

    Blocks for about `seconds`; the caller caches it. The quickest of the runs counts: whatever else the device does can
    only make one slower.
    """
    channels, side = 64, 32
    weight = np.full((channels, channels, 3, 3), 1 / 576, np.float32)
    planes = [1, channels, side, side]
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, planes) for name in "xy")
    graph = onnx.helper.make_graph([node], "speed", [x], [y], [onnx.numpy_helper.from_array(weight, "w")])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 13)])
    part = load([pack(model)], threads=threads)
    feeds = {"x": np.ones(planes, np.float32)}
    part.run(feeds)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < until:
        start = time.perf_counter()
        part.run(feeds)
        times.append(time.perf_counter() - start)
    part.close()
    return math.prod(planes) * channels * 9 / min(times)


Ports = dict[str, Port]


def _write(path: Path, blobs: Sequence[bytes], keep: Collection[str] | None) -> tuple[Ports, Ports]:
    """Joins the pieces in a file, and gives the inputs and outputs of what they make together."""
    model = join(map(parse, blobs), keep)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [Port.of(value) for value in model.graph.input if value.name not in weights]
    outputs = [Port.of(value) for value in model.graph.output]
    if not outputs:
        raise BadInput("this part of the model makes nothing that is wanted; it needs no device")
    write(model, path)
    return {port.name: port for port in inputs}, {port.name: port for port in outputs}


def _dimension(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    if dim.HasField("dim_value") and dim.dim_value >= 0:
        return int(dim.dim_value)
    return dim.dim_param or "?"


def _brackets(shape: Sequence[int | str]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _reason(error: Exception) -> str:
    """ONNX Runtime's own words, one line of them."""
    return " ".join(str(error).split())[:300] or type(error).__name__
