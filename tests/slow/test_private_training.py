"""Private training on real data: as accurate, on rows that it has not seen, as plain training with the same steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from protocols.smpc.training.batches import Batches
from protocols.smpc.training.learner import Recipe
from protocols.smpc.training.network import Layer, lay_out
from protocols.smpc.training.optimisers import Optimiser
from tests.harness.training import Plain, accuracy, one_hot
from tests.unit.protocols.smpc.training.side_by_side import trained

ASSETS = Path(__file__).parents[3] / "shared" / "assets"
WITHIN = 0.005

Numbers = NDArray[np.float64]
pytestmark = pytest.mark.slow


def table(name: str) -> Numbers:
    """A file of comma-separated numbers under one line of names, in the order of its ids."""
    path = ASSETS / "tabular" / f"fate_breast_{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} does not lie beside this checkout")
    rows = np.loadtxt(path, delimiter=",", skiprows=1)
    return np.asarray(rows[np.argsort(rows[:, 0])])


def compared(recipe: Recipe, x: Numbers, y: Numbers, tests: tuple[Numbers, Numbers], *, epochs: int, size: int) -> None:
    """Both train on the same batches; then both are asked about rows that they have not seen."""
    batches = Batches(len(x), size, recipe.seed)
    order = np.stack([batches.rows_of(step) for step in range(epochs * batches.in_epoch)])
    both = trained(recipe, x[order], y[order])
    private = Plain(recipe)
    private.weights = both.weights
    scores = [accuracy(model.outputs(tests[0]), tests[1]) for model in (both.plain, private)]
    assert scores[0] > 0.85
    assert abs(scores[0] - scores[1]) <= WITHIN, scores


@pytest.mark.parametrize("how", [Optimiser(), Optimiser("momentum", rate=0.05), Optimiser("adam", rate=0.02)], ids=str)
def test_breast_cancer_by_two_owners_of_columns(how: Optimiser) -> None:
    """Vertically split: one owner has ten columns and the labels, the other twenty columns of the same rows."""
    guest, host = table("hetero_guest"), table("hetero_host")
    np.testing.assert_array_equal(guest[:, 0], host[:, 0])
    x, y = np.concatenate([guest[:, 2:], host[:, 1:]], 1), guest[:, 1:2]
    rest = np.arange(len(x)) % 5 == 0
    recipe = Recipe(lay_out([Layer("dense", 1)], (x.shape[1],)), "logistic", how)
    compared(recipe, x[~rest], y[~rest], (x[rest], y[rest]), epochs=10, size=32)


def test_breast_cancer_by_two_owners_of_rows() -> None:
    """Horizontally split: each owner has all columns of some rows; the test rows are a third file."""
    train, test = np.concatenate([table("homo_guest"), table("homo_host")]), table("homo_test")
    layers = [Layer("dense", 16), Layer("relu"), Layer("dense", 1)]
    recipe = Recipe(lay_out(layers, (30,)), "logistic", Optimiser("momentum", rate=0.05))
    compared(recipe, train[:, 2:], train[:, 1:2], (test[:, 2:], test[:, 1:2]), epochs=8, size=32)


DIGITS = {
    "perceptron": ([Layer("flatten"), Layer("dense", 128), Layer("relu"), Layer("dense", 10)], Optimiser(rate=0.5)),
    "convolutional": (
        [
            Layer("conv", 6, 5, stride=2),
            Layer("relu"),
            Layer("max-pool", 2),
            Layer("flatten"),
            Layer("dense", 32),
            Layer("relu"),
            Layer("dense", 10),
        ],
        Optimiser("adam", rate=0.005),
    ),
}


@pytest.mark.parametrize("name", DIGITS)
def test_digits(name: str) -> None:
    """8,000 to learn from, 2,000 to be asked about."""
    path = ASSETS / "mnist" / "mnist_10k_cazala.npz"
    if not path.exists():
        pytest.skip(f"{path.name} does not lie beside this checkout")
    with np.load(path) as stored:
        x, y = stored["x"][:, None].astype(np.float64) / 255, one_hot(stored["y"], 10)
    mixed = np.random.default_rng(0).permutation(len(x))
    x, y = x[mixed], y[mixed]
    layers, how = DIGITS[name]
    recipe = Recipe(lay_out(layers, (1, 28, 28)), "cross-entropy", how, seed=4)
    compared(recipe, x[:8000], y[:8000], (x[8000:], y[8000:]), epochs=2, size=128)
