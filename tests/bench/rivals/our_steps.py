"""The rows of training, ours: a step of a learner on secret data, its weights secret too."""

from __future__ import annotations

from collections.abc import Callable

from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.training.learner import Learner, Recipe
from protocols.smpc.training.losses import LossKind
from protocols.smpc.training.network import Layer, lay_out
from protocols.smpc.training.optimisers import Optimiser

__all__ = ["STEPS", "step_of"]

_PERCEPTRON = [Layer("dense", 128), Layer("relu"), Layer("dense", 128), Layer("relu"), Layer("dense", 10)]

STEPS: dict[str, tuple[list[Layer], LossKind]] = {
    "logistic-step": ([Layer("dense", 1)], "logistic"),
    "mlp-step": (_PERCEPTRON, "cross-entropy"),
}


def step_of(party: Party, row: str, x: Secret, labels: Secret) -> Callable[[], None]:
    """What takes one more step each time it is called, on the same batch."""
    layers, loss = STEPS[row]
    learner = Learner(party, Recipe(lay_out(layers, x.shape[1:]), loss, Optimiser(rate=0.1)))

    def step() -> None:
        learner.step(Secret(x.first, x.second), labels)

    return step
