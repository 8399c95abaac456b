"""From a graph to a program: what is told, what stays, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto

from mesh.errors import BadInput
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.run import accept
from protocols.smpc.program.steps import Program
from tests.unit.protocols.families import BOOL, FLOAT, INT64, Net
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import attempt, plain, privately


def source(net: Net, last: str, shape: list[Any], *, kind: int = FLOAT, made: int = FLOAT) -> bytes:
    return bytes(net.model({"x": (kind, shape)}, {net.name(last, "y"): made}).SerializeToString())


@pytest.mark.parametrize("network", [networks.perceptron, networks.lenet, networks.residual, networks.encoder])
def test_programs_travel(network: Any) -> None:
    """A program is the same after a journey, is accepted there, and is small beside its weights."""
    model, _ = network()
    compiled = compile_model(model.SerializeToString())

    blob = msgspec.msgpack.encode(compiled.program)
    arrived = msgspec.msgpack.decode(blob, type=Program)

    accept(arrived)
    assert compiled.program == arrived
    assert len(blob) < 20_000
    assert {port.name: port.tensor.shape for port in arrived.weights} == {
        name: weight.shape for name, weight in compiled.weights.items()
    }


def test_no_weight_is_told() -> None:
    """No number of any weight is in the program, not even a single one, and no name that the model's author gave."""
    net = Net()
    secrets = [net.constant(np.array(value, np.float32)) for value in (1.2345678, [2.3456789], [[3.4567891] * 4] * 4)]
    x = net.op("Add", net.op("Mul", net.op("MatMul", "x", secrets[2]), secrets[0]), secrets[1])
    compiled = compile_model(source(net, net.op("Div", x, net.constant(np.float32(4.5678912))), [2, 4]))

    told = repr(msgspec.to_builtins(compiled.program))
    for number in (1.2345678, 2.3456789, 3.4567891, 4.5678912, 1 / 4.5678912):
        assert f"{number:.4g}" not in told
        assert f"{np.float32(number):.4g}" not in told
    assert "matmul" not in told
    assert () == compiled.program.constants
    assert 4 == len(compiled.weights)


def test_quantised_weights_are_weights() -> None:
    """Narrow integers are not told, whatever becomes of them."""
    net = Net()
    small = net.constant(np.array([[11, -22, 33], [44, -55, 66]], np.int8))
    x = net.op("MatMul", "x", net.op("Cast", small, to=FLOAT))
    x = net.op("Add", x, net.op("DequantizeLinear", small, net.op("Constant", value_float=0.5)))

    compiled = compile_model(source(net, x, [2, 2]))

    assert () == compiled.program.constants
    assert [(2, 3), (2, 3)] == [weight.shape for weight in compiled.weights.values()]


def test_what_belongs_to_the_architecture_is_told() -> None:
    """Bounds, exponents and literals of the source are constants; shapes that follow from the input's vanish."""
    net = Net()
    x = net.op("Reshape", "x", net.op("Concat", net.op("Shape", "x"), net.constant(np.array([1])), axis=0))
    x = net.op("Clip", net.op("Pow", x, net.constant(np.float32(3))), net.constant(np.float32(-2)))
    program = compile_model(source(net, net.op("Mul", x, net.op("Constant", value_float=0.5)), ["n", 3]), shapes={
        "x": (2, 3),
    }).program  # fmt: skip

    assert ["Reshape", "Pow", "Clip", "Mul"] == [step.operator for step in program.steps]
    assert () == program.weights
    assert {(3.0,), (-2.0,), (0.5,)} < {constant.values for constant in program.constants}


def test_batch_norms_disappear() -> None:
    """Those after a convolution go into its weights; of the others a product and a sum is left."""
    model, _ = networks.residual()
    program = compile_model(model.SerializeToString()).program

    operators = [step.operator for step in program.steps]
    assert "BatchNormalization" not in operators
    assert 1 == operators.count("Mul")


def test_all_that_stands_in_the_way_is_named_at_once() -> None:
    """A model that cannot run on secrets is refused in one sentence, with every operator that is the reason."""
    net = Net()
    x = net.op("Sin", net.op("Relu", "x"))
    x = net.op("Pow", net.op("Acos", x), net.constant(np.float32(0.3)))

    with pytest.raises(BadInput, match=r"because of Acos, Pow with the exponent 0\.3, Sin: ") as refusal:
        compile_model(source(net, x, [2, 3]))
    assert 1 == str(refusal.value).count(". ") + str(refusal.value).endswith(".")


def test_what_vanishes_is_not_refused() -> None:
    """An operator that is not done on secrets may stand where it depends on no input."""
    net = Net()
    x = net.op("Add", "x", net.op("Sin", net.weight(3)))

    model = net.model({"x": (FLOAT, [2, 3])}, {net.name(x, "y"): FLOAT})
    feeds = {"x": networks.normal(2, 3)}

    np.testing.assert_allclose(privately(model, feeds).outputs["y"], plain(model, feeds)["y"], atol=1e-5)


def test_shapes_are_asked_for() -> None:
    """A free dimension must be given, and a shape for what is no input is a mistake."""
    net = Net()
    blob = source(net, net.op("Relu", "x"), ["n", 3])

    with pytest.raises(BadInput, match=r"shapes=\{'x': \(1, 3\)\}"):
        compile_model(blob)
    with pytest.raises(BadInput, match="no input 'z'"):
        compile_model(blob, shapes={"z": (1, 3)})
    assert (5, 3) == compile_model(blob, shapes={"x": (5, 3)}).program.outputs[0].tensor.shape


@pytest.mark.parametrize("blob", [b"", b"no model at all", b"\x08\x07"])
def test_what_is_no_model(blob: bytes) -> None:
    """Bytes that are no model are refused, and say so."""
    with pytest.raises(BadInput, match="ONNX model"):
        compile_model(blob)


def test_integers_and_truths() -> None:
    """Integers and truths are computed exactly, and come out as what they are."""
    net = Net()
    x = net.op("Add", net.op("Mul", "x", "x"), net.constant(np.array([3, -4, 5])))
    net.name(x, "whole")
    net.name(net.op("Greater", x, net.constant(np.array(10))), "true")
    net.name(net.op("ArgMax", x, axis=1, keepdims=0), "place")
    model = net.model({"x": (INT64, [2, 3])}, {"whole": INT64, "true": BOOL, "place": INT64})
    feeds = {"x": np.array([[1, 2, 3], [4, -5, -6]])}

    expected, got = plain(model, feeds), privately(model, feeds).outputs

    for name, value in expected.items():
        np.testing.assert_array_equal(value, got[name])
        assert value.dtype == got[name].dtype


def test_outputs_that_nothing_computes() -> None:
    """An output may be an input as it came, or a constant."""
    net = Net()
    net.name("x", "same")
    net.name(net.constant(np.array([1.5, -2.5], np.float32)), "fixed")
    net.name(net.op("Relu", "x"), "y")
    model = net.model({"x": (FLOAT, [2])}, {"same": FLOAT, "fixed": FLOAT, "y": FLOAT})

    got = attempt(compile_model(model.SerializeToString()), {"x": np.array([-1.0, 2.0], np.float32)}).outputs

    assert {"same": [-1.0, 2.0], "fixed": [1.5, -2.5], "y": [0.0, 2.0]} == {k: v.tolist() for k, v in got.items()}


def test_relu_waits_for_the_maximum() -> None:
    """Relu is taken of what max-pooling leaves, unless somebody else reads it."""
    assert ["Conv", "MaxPool", "Relu"] == [
        step.operator for step in compile_model(networks.lenet()[0].SerializeToString()).program.steps[:3]
    ]
    net = Net()
    relu = net.op("Relu", "x")
    pooled = net.op("MaxPool", relu, kernel_shape=[2, 2], pads=[1, 1, 1, 1])
    net.name(net.op("GlobalAveragePool", relu), "z")

    program = compile_model(source(net, pooled, [1, 2, 4, 4])).program

    assert ["Relu", "GlobalAveragePool", "MaxPool"] == sorted(
        (step.operator for step in program.steps), key=["Relu", "GlobalAveragePool", "MaxPool"].index
    )
    assert "Relu" == program.steps[0].operator


@pytest.mark.parametrize("divided", [True, False])
@pytest.mark.parametrize("halved_first", [True, False])
def test_gelus_written_out_are_one_operator(divided: bool, halved_first: bool) -> None:
    """However an exporter writes it; and with another factor it is no GELU."""
    for factor, operators in ((2.0, ["Gelu"]), (3.0, ["Div" if divided else "Mul", "Erf", "Add", "Mul", "Mul"])):
        net = Net()
        root = net.op("Constant", value_float=factor**0.5 if divided else factor**-0.5)
        bell = net.op(
            "Add", net.op("Erf", net.op("Div" if divided else "Mul", "x", root)), net.op("Constant", value_float=1.0)
        )
        half = net.op("Constant", value_float=0.5)
        last = (
            net.op("Mul", net.op("Mul", half, "x"), bell)
            if halved_first
            else net.op("Mul", net.op("Mul", "x", bell), half)
        )
        model = net.model({"x": (FLOAT, [50])}, {net.name(last, "y"): FLOAT})
        feeds = {"x": networks.normal(50, scale=3.0)}

        compiled = compile_model(model.SerializeToString())

        assert sorted(operators) == sorted(step.operator for step in compiled.program.steps)
        np.testing.assert_allclose(attempt(compiled, feeds).outputs["y"], plain(model, feeds)["y"], atol=1e-4)


def test_words_are_no_numbers() -> None:
    """An input or a value that is text is refused like everything else that cannot be shared."""
    net = Net()
    model = net.model({"x": (TensorProto.STRING, [2])}, {net.name("x", "y"): TensorProto.STRING})
    with pytest.raises(BadInput, match="'x'"):
        compile_model(model.SerializeToString())

    net = Net()
    text = net.op("Cast", "x", to=TensorProto.STRING)
    with pytest.raises(BadInput, match="because of Cast "):
        compile_model(source(net, net.op("Cast", text, to=FLOAT), [2]))
