"""What a single party sees of a training step: nothing that tells one set of data from another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.sharing import pairs_of, split
from protocols.smpc.training.learner import Learner, Recipe, State
from protocols.smpc.training.losses import LossKind
from protocols.smpc.training.network import Layer, lay_out
from protocols.smpc.training.optimisers import Optimiser
from tests.harness.training import one_hot
from tests.unit.protocols.smpc.parties import FIXED, party_on
from tests.unit.protocols.smpc.statistics import alike, uniform
from tests.unit.protocols.smpc.training.side_by_side import Numbers, trained

BATCH, COLUMNS, CLASSES = 40, 30, 4
LAYERS = [Layer("dense", 40), Layer("relu"), Layer("dense", CLASSES)]
PLANES = [Layer("conv", 4, 3), Layer("relu"), Layer("max-pool", 2), Layer("flatten"), Layer("dense", CLASSES)]
STEPS: dict[str, tuple[list[Layer], tuple[int, ...], LossKind, Optimiser]] = {
    "perceptron": (LAYERS, (COLUMNS,), "cross-entropy", Optimiser()),
    "momentum": (LAYERS, (COLUMNS,), "squared", Optimiser("momentum", decay=0.01)),
    "adam": (LAYERS, (COLUMNS,), "squared", Optimiser("adam", rate=0.01)),
    "convolutions": (PLANES, (1, 12, 12), "squared", Optimiser()),
}


def views(name: str, x: Numbers, labels: Numbers, seed: int) -> list[list[bytes]]:
    """What each rank heard in one step, message by message."""
    layers, shape, loss, how = STEPS[name]
    recipe = Recipe(lay_out(layers, shape), loss, how, seed=1)
    heard = trained(recipe, x.reshape(1, BATCH, *shape), labels[None], seed=seed).heard
    return [messages[: messages.index(b"")] for messages in heard]


@pytest.mark.parametrize("name", STEPS)
def test_every_message_of_a_step_is_uniform_and_alike_for_all_data(name: str) -> None:
    """Rows of zeros and rows of large numbers, of one class or of all: the same messages to look at."""
    size = int(np.prod(STEPS[name][1]))
    rows = np.arange(BATCH * size).reshape(BATCH, size)
    inputs: list[tuple[Any, Any]] = [
        (np.zeros((BATCH, size)), one_hot(np.zeros(BATCH, np.intp), CLASSES)),
        (np.where(rows % 3, 3.5, -7.25), one_hot(np.arange(BATCH) % CLASSES, CLASSES)),
    ]
    both = [views(name, x, labels, seed) for seed, (x, labels) in enumerate(inputs)]
    for one, other in zip(*both, strict=True):
        assert [len(message) for message in one] == [len(message) for message in other]
        assert not one or alike(b"".join(one), b"".join(other))
        assert all(uniform(message) for message in [*one, *other] if len(message) >= 2000)
    assert [[], []] == [heard[0] for heard in both]


def test_shares_of_the_state_are_uniform() -> None:
    """What a party keeps of a checkpoint, as two parties hold each share: none of them alone is anything but noise."""
    recipe = Recipe(lay_out(LAYERS, (COLUMNS,)), "squared", Optimiser("momentum"), seed=1)
    rng = np.random.default_rng(3)

    def draw(shape: tuple[int, ...], dtype: Any) -> Any:
        return rng.integers(0, 2**64, shape, np.uint64).astype(dtype)

    x = pairs_of(split(FIXED.encode(np.ones((BATCH, COLUMNS))), draw))
    y = pairs_of(split(FIXED.encode(np.zeros((BATCH, CLASSES))), draw))

    def at(link: LocalLink) -> State:
        learner = Learner(party_on(link), recipe)
        learner.step(x[link.rank], y[link.rank])
        return learner.state

    for state in run_together(connect(), at):
        for row in state.rows:
            assert uniform(row.first.tobytes())
            assert uniform(row.second.tobytes())
