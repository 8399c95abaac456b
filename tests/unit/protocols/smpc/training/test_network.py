"""Layers laid out, weights begun, batches drawn: public, and the same for everybody."""

from __future__ import annotations

import numpy as np
import pytest

from mesh.errors import BadInput
from protocols.smpc.training.batches import Batches
from protocols.smpc.training.losses import label_columns
from protocols.smpc.training.network import Layer, initial_weights, lay_out
from protocols.smpc.training.optimisers import Optimiser
from protocols.smpc.training.parts import Scale


def test_shapes_follow_from_layer_to_layer() -> None:
    """A small network for digits, weights counted with biases."""
    layers = [Layer("conv", 4, 3, padding=1), Layer("relu"), Layer("max-pool", 2), Layer("flatten"), Layer("dense", 10)]
    network = lay_out(layers, (1, 28, 28))
    assert [(4, 28, 28), (4, 14, 14), (4, 14, 14), (784,), (10,)] == [laid.after for laid in network]
    assert [4 * 9 + 4, 0, 0, 0, 7850] == [laid.count for laid in network]


def test_a_rectifier_goes_after_max_pooling() -> None:
    """Where it does the same to a quarter of the numbers."""
    network = lay_out([Layer("conv", 1, 1), Layer("relu"), Layer("max-pool", 2), Layer("flatten")], (1, 4, 4))
    assert ["conv", "max-pool", "relu", "flatten"] == [laid.layer.kind for laid in network]


@pytest.mark.parametrize(
    ("layers", "shape", "says"),
    [
        ([], (3,), "1 to"),
        ([Layer("relu")], (3,), "1 to"),
        ([Layer("dense", 2)], (1, 4, 4), "put a flatten"),
        ([Layer("dense")], (3,), "outputs"),
        ([Layer("conv", 2, 3)], (3,), "channels"),
        ([Layer("conv", 2, 9)], (1, 4, 4), "does not fit"),
        ([Layer("conv", 2, 3)], (1, 4, 4), "end it"),
        ([Layer("dense", 5000)], (5000,), "weights"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_layer_named(
    layers: list[Layer], shape: tuple[int, ...], says: str
) -> None:
    """Before anything is shared."""
    with pytest.raises(BadInput, match=says):
        lay_out(layers, shape)


def test_weights_begin_at_the_same_numbers_everywhere() -> None:
    """They come from a hash and plain arithmetic: these very numbers, on any machine."""
    network = lay_out([Layer("dense", 3), Layer("relu"), Layer("dense", 2)], (4,))
    weights = initial_weights(network, 7)
    assert weights.shape == (4 * 3 + 3 + 3 * 2 + 2,)
    np.testing.assert_array_equal(weights, initial_weights(network, 7))
    assert not np.array_equal(weights, initial_weights(network, 8))
    assert np.all(weights[12:15] == 0)
    assert np.abs(weights[:12]).max() < np.sqrt(6 / 4)
    assert np.all(initial_weights(lay_out([Layer("dense", 1)], (9,)), 7) == 0)


def test_every_row_is_used_once_an_epoch_but_for_what_fills_no_batch() -> None:
    """And in another order in each."""
    batches = Batches(rows=23, size=5, seed=1)
    first, second = (np.concatenate([batches.rows_of(4 * epoch + step) for step in range(4)]) for epoch in (0, 1))
    assert len({*first}) == len({*second}) == 20
    assert not np.array_equal(first, second)
    with pytest.raises(BadInput, match="1 to 23"):
        Batches(rows=23, size=24, seed=1)


@pytest.mark.parametrize("value", [1e-6, 0.1 / 128, 0.3, 1.0, 5.0])
def test_public_factors_are_kept_to_a_thousandth(value: float) -> None:
    """As an integer of ten bits and a shift."""
    scale = Scale.of(value)
    assert scale.factor <= 2**10
    assert abs(scale.value / value - 1) <= 1e-3


def test_losses_that_do_not_go_with_the_outputs_are_refused() -> None:
    """The sentence says which to use."""
    with pytest.raises(BadInput, match="cross-entropy"):
        label_columns("logistic", 3)
    with pytest.raises(BadInput, match="logistic"):
        label_columns("cross-entropy", 1)


@pytest.mark.parametrize("how", [Optimiser(rate=0), Optimiser(momentum=1), Optimiser("adam", decay=0.1)])
def test_optimisers_that_cannot_learn_say_why(how: Optimiser) -> None:
    """In a sentence."""
    assert how.trouble()
    assert Optimiser().trouble() is None
