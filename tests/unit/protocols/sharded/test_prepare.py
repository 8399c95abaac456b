"""Any ONNX file is made ready to be shared, or refused in a sentence that says what to do."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from mesh.errors import BadInput
from protocols.sharded.graph import Graph, optimise
from protocols.sharded.prepare import observe, prepare
from protocols.sharded.segments import ModelInfo, TensorInfo
from tests.unit.protocols.families import (
    FLOAT,
    Net,
    floats,
    looping,
    pyramid,
    residual,
    sequences,
    tied,
    transformer,
    ways,
)


def test_description_travels_in_a_plan() -> None:
    """What a plan says of a model survives being written as a message, and is small."""
    model, feeds = transformer()
    info = prepare(model.SerializeToString(), feeds).info
    packed = msgspec.msgpack.encode(info)

    assert info == msgspec.msgpack.decode(packed, type=ModelInfo)
    assert len(packed) < 6_000


def test_description_fits_the_blobs() -> None:
    """Every segment is named by the hash of its bytes, and its numbers are those of its bytes."""
    prepared = prepare(residual()[0].SerializeToString())

    for segment, blob in zip(prepared.info.segments, prepared.blobs, strict=True):
        assert segment.digest == hashlib.sha256(blob).hexdigest()
        assert segment.size == len(blob)
        assert segment.weights <= segment.size
        assert segment.seconds > 0
        assert segment.scratch > 0
    assert prepared.info.multiply_adds > 144 * 8 * 27  # the first convolution alone
    assert prepared.info.inputs == (TensorInfo("x", "float32", ("N", 3, 12, 12)),)
    assert prepared.info.outputs == (TensorInfo("y", "float32", ("N", 5)),)


def test_bytes_that_cross_are_measured() -> None:
    """Cut 0 is crossed by the inputs, and each cut by what the sample shows."""
    model, feeds = residual()
    info = prepare(model.SerializeToString(), feeds).info

    assert info.crossing(0) == ("x",)
    assert info.crossing_bytes(0) == feeds["x"].nbytes
    assert info.crossing(len(info.segments)) == ("y",)
    assert all(info.crossing_bytes(cut) > 0 for cut in range(len(info.segments)))


def test_values_pass_by() -> None:
    """An input that is used last and an output that is due early cross every cut between."""
    graph = Graph(optimise(ways()[0].SerializeToString()))
    kinds = [node.op_type for node in graph.nodes]
    early = next(at for at, node in enumerate(graph.nodes) if "early" in node.output)

    assert set(graph.crossings[0]) == {"x", "late"}  # "never" is not needed and does not travel
    assert all("late" in names for names in graph.crossings[: kinds.index("Mul") + 1])
    assert all("x" in names for names in graph.crossings[: kinds.index("Add") + 1])
    assert all("early" in names for names in graph.crossings[early + 1 :])
    assert graph.inputs == ("x", "late", "never")


def test_shared_weights_go_with_every_part() -> None:
    """Weights never cross a cut: each segment that uses one carries it."""
    model, feeds = tied()
    prepared = prepare(model.SerializeToString(), feeds)

    assert sum(segment.weights for segment in prepared.info.segments) > 2 * 16 * 16 * 4
    assert not {"w0", "w1"} & {value.name for value in prepared.info.values}


def test_lists_are_not_cut_apart() -> None:
    """While a sequence is alive there is no legal cut."""
    model, feeds = sequences()
    graph = Graph(optimise(model.SerializeToString()))
    observed = observe(graph, feeds)
    alive = [cut for cut, names in enumerate(graph.crossings) if any("splittosequence" in name for name in names)]

    assert alive
    assert not set(alive) & set(graph.legal(observed.types))


def test_free_dimensions_stay_free() -> None:
    """A segment takes every size that the whole model takes."""
    prepared = prepare(residual()[0].SerializeToString())
    bigger = prepare(residual()[0].SerializeToString(), {"x": floats(4, 3, 12, 12)})

    assert [segment.digest for segment in prepared.info.segments] == [
        segment.digest for segment in bigger.info.segments
    ]
    assert bigger.info.crossing_bytes(1) == 4 * prepared.info.crossing_bytes(1)


def test_files_and_bytes(tmp_path: Path) -> None:
    """A path will do as well as bytes; a path that leads nowhere is said to."""
    path = tmp_path / "model.onnx"
    path.write_bytes(residual()[0].SerializeToString())

    assert prepare(path).info.segments[0].digest
    with pytest.raises(BadInput, match=r"nowhere\.onnx cannot be read: No such file"):
        prepare(tmp_path / "nowhere.onnx")


def test_too_large(tmp_path: Path) -> None:
    """A file beyond what ONNX allows is refused before it is read."""
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(BadInput, match="larger than"):
        prepare(path)


def test_undeclared_shapes_need_a_sample() -> None:
    """Without knowing how many dimensions an input has, a sample is asked for, and with one all is well."""
    model, feeds = looping()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(BadInput, match="give a sample"):
        prepare(model.SerializeToString())

    assert prepare(model.SerializeToString(), feeds).blobs


def test_a_sample_that_does_not_fit() -> None:
    """A sample of the wrong kind is refused with what was expected."""
    model, _ = pyramid()
    with pytest.raises(BadInput, match=r"must be float32\[1, 3, 16, 16\], not float32\[1, 3, 16, 15\]"):
        prepare(model.SerializeToString(), {"x": np.zeros((1, 3, 16, 15), np.float32)})


def test_models_that_throw_dice() -> None:
    """A model that does not repeat its answer cannot be shown to be exact, and is refused."""
    net = Net()
    noise = net.op("RandomNormalLike", "x")
    net.name(net.op("Add", "x", noise), "y")
    model = net.model({"x": (FLOAT, [2, 2])}, {"y": FLOAT})
    with pytest.raises(BadInput, match="only repeatable models"):
        prepare(model.SerializeToString())


def test_words_are_not_tensors_here() -> None:
    """A model that takes text is refused: only numbers and truth values travel."""
    node = helper.make_node("StringNormalizer", ["x"], ["y"])
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node], "text", [value("x", TensorProto.STRING, [1])], [value("y", TensorProto.STRING, [1])]
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(BadInput, match="not a tensor of numbers"):
        prepare(model.SerializeToString())


def test_models_that_cannot_run() -> None:
    """What ONNX Runtime says of a model that it refuses reaches the person who added it."""
    model, _ = residual()
    model.graph.node[0].op_type = "Convolve"
    with pytest.raises(BadInput, match=r"ONNX Runtime cannot run this model: .*Convolve"):
        prepare(model.SerializeToString())


def test_made_up_inputs_that_fail() -> None:
    """Where a made-up sample breaks the model, a real one is asked for."""
    net = Net()
    net.name(net.op("Reshape", "x", net.constant(np.array([3, 4], np.int64))), "y")
    model = net.model({"x": (FLOAT, ["N"])}, {"y": FLOAT})
    with pytest.raises(BadInput, match="give a sample of real ones"):
        prepare(model.SerializeToString())

    assert prepare(model.SerializeToString(), {"x": floats(12)}).blobs
