"""From any ONNX file to segments that devices can share: optimise, look, cut, prove and time each piece."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto

from mesh.errors import BadInput
from protocols.runtimes.models import pack
from protocols.runtimes.onnx import CPU, FAILURES, Part, Port, load, measure, options
from protocols.sharded.costs import multiply_adds
from protocols.sharded.cut import MOST, choose
from protocols.sharded.graph import Graph, Types, optimise, source_bytes
from protocols.sharded.segments import ModelInfo, SegmentInfo, TensorInfo, ValueInfo

__all__ = ["Observed", "Prepared", "observe", "prepare", "sample_of"]

Array = NDArray[Any]

_MOVING = 16
"""Multiply-adds in whose time an element is written. Only cuts are weighed with it; parts are timed."""

_MADE_UP = "; the inputs were made up from the shapes that the model declares: give a sample of real ones"

_ELEMENTS = {
    "tensor(bool)": TensorProto.BOOL,
    "tensor(uint8)": TensorProto.UINT8,
    "tensor(int8)": TensorProto.INT8,
    "tensor(uint16)": TensorProto.UINT16,
    "tensor(int16)": TensorProto.INT16,
    "tensor(uint32)": TensorProto.UINT32,
    "tensor(int32)": TensorProto.INT32,
    "tensor(uint64)": TensorProto.UINT64,
    "tensor(int64)": TensorProto.INT64,
    "tensor(float16)": TensorProto.FLOAT16,
    "tensor(float)": TensorProto.FLOAT,
    "tensor(double)": TensorProto.DOUBLE,
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model ready to be shared among devices.

    Attributes:
        info: what a plan needs to know of it.
        blobs: the segments themselves, one for each of `info.segments`. Any consecutive ones go into
            `protocols.runtimes.onnx.load`, with `info.crossing(last cut)` to keep.
    """

    info: ModelInfo
    blobs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """What one run of a whole model showed.

    Attributes:
        types: of every value that may cross a cut.
        arrays: every such value, inputs and outputs included.
        seconds: least time of one run of the whole.
    """

    types: Types
    arrays: Mapping[str, Array]
    seconds: float


def prepare(source: bytes | Path, sample: Mapping[str, Array] | None = None, *, most: int = MOST) -> Prepared:
    """Cuts a model into segments. Blocks for about a second; the blobs are the same on every call.

    Joined again in any consecutive groups and run with no further optimisation, the segments give byte for byte what
    one ONNX Runtime session gives for the whole file at its level EXTENDED, on the same kind of CPU. Each of them was
    run on the sample and compared before this returns.

    Args:
        source: an ONNX file, or its bytes.
        sample: one set of inputs, from which sizes and times are taken. By default random ones of the declared
            shapes, with 1 for every free dimension.
        most: segments, at most.

    Raises:
        BadInput: this is no model that can be cut and run here, or it does not take the sample. The sentence says what
            to do about it.
    """
    graph = Graph(optimise(source_bytes(source)))
    observed = observe(graph, sample) if sample is not None else observe(graph, sample_of(graph.model), _MADE_UP)
    sizes = {name: array.nbytes for name, array in observed.arrays.items()}
    counts = _counted(graph, observed)
    cuts = [0, *_chosen(graph, observed, counts, most), len(graph.nodes)]
    values = tuple(dict.fromkeys(name for cut in cuts for name in graph.crossings[cut]))
    blobs = [pack(graph.carve(first, last, observed.types)) for first, last in pairwise(cuts)]
    times = [_proven(blob, observed.arrays) for blob in blobs]
    share = observed.seconds / sum(times)  # entering a session costs time, which segments that are joined do not spend
    segments = tuple(
        SegmentInfo(
            digest=hashlib.sha256(blob).hexdigest(),
            size=len(blob),
            weights=graph.weight_bytes(first, last),
            scratch=graph.scratch(first, last, sizes),
            multiply_adds=sum(counts[first:last]),
            seconds=seconds * share,
            entering=tuple(values.index(name) for name in graph.crossings[first]),
        )
        for (first, last), blob, seconds in zip(pairwise(cuts), blobs, times, strict=True)
    )
    info = ModelInfo(
        inputs=tuple(_described(value) for value in graph.model.graph.input if value.name in graph.inputs),
        outputs=tuple(_described(value) for value in graph.model.graph.output),
        values=tuple(ValueInfo(name, sizes[name]) for name in values),
        segments=segments,
        speed=measure(),
    )
    return Prepared(info, tuple(blobs))


def sample_of(model: ModelProto) -> dict[str, Array]:
    """Inputs that a model declares to take: random numbers in 0..1, zeros where it wants whole numbers.

    Raises:
        BadInput: an input's number of dimensions is not declared.
    """
    random = np.random.default_rng(0)
    weights = {tensor.name for tensor in model.graph.initializer}
    feeds: dict[str, Array] = {}
    for value in model.graph.input:
        if value.name in weights:
            continue
        port = Port.of(value)
        if port.shape is None:
            raise BadInput(
                f"the model does not say what shape its input {port.name!r} has; give a sample of its inputs"
            )
        shape = [dim if isinstance(dim, int) else 1 for dim in port.shape]
        dtype = np.dtype(port.dtype)
        feeds[port.name] = random.random(shape).astype(dtype) if dtype.kind == "f" else np.zeros(shape, dtype)
    return feeds


def observe(graph: Graph, feeds: Mapping[str, Array], hint: str = "") -> Observed:
    """Runs the whole model and looks at every value that might cross a cut.

    Args:
        hint: what to tell whoever gave the feeds if the model does not take them.

    Raises:
        BadInput: the model does not take these feeds, or does not give the same answer twice.
    """
    try:
        with load([pack(graph.model)]) as whole:
            answer, again = whole.run(feeds), whole.run(feeds)
            seconds = _timed(whole, feeds)
    except BadInput as error:
        raise BadInput(f"{error}{hint}") from error
    names = dict.fromkeys(name for names in graph.crossings for name in names)
    exposed = ModelProto()
    exposed.CopyFrom(graph.model)
    exposed.graph.output.extend(
        ValueInfoProto(name=name) for name in names if name not in graph.inputs and name not in graph.outputs
    )
    try:
        session = onnxruntime.InferenceSession(pack(exposed), options(), providers=list(CPU), enable_fallback=0)
        kinds = {value.name: value for value in session.get_outputs() if value.type in _ELEMENTS}
        arrays: dict[str, Array] = dict(zip(kinds, session.run(list(kinds), dict(feeds)), strict=True))
    except FAILURES as error:
        raise BadInput(f"the model cannot be looked into: {' '.join(str(error).split())[:300]}") from error
    for name in answer:
        _compare(name, answer[name], arrays)
        _compare(name, again[name], arrays)
    types = {value.name: value for value in graph.model.graph.input}
    types |= {name: _type_of(name, _ELEMENTS[kind.type], kind.shape, arrays[name]) for name, kind in kinds.items()}
    return Observed(types, {**feeds, **arrays}, seconds)


def _counted(graph: Graph, observed: Observed) -> list[int]:
    """Multiply-adds of each node."""
    shapes: dict[str, tuple[int, ...]] = {name: tuple(tensor.dims) for name, tensor in graph.weights.items()}
    shapes |= {name: array.shape for name, array in observed.arrays.items()}
    return [multiply_adds(node, shapes) for node in graph.nodes]


def _chosen(graph: Graph, observed: Observed, counts: Sequence[int], most: int) -> list[int]:
    arrays = observed.arrays
    moved = [sum(arrays[name].size for name in node.output if name in arrays) for node in graph.nodes]
    work = [count + _MOVING * elements for count, elements in zip(counts, moved, strict=True)]
    weights = [graph.weight_bytes(at, at + 1) for at in range(len(graph.nodes))]
    legal = graph.legal(observed.types)
    crossing = {cut: sum(arrays[name].nbytes for name in graph.crossings[cut]) for cut in legal}
    return choose(work, weights, crossing, most)


def _type_of(name: str, element: int, inferred: list[int | str | None], seen: Array) -> ValueInfoProto:
    """A value's type, with those dimensions fixed that ONNX Runtime inferred and that the sample bears out.

    ONNX Runtime reports no dimensions both for a scalar and for a value of unknown rank; neither is then declared.
    """
    if len(inferred) != seen.ndim or not inferred:
        return onnx.helper.make_tensor_value_info(name, element, None)
    dims = [want if want == got else None for want, got in zip(inferred, seen.shape, strict=True)]
    return onnx.helper.make_tensor_value_info(name, element, dims)


def _proven(blob: bytes, seen: Mapping[str, Array]) -> float:
    """Seconds that one run of a segment takes, the quickest of a few, once it has given what the whole model gave."""
    with load([blob]) as part:
        feeds = {name: seen[name] for name in part.inputs}
        for name, array in part.run(feeds).items():
            _compare(name, array, seen)
        return _timed(part, feeds)


def _timed(part: Part, feeds: Mapping[str, Array]) -> float:
    times: list[float] = []
    while len(times) < 3 or (len(times) < 15 and sum(times) < 0.05):
        start = time.perf_counter()
        part.run(feeds)
        times.append(time.perf_counter() - start)
    return min(times)


def _compare(name: str, array: Array, seen: Mapping[str, Array]) -> None:
    if array.tobytes() != seen[name].tobytes():
        raise BadInput(
            f"the model gives another {name!r} each time it runs on the same inputs; only repeatable models are shared"
        )


def _described(value: ValueInfoProto) -> TensorInfo:
    port = Port.of(value)
    return TensorInfo(port.name, port.dtype, port.shape)
