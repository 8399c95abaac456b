"""An ONNX model optimised once, the places where it may be cut, and what crosses each of them. Runs nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnxruntime
from onnx import ModelProto, ValueInfoProto

from mesh.errors import BadInput
from protocols.runtimes.models import DOMAINS, LARGEST, join, parse, reads
from protocols.runtimes.onnx import CPU, FAILURES, options

__all__ = ["Graph", "Types", "optimise", "source_bytes"]

Types = Mapping[str, ValueInfoProto]
"""Of every value that may cross a cut: its name, dtype and shape. A value that is not in it may not cross."""


def source_bytes(source: bytes | Path) -> bytes:
    """The bytes of a model that a person named.

    Raises:
        BadInput: there is no such file, or it is too large to be an ONNX model.
    """
    if isinstance(source, bytes):
        return source
    try:
        if source.stat().st_size > LARGEST:
            raise BadInput(f"{source} is larger than the {LARGEST:,} bytes of an ONNX file; quantise it first")
        return source.read_bytes()
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}") from error


def optimise(source: bytes) -> ModelProto:
    """The model as ONNX Runtime would run it at its level EXTENDED, on any CPU; the same on every call.

    Optimising comes before cutting because a cut hides neighbours from the optimiser, and what it then leaves unfused
    rounds differently. The level above, ALL, lays tensors out for one kind of CPU; a mesh has several.

    Raises:
        BadInput: this is no model that may be added, or none that ONNX Runtime can run.
    """
    parse(source)
    with tempfile.TemporaryDirectory(prefix="veilmesh-") as folder:
        path = Path(folder, "optimised.onnx")
        settings = options()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        settings.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(source, settings, providers=list(CPU), enable_fallback=0)
        except FAILURES as error:
            raise BadInput(f"ONNX Runtime cannot run this model: {' '.join(str(error).split())[:300]}") from error
        model = parse(source_bytes(path))
    if model.graph.sparse_initializer:
        raise BadInput("the model keeps weights in sparse form; make them dense before adding it")
    return model


class Graph:
    """The main graph of an optimised model, in its own order. Cut `i` lies before node `i`; there are n + 1 cuts.

    What crosses a cut is every value made before it and needed after it: results of nodes, the model's own inputs,
    values that the bodies of If, Loop and Scan look at, and outputs made early. Weights never cross.

    Attributes:
        model: the optimised model.
        inputs: names of what the model is fed with.
        outputs: names of what it answers.
        crossings: for each cut what crosses it, oldest first; the first is what the model is fed with and needs, the
            last its outputs.

    Raises:
        BadInput: a node reads a value that nothing before it makes.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes = tuple(model.graph.node)
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self.inputs = tuple(value.name for value in model.graph.input if value.name not in self.weights)
        self.outputs = tuple(value.name for value in model.graph.output)
        self._reads = tuple(reads(node) for node in self.nodes)
        self.crossings = self._sweep()

    def legal(self, types: Types) -> tuple[int, ...]:
        """The cuts strictly inside at which only values of known tensor types cross; sequences are not cut apart."""
        return tuple(cut for cut in range(1, len(self.nodes)) if all(name in types for name in self.crossings[cut]))

    def carve(self, first: int, last: int, types: Types) -> ModelProto:
        """The nodes from cut `first` to cut `last` as a model of their own, with just the weights they use.

        Its inputs are what it needs of `crossings[first]`; its outputs are what it makes of `crossings[last]`. What
        crosses both and is not needed between them is in neither: it is handed on around this model.
        """
        nodes = self.nodes[first:last]
        made = {name for node in nodes for name in node.output if name}
        needed = dict.fromkeys(name for names in self._reads[first:last] for name in names)
        leaving = [name for name in self.crossings[last] if name in made]
        if last == len(self.nodes):
            leaving = [name for name in self.outputs if name in made or name in self.weights]
            needed.update(dict.fromkeys(name for name in leaving if name in self.weights))
        piece = ModelProto(ir_version=self.model.ir_version)
        piece.opset_import.extend(
            onnx.helper.make_opsetid(opset.domain, opset.version)
            for opset in sorted(self.model.opset_import, key=lambda opset: opset.domain)
            if opset.domain in DOMAINS
        )
        piece.graph.name = "part"
        piece.graph.node.extend(nodes)
        # Old models list their weights as inputs too, and are optimised and run the slower for it. Keep what they say.
        listed = {value.name: value for value in self.model.graph.input}
        for name in needed:
            if name in self.weights:
                piece.graph.initializer.append(self.weights[name])
            if name in listed or not (name in made or name in self.weights):
                piece.graph.input.append(listed.get(name) or types[name])
        piece.graph.output.extend(types[name] for name in leaving)
        return join([piece])

    def scratch(self, first: int, last: int, sizes: Mapping[str, int]) -> int:
        """Bytes of values alive at once, at the worst moment, while the nodes between two cuts run one by one."""
        return max(
            sum(sizes.get(name, 0) for name in {*self.crossings[at], *self.nodes[at].output})
            for at in range(first, last)
        )

    def weight_bytes(self, first: int, last: int) -> int:
        """Bytes of the weights that the nodes between two cuts use; shared ones count once."""
        names = {name for used in self._reads[first:last] for name in used if name in self.weights}
        return sum(self.weights[name].ByteSize() for name in names)

    def reads(self, at: int) -> tuple[str, ...]:
        """What node `at` needs, weights included."""
        return self._reads[at]

    def _sweep(self) -> tuple[tuple[str, ...], ...]:
        end = len(self.nodes)
        due = {name: at for at, names in enumerate(self._reads) for name in names}
        due.update(dict.fromkeys(self.outputs, end))
        alive = [name for name in self.inputs if name in due]
        crossings = [tuple(alive)]
        known = {*self.inputs, *self.weights}
        for at, node in enumerate(self.nodes):
            if unknown := [name for name in self._reads[at] if name not in known]:
                raise BadInput(f"the node {node.name or node.op_type!r} reads {unknown[0]!r} before anything makes it")
            known.update(node.output)
            alive = [name for name in (*alive, *filter(None, node.output)) if due.get(name, -1) > at]
            crossings.append(tuple(alive))
        return tuple(crossings)
