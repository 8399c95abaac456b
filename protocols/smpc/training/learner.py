"""Training on shares, step by step: the state of it at one party, and one step of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.training.layers import Kept, backward, forward, split_weights
from protocols.smpc.training.losses import LossKind, loss, slope
from protocols.smpc.training.network import Laid, initial_weights
from protocols.smpc.training.optimisers import MOMENTA, Optimiser, change
from protocols.smpc.training.parts import Parts, row_of

__all__ = ["Learner", "Recipe", "State", "outputs_of"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """What is trained, and how. The same at all three parties."""

    network: tuple[Laid, ...]
    loss: LossKind
    optimiser: Optimiser
    seed: int = 0


@dataclass(frozen=True, eq=False)
class State:
    """All that a step leaves to the next.

    Attributes:
        steps: done so far.
        weights: (count,) every weight and bias.
        momenta: rows of the optimiser's, as long.
    """

    steps: int
    weights: Secret
    momenta: tuple[Secret, ...]

    @classmethod
    def fresh(cls, party: Party, recipe: Recipe) -> State:
        """Before the first step."""
        weights = party.public(party.fixed.encode(initial_weights(recipe.network, recipe.seed)))
        zero = np.zeros(weights.shape, np.uint64)
        return cls(0, weights, tuple(Secret(zero, zero) for _ in range(MOMENTA[recipe.optimiser.kind])))

    @property
    def rows(self) -> tuple[Secret, ...]:
        """Everything secret, in order."""
        return self.weights, *self.momenta


class Learner:
    """One party's."""

    def __init__(self, party: Party, recipe: Recipe, state: State | None = None) -> None:
        self._party = party
        self.recipe = recipe
        self.state = state or State.fresh(party, recipe)

    def step(self, x: Secret, labels: Secret, *, tell: bool = False) -> Secret | None:
        """One step down, on one batch.

        Args:
            x: (batch, *shape), in the number format's units.
            labels: (batch, columns).
            tell: also work out the batch's loss, before the step.

        Returns:
            The loss, (1,), still secret, if wanted.
        """
        party, recipe, state = self._party, self.recipe, self.state
        outputs, kept = _forward(party, recipe.network, state.weights, x)
        told = loss(party, recipe.loss, outputs, labels) if tell else None
        gradient = self._gradient(slope(party, recipe.loss, outputs, labels), kept)
        step = state.steps + 1
        moved, momenta = change(
            party, recipe.optimiser, gradient, state.weights, state.momenta, batch=x.shape[0], step=step
        )
        self.state = State(step, state.weights - moved, momenta)
        return told

    def _gradient(self, down: Secret | None, kept: Sequence[Kept]) -> Parts:
        network = self.recipe.network
        weights = split_weights(network, self.state.weights)
        first = next(at for at, laid in enumerate(network) if laid.weight)
        pieces: list[Sequence[Parts | Secret]] = []
        for at in range(len(network) - 1, first - 1, -1):
            if down is not None:
                down, learnt = backward(self._party, network[at], weights[at], kept[at], down, wanted=at > first)
                pieces.append(learnt)
        return row_of(self._party, [piece for learnt in reversed(pieces) for piece in learnt])


def outputs_of(party: Party, network: Sequence[Laid], weights: Secret, x: Secret) -> Secret:
    """What the network says to (batch, *shape): (batch, columns), before any sigmoid or softmax."""
    return _forward(party, network, weights, x)[0]


def _forward(party: Party, network: Sequence[Laid], weights: Secret, x: Secret) -> tuple[Secret, list[Kept]]:
    kept = []
    for laid, own in zip(network, split_weights(network, weights), strict=True):
        x, remembered = forward(party, laid, own, x)
        kept.append(remembered)
    return x, kept
