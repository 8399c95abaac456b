"""Programs as they arrive: what is accepted, what is refused before it starts, and what is kept in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.program.compile import Compiled, compile_model
from protocols.smpc.program.run import accept, run_program
from protocols.smpc.program.steps import Constant, Program, Step, Tensor
from protocols.smpc.replicated.local import connect
from tests.unit.protocols.families import FLOAT, Net
from tests.unit.protocols.smpc.parties import party_on
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import attempt, plain, privately


def small() -> Program:
    """One product and a Relu."""
    return compile_model(networks.perceptron(1, (4, 3, 2))[0].SerializeToString()).program


def with_step(program: Program, **changes: Any) -> Program:
    return replace(program, steps=(replace(program.steps[0], **changes), *program.steps[1:]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: with_step(p, operator="Sin"), "not done on secrets: Sin"),
        (lambda p: with_step(p, operator="__init__"), "__init__"),
        (lambda p: with_step(p, inputs=(0, 1, 99)), "nothing before it makes"),
        (lambda p: replace(p, steps=p.steps[::-1]), "nothing before it makes"),
        (lambda p: with_step(p, outputs=(Tensor(0, "number", (1, 3)),)), "twice"),
        (lambda p: with_step(p, outputs=(Tensor(99, "number", (2**20, 2**20)),)), "at most"),
        (lambda p: with_step(p, outputs=(Tensor(99, "number", (-1, 3)),)), "at most"),
        (lambda p: replace(p, bits=65), "2 to 64 bits"),
        (lambda p: replace(p, weights=p.weights * 2), "one name"),
        (lambda p: replace(p, outputs=(replace(p.outputs[0], tensor=Tensor(7, "number", (9,))),)), "output"),
        (lambda p: replace(p, constants=(Constant(Tensor(50, "number", (3,)), (1.0,)),)), "values are not there|has 1"),
    ],
)
def test_what_does_not_hang_together_is_refused(change: Any, reason: str) -> None:
    """A program from somebody else is looked at before anything starts."""
    accept(small())
    with pytest.raises(BadInput, match=reason):
        accept(change(small()))


@pytest.mark.parametrize(
    "step",
    [
        Step("Transpose", (0,), (Tensor(9, "number", (4, 1)),), (("perm", (0, 7)),)),
        Step("Conv", (0,), (Tensor(9, "number", (4, 1)),)),
        Step("Gemm", (0,), (Tensor(9, "number", (4, 1)),)),
        Step("Reshape", (0,), (Tensor(9, "number", (5, 5)),)),
        Step("Softmax", (0,), (Tensor(9, "number", (1, 4)),), (("axis", "x"),)),
        Step("Concat", (), (Tensor(9, "number", (1, 4)),)),
        Step("Einsum", (0,), (Tensor(9, "number", (1, 4)),), (("equation", "zzz->q"),)),
        Step("LeakyRelu", (0,), (Tensor(9, "number", (1, 9)),)),
    ],
)
def test_malformed_steps_are_bad_input(step: Step) -> None:
    """A step that no compiler would write ends in one error, at every party, not in a traceback of numpy's."""
    program = small()
    last = replace(program.outputs[0], tensor=step.outputs[0])
    program = replace(program, steps=(step,), outputs=(last,), weights=())

    with pytest.raises(BadInput):
        attempt(Compiled(program, {}), {"x": networks.normal(1, 4)})


def test_values_that_are_missing_or_of_another_shape() -> None:
    """What a party lacks is named before the first message."""
    program = small()
    party = party_on(connect()[0])
    values = {port.name: np.zeros(port.tensor.shape) for port in (*program.inputs, *program.weights)}

    with pytest.raises(BadInput, match=r"'x' of shape \(1, 4\) and was given nothing"):
        run_program(program, party, {name: value for name, value in values.items() if name != "x"})
    with pytest.raises(BadInput, match=r"'x' .* the shape \(2, 4\)"):
        run_program(program, party, values | {"x": np.zeros((2, 4))})
    assert 0 == party.link.sent


@given(st.data())
@settings(max_examples=15, deadline=None)
def test_random_graphs(data: st.DataObject) -> None:
    """Any composition of simple operators gives what ONNX Runtime gives, whatever is secret of what comes in."""
    net, held = Net(), ["x", "z"]
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(
            st.sampled_from(["Add", "Sub", "Mul", "Relu", "Sigmoid", "Tanh", "Max", "Softmax", "Neg", "W"])
        )
        one, two = data.draw(st.sampled_from(held)), data.draw(st.sampled_from(held))
        if kind == "W":
            held.append(net.op("Tanh", net.op("MatMul", one, net.weight(4, 4))))
        elif kind == "Mul":  # of something between -1 and 1, or powers would leave the format
            held.append(net.op(kind, one, net.op("Tanh", two)))
        elif kind in ("Add", "Sub", "Max"):
            held.append(net.op(kind, one, two))
        else:
            held.append(net.op(kind, one))
    bounded = net.op("Tanh", held[-1])
    model = net.model({"x": (FLOAT, [3, 4]), "z": (FLOAT, [3, 4])}, {net.name(bounded, "y"): FLOAT})
    feeds = {"x": networks.normal(3, 4), "z": networks.normal(3, 4)[::-1].copy()}
    hidden = data.draw(st.sets(st.sampled_from(["x", "z", "w"])))

    got = privately(model, feeds, lambda name: name[0] in hidden).outputs["y"]

    np.testing.assert_allclose(got, plain(model, feeds)["y"], atol=2e-2)
