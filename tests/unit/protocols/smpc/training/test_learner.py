"""Training on shares gives the weights of plain training, layer by layer, loss by loss, optimiser by optimiser."""

from __future__ import annotations

import numpy as np
import pytest

from protocols.smpc.training.learner import Recipe
from protocols.smpc.training.losses import LossKind
from protocols.smpc.training.network import Layer, lay_out
from protocols.smpc.training.optimisers import Optimiser
from tests.harness.training import Plain, one_hot
from tests.unit.protocols.smpc.training.side_by_side import Numbers, trained

RELU, FLAT = Layer("relu"), Layer("flatten")
STEPS, BATCH = 3, 8


def dense(size: int) -> Layer:
    return Layer("dense", size)


def data(shape: tuple[int, ...], columns: int, seed: int = 0) -> tuple[Numbers, Numbers]:
    rng = np.random.default_rng(seed)
    xs = rng.standard_normal((STEPS, BATCH, *shape))
    if columns == 1:
        return xs, (xs.reshape(STEPS, BATCH, -1).sum(-1, keepdims=True) > 0).astype(float)
    return xs, one_hot(rng.integers(0, columns, (STEPS, BATCH)), columns)


NETWORKS = {
    "perceptron": ([dense(12), RELU, dense(6), RELU, dense(4)], (10,)),
    "strides and padding": ([Layer("conv", 3, 3, stride=2, padding=1), RELU, FLAT, dense(4)], (2, 6, 7)),
    "two convolutions": ([Layer("conv", 3, 2), RELU, Layer("conv", 4, 3, padding=1), RELU, FLAT, dense(4)], (1, 6, 5)),
    "max-pooling": ([Layer("conv", 2, 3, padding=1), RELU, Layer("max-pool", 2), FLAT, dense(4)], (1, 7, 6)),
    "odd windows": ([Layer("conv", 2, 2), Layer("max-pool", 3), FLAT, dense(4)], (1, 8, 7)),
    "average-pooling": ([Layer("conv", 2, 3), Layer("average-pool", 3), FLAT, dense(4)], (1, 8, 9)),
    "no convolution first": ([Layer("average-pool", 2), FLAT, dense(5), RELU, dense(4)], (1, 6, 6)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_learns_as_in_plain(name: str) -> None:
    """Three steps leave the same weights, to within a thousandth of what they moved and the rounding of each step."""
    layers, shape = NETWORKS[name]
    recipe = Recipe(lay_out(layers, shape), "cross-entropy", Optimiser(rate=0.2), seed=3)
    both = trained(recipe, *data(shape, 4))
    moved = np.abs(both.plain.weights - Plain(recipe).weights).max()
    assert moved > 0.01
    assert both.distance < 2e-3 * moved + 5e-5


@pytest.mark.parametrize("kind", ["squared", "logistic", "cross-entropy"])
def test_losses_and_their_slopes_are_those_of_plain_training(kind: LossKind) -> None:
    """The loss before each step, where it is told, and what the step does."""
    columns = 4 if kind == "cross-entropy" else 1
    recipe = Recipe(lay_out([dense(columns)], (5,)), kind, Optimiser(rate=0.25))
    both = trained(recipe, *data((5,), columns), tell=True)
    assert STEPS == len(both.losses)
    assert all(abs(expected - told) < 2e-4 for expected, told in both.losses)
    assert both.distance < 2e-4


@pytest.mark.parametrize(
    "how",
    [
        Optimiser(decay=0.1),
        Optimiser("momentum", rate=0.05),
        Optimiser("momentum", momentum=0.5, decay=0.01),
        Optimiser("adam", rate=0.01),
        Optimiser("adam", rate=0.001, momentum=0.8, squares=0.99),
    ],
    ids=str,
)
def test_optimisers_step_as_in_plain(how: Optimiser) -> None:
    """Three steps, with momenta kept from one to the next."""
    recipe = Recipe(lay_out([dense(6), RELU, dense(1)], (7,)), "logistic", how, seed=1)
    both = trained(recipe, *data((7,), 1))
    moved = np.abs(both.plain.weights - Plain(recipe).weights).max()
    assert both.distance < (0.02 if how.kind == "adam" else 2e-3) * moved + 5e-5


def test_gradients_of_the_oracle_are_slopes_of_its_loss() -> None:
    """What everything here is compared with agrees with differences of its own loss."""
    layers = [Layer("conv", 2, 3, stride=2, padding=1), RELU, Layer("max-pool", 2), FLAT, dense(3)]
    recipe = Recipe(lay_out(layers, (2, 8, 8)), "cross-entropy", Optimiser(), seed=2)
    plain = Plain(recipe)
    x, y = data((2, 8, 8), 3)[0][0], data((2, 8, 8), 3)[1][0]
    found = plain.gradient(x, y)
    weights = plain.weights.copy()
    for at in range(0, weights.size, 7):
        ends = []
        for way in (-1, 1):
            plain.weights = weights.copy()
            plain.weights[at] += way * 1e-5
            ends.append(plain.loss(x, y))
        assert abs((ends[1] - ends[0]) / 2e-5 - found[at]) < 1e-5


def test_steps_smaller_than_a_unit_count_on_average() -> None:
    """Steps of a fifth of a unit or less, five hundred times over, move a weight by a dozen units, and not by none."""
    steps = 500
    recipe = Recipe(lay_out([dense(1)], (64,)), "squared", Optimiser(rate=2.0**-12))
    xs = np.ones((steps, 1, 64))
    both = trained(recipe, xs, np.full((steps, 1, 1), 0.2 * 2.0**-6))
    expected = both.plain.weights[:64].mean()
    assert 4e-5 < expected
    assert abs(both.weights[:64].mean() - expected) < 0.1 * expected


def test_the_rounds_of_a_step_do_not_grow_with_its_width() -> None:
    """Weights of all layers are settled together: a wider perceptron pays no latency more."""

    def rounds(width: int) -> int:
        recipe = Recipe(lay_out([dense(width), RELU, dense(1)], (4,)), "squared", Optimiser("momentum"))
        return max(trained(recipe, *data((4,), 1)).rounds)

    assert rounds(8) == rounds(16)


def test_what_a_party_hears_in_training_has_no_piece_of_data_or_model() -> None:
    """No 8 bytes of a batch, of a label or of a weight, in the ring, in any message before the opening."""
    recipe = Recipe(lay_out([dense(4), RELU, dense(1)], (6,)), "logistic", Optimiser("momentum"))
    xs, labels = data((6,), 1)
    from tests.unit.protocols.smpc.parties import FIXED

    both = trained(recipe, xs, labels)
    secret = {word.tobytes() for word in FIXED.encode(np.concatenate([xs.ravel(), both.plain.weights])).reshape(-1)}
    for heard in both.heard:
        said = b"".join(heard[: heard.index(b"")])
        assert not secret & {said[at : at + 8] for at in range(len(said) - 7)} - {bytes(8)}
