"""Bytes from elsewhere are read without being trusted, and pieces of different models are never joined."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mesh.errors import BadInput
from protocols.runtimes.models import join, pack, parse, reads
from tests.unit.protocols.families import FLOAT, branching, looping, residual, tied


def external(model: ModelProto) -> None:
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../etc/passwd")


def hidden_external(model: ModelProto) -> None:
    """Inside a constant, inside a branch of an If."""
    inside = numpy_helper.from_array(np.ones(2, np.float32), "inside")
    inside.external_data.add(key="location", value="weights.bin")
    body = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=inside)],
        "body",
        [],
        [helper.make_tensor_value_info("c", FLOAT, [2])],
    )
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=body, else_branch=body))


def sparse_external(model: ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name = "s"
    sparse.values.external_data.add(key="location", value="weights.bin")


def foreign(model: ModelProto) -> None:
    model.graph.node[0].domain = "ai.example.custom"


def functions(model: ModelProto) -> None:
    model.functions.add(name="f", domain="")


def empty(model: ModelProto) -> None:
    del model.graph.node[:]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (external, "lies in a file beside the model"),
        (hidden_external, "lies in a file beside the model"),
        (sparse_external, "lies in a file beside the model"),
        (foreign, "domain 'ai.example.custom'"),
        (functions, "inline_local_functions"),
        (empty, "no nodes"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_whole_in_itself_is_refused(spoil: Callable[[ModelProto], None], words: str) -> None:
    """A model that needs files, operators or functions from elsewhere is refused before anything runs it."""
    model, _ = residual()
    spoil(model)
    with pytest.raises(BadInput, match=words):
        parse(model.SerializeToString())


@pytest.mark.parametrize("blob", [b"", b"not a model", b"\x00" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x08\x08"])
def test_rubbish_is_refused(blob: bytes) -> None:
    """Bytes that are no model raise BadInput and nothing else."""
    with pytest.raises(BadInput):
        parse(blob)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_models_are_read_or_refused(data: st.DataObject) -> None:
    """Whatever bytes of a model are changed or lost, reading it gives a model or BadInput."""
    blob = bytearray(branching()[0].SerializeToString())
    for _ in range(data.draw(st.integers(1, 8))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(blob)))
    with contextlib.suppress(BadInput):
        assert isinstance(parse(bytes(blob[:end])), ModelProto)


def test_bodies_are_looked_into() -> None:
    """What If and Loop use of the graph around them counts as read; what they make themselves does not."""
    (choice,) = [node for node in branching()[0].graph.node if node.op_type == "If"]
    (loop,) = [node for node in looping()[0].graph.node if node.op_type == "Loop"]

    assert {"x", "tanh2_0", "w1"} <= set(reads(choice))
    assert "sigmoid1_0" in reads(loop)
    assert not {"state", "sum", "go", "turn", ""} & set(reads(loop))


def halves() -> tuple[ModelProto, ModelProto]:
    """x -> h, and h -> y, sharing a weight."""
    shared = numpy_helper.from_array(np.eye(2, dtype=np.float32), "w")
    made = []
    for source, target in (("x", "h"), ("h", "y")):
        node = helper.make_node("MatMul", [source, "w"], [target])
        ports = [helper.make_tensor_value_info(name, FLOAT, [1, 2]) for name in (source, target)]
        graph = helper.make_graph([node], "half", ports[:1], ports[1:], [shared])
        made.append(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))
    return made[0], made[1]


def test_shared_weights_are_kept_once() -> None:
    """Joining pieces that carry the same weight gives a model with one of it."""
    joined = join(halves())

    assert [weight.name for weight in joined.graph.initializer] == ["w"]
    assert [value.name for value in joined.graph.input] == ["x"]
    assert [value.name for value in joined.graph.output] == ["h", "y"]


def test_only_what_is_wanted_comes_out() -> None:
    """An output that nobody asked for stays inside; a wanted one that is not made here is no business of the piece."""
    joined = join(halves(), keep=["y", "x"])

    assert [value.name for value in joined.graph.output] == ["y"]


def test_joining_is_repeatable() -> None:
    """The same pieces give the same bytes."""
    assert pack(join(halves())) == pack(join(halves()))


def other_weight(model: ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((2, 2), np.float32), "w"))


def other_operators(model: ModelProto) -> None:
    model.opset_import[0].version = 13


def made_again(model: ModelProto) -> None:
    model.graph.node[0].output[0] = "h"


def made_too_late(model: ModelProto) -> None:
    model.graph.node[0].output[0] = "x"


def other_type(model: ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("x", TensorProto.INT64, [1, 2]))


@pytest.mark.parametrize("spoil", [other_weight, other_operators, made_again, made_too_late, other_type])
def test_pieces_of_different_models_are_not_joined(spoil: Callable[[ModelProto], None]) -> None:
    """Two pieces that contradict each other are refused, not merged somehow."""
    first, second = halves()
    spoil(second)
    with pytest.raises(BadInput, match="these pieces"):
        join([first, second])


def test_order_matters() -> None:
    """The later half before the earlier is refused: what it reads would be made too late."""
    first, second = halves()
    with pytest.raises(BadInput, match="not in the order"):
        join([second, first])


def test_old_weights_stay_inputs() -> None:
    """Weights that a model lists as inputs are joined as both, as they were."""
    model, _ = tied()
    model.graph.input.append(helper.make_tensor_value_info("w0", FLOAT, [16, 16]))

    assert [value.name for value in join([model]).graph.input] == ["x", "w0"]
