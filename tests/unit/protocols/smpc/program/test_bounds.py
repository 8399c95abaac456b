"""On how many bits steps compare, and which of them share their rounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from protocols.smpc.program.bounds import comparison_bits
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.merge import merged
from protocols.smpc.program.schedule import batches
from protocols.smpc.program.steps import Port, Program
from protocols.smpc.replicated.sharing import FixedPoint
from tests.unit.protocols.families import FLOAT, Net
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import plain, privately

FIXED = FixedPoint()
ENDS = np.array([2.0**26 - 8, 8 - 2.0**26, 2.0**25, -(2.0**25), 0.0, 1.0, -1.0, 0.5], np.float32)


def program_of(case: Any, bits: int = 64) -> Program:
    return compile_model(case[0].SerializeToString(), bits=bits).program


def bits_of(program: Program) -> list[tuple[str, int]]:
    found = comparison_bits(program, FIXED)
    return [(step.operator, found[place]) for place, step in enumerate(program.steps)]


def test_what_is_known_of_a_network() -> None:
    """After a product, values are compared on the bits that the format has room for; after a Relu, on no more."""
    assert {47} >= {bits for operator, bits in bits_of(program_of(networks.lenet())) if operator in ("Relu", "MaxPool")}
    assert all(bits <= 20 for _, bits in bits_of(program_of(networks.lenet(), bits=20)))


def extremes(operator: str, **attributes: Any) -> Any:
    net = Net()
    bent = net.op("Sigmoid", "x") if operator == "Bent" else "x"
    made = net.op("Relu" if operator == "Bent" else operator, bent, **attributes)
    x = np.stack([np.roll(ENDS, shift) for shift in range(8)])
    return net.model({"x": (FLOAT, [8, 8])}, {net.name(made, "y"): FLOAT}), {"x": x}


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("Relu", {}), ("ReduceMax", {"axes": [1]}), ("Abs", {}), ("Sigmoid", {}),
        ("Tanh", {}), ("Softmax", {"axis": 1}), ("Bent", {}), ("Sign", {}),
    ],
)  # fmt: skip
def test_the_largest_numbers_are_compared_right(operator: str, attributes: dict[str, Any]) -> None:
    """At both ends of the format, whatever is compared on fewer bits comes out as ONNX Runtime has it."""
    model, feeds = extremes(operator, **attributes)

    got = privately(model, feeds).outputs["y"]

    np.testing.assert_allclose(got, plain(model, feeds)["y"], rtol=1e-5, atol=1e-4)


def test_every_step_comes_once_and_after_what_it_reads() -> None:
    """Batches hold all steps; what a batch reads was made before it."""
    for network in (networks.lenet, networks.encoder, networks.residual, networks.lstm):
        program = program_of(network())
        made = {tensor.number for tensor in program.given()}
        places = []
        for batch in batches(program):
            for place, step in batch:
                assert made >= {number for number in step.inputs if number >= 0}
                places.append(place)
            made |= {tensor.number for _, step in batch for tensor in step.outputs}
        assert sorted(places) == list(range(len(program.steps)))


def test_a_relu_after_pooling_is_one_more_candidate() -> None:
    """The two steps are merged, unless something else reads what the pooling made; the results stay the same."""
    program = program_of(networks.lenet())
    shared = replace(program, outputs=(*program.outputs, Port("pooled", program.steps[1].outputs[0])))

    assert "MaxPool" == program.steps[1].operator
    assert len(program.steps) - 2 == len(merged(program).steps)
    assert len(program.steps) - 1 == len(merged(shared).steps)
    assert program.outputs == merged(program).outputs


def test_independent_steps_share_their_rounds() -> None:
    """Three products of one input and a sigmoid of it take the rounds of the sigmoid, and sums cost none."""
    net = Net()
    products = [net.op("MatMul", "x", net.weight(4, 4)) for _ in range(3)]
    total = net.op("Sub", net.op("Sub", products[0], products[1]), products[2])
    many = net.model({"x": (FLOAT, [3, 4])}, {net.name(net.op("Add", total, net.op("Sigmoid", "x")), "y"): FLOAT})
    lone = Net()
    one = lone.model({"x": (FLOAT, [3, 4])}, {lone.name(lone.op("Sigmoid", "x"), "y"): FLOAT})
    feeds = {"x": networks.normal(3, 4)}

    together, alone = privately(many, feeds), privately(one, feeds)

    assert alone.depth == together.depth
    np.testing.assert_allclose(together.outputs["y"], plain(many, feeds)["y"], atol=1e-3)
