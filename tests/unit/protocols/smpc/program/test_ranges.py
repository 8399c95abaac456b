"""Bounds that calibration reports hold, and the format that follows from them is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import BadInput
from protocols.smpc.program.compile import Compiled, compile_model
from protocols.smpc.program.plain import plain_part, value_name
from protocols.smpc.program.ranges import MARGIN, chosen, largest_sum, measured
from protocols.smpc.program.run import run_program
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.opening import reveal
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.sharing import FixedPoint, pairs_of, split
from tests.unit.protocols.families import FLOAT, Array, Net
from tests.unit.protocols.smpc.parties import keys_for
from tests.unit.protocols.smpc.program import networks
from tests.unit.protocols.smpc.program.trial import plain

NETWORKS = pytest.mark.parametrize(
    "network", [networks.perceptron, networks.lenet, networks.residual, networks.lstm], ids=lambda made: made.__name__
)


def compiled(model: Any) -> Compiled:
    return compile_model(model.SerializeToString())


def values(made: Compiled, feeds: dict[str, Array]) -> dict[int, Array]:
    """Every value that a step makes, by number."""
    shown = [tensor for step in made.program.steps for tensor in step.outputs if tensor.number >= 0]
    given = {value_name(port.tensor.number): feeds[port.name] for port in made.program.inputs}
    with plain_part(made.program, made.weights, shown) as part:
        return {int(name[1:]): array for name, array in part.run(given).items()}


@NETWORKS
def test_a_program_says_the_same_as_the_model_that_it_was_made_of(network: Callable[[], Any]) -> None:
    """Turned back into ONNX, with the weights put in."""
    model, feeds = network()
    made = compiled(model)
    (port,) = made.program.outputs
    np.testing.assert_allclose(plain(model, feeds)["y"], values(made, feeds)[port.tensor.number], atol=1e-5)


@NETWORKS
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 50))
def test_no_value_of_what_was_tried_is_over_its_bound(network: Callable[[], Any], seed: int, scale: float) -> None:
    """Nor half the bound, which is the margin's."""
    model, feeds = network()
    made = compiled(model)
    random = np.random.default_rng(seed)
    samples = [{"x": (scale * random.standard_normal(feeds["x"].shape)).astype(np.float32)} for _ in range(2)]
    found = measured(made.program, made.weights, samples)
    for sample in samples:
        for number, array in values(made, sample).items():
            assert np.abs(array.astype(np.float64)).max(initial=0) <= found.bounds[number] / MARGIN
    form = chosen(made.program, found)
    assert form.wraps is None
    assert largest_sum(made.program, found) < 2.0 ** (62 - 2 * form.fraction)


@NETWORKS
def test_answers_are_right_on_the_bits_that_were_chosen(network: Callable[[], Any]) -> None:
    """With fewer bits to compare and the fraction that goes with them, and for inputs up to the margin."""
    model, feeds = network()
    made = compiled(model)
    form = chosen(made.program, measured(made.program, made.weights, [feeds]))
    program = replace(made.program, bits=form.bits)
    larger = {"x": feeds["x"] * 1.2}
    answers = privately(replace(made, program=program), larger, FixedPoint(form.fraction))
    assert form.bits < 40
    np.testing.assert_allclose(plain(model, larger)["y"], answers, atol=1e-3)


def test_wide_layers_are_given_more_bits() -> None:
    """Rounding adds up over the inputs of a layer, and is kept small by a finer unit."""
    narrow, wide = (_layer(width) for width in (16, 4096))
    forms = []
    for made in (narrow, wide):
        x = np.random.default_rng(1).normal(0, 8, (1, made.program.inputs[0].tensor.shape[1])).astype(np.float32)
        forms.append(chosen(made.program, measured(made.program, made.weights, [{"x": x}])))
    assert forms[0].fraction < forms[1].fraction
    assert all(form.error < 2.5e-4 for form in forms)


def test_large_values_are_given_fewer_bits_until_there_are_none() -> None:
    """And then the step that does not fit is named."""
    made = _layer(16)
    x = np.ones((1, 16), np.float32)
    found = [measured(made.program, made.weights, [{"x": x * np.float32(scale)}]) for scale in (1e2, 1e5, 1e7)]
    fractions = [chosen(made.program, ranges).fraction for ranges in found]
    assert sorted(fractions, reverse=True) == fractions
    forced = chosen(made.program, measured(made.program, made.weights, [{"x": x * np.float32(1e7)}]), 24)
    assert forced.wraps is not None


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [([], "no calibration data"), ([{"z": np.ones(1)}], "lack"), ([{"x": np.full((1, 16), np.inf)}], "finite")],
)
def test_what_calibrates_nothing_is_a_sentence(samples: list[dict[str, Any]], sentence: str) -> None:
    """Rather than a format chosen from nothing."""
    made = _layer(16)
    given = [{name: array.astype(np.float32) for name, array in sample.items()} for sample in samples]
    with pytest.raises(BadInput, match=sentence):
        measured(made.program, made.weights, given)


def _layer(width: int) -> Compiled:
    net = Net()
    net.name(net.op("Gemm", "x", net.weight(width, 4), net.weight(4)), "y")
    return compiled(net.model({"x": (FLOAT, [1, width])}, {"y": FLOAT}))


def privately(made: Compiled, feeds: dict[str, Array], fixed: FixedPoint) -> Array:
    """The output, in this number format, with inputs and weights secret."""
    random = np.random.default_rng(0)

    def draw(shape: tuple[int, ...], dtype: Any) -> Array:
        return random.integers(0, 2**64, shape, np.uint64).astype(dtype)

    every = {**feeds, **made.weights}
    hands: list[dict[str, Any]] = [{}, {}, {}]
    for port in (*made.program.inputs, *made.program.weights):
        for hand, part in zip(hands, pairs_of(split(fixed.encode(every[port.name]), draw)), strict=True):
            hand[port.name] = part

    def at(link: LocalLink) -> Array:
        party = Party(link, Correlated(link.rank, keys_for(link.rank, 0), b"test"), fixed)
        words = reveal(party, run_program(made.program, party, hands[link.rank])["y"])
        assert words is not None
        return fixed.decode(words)

    return run_together(connect(timeout=60), at)[0]
