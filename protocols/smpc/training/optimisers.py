"""From gradients to steps, on shares: plain descent, momentum, Adam.

What comes in is the gradient summed over the batch, as parts with twice the format's fractional bits; what goes out is
by how much the weights change. The learning rate, the size of the batch and the truncation are one public integer and
one shift; decay and momentum are added before that shift, so that plain descent and momentum cost the two rounds of one
truncation, for all layers together.

With 18 fractional bits: a gradient's sum over the batch must stay under 2**16, and a velocity, which is a step, under
2**16 times the rate over the size of the batch: 12 at 0.1 and 512. Weights move by multiples of 2**-18, rounded at
random and right on average.

Adam (Kingma and Ba 2015) is Keller and Sun 2022's in substance: one root and quotient in one, `inverse_root`, whose
range has a floor in place of the epsilon. Gradients, as means over the batch, have 20 fractional bits and must stay
under 8; the mean of their squares 32. Squares under 2**-26 count as that: `FLOOR` says it for the plain text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.scaling import inverse_root
from protocols.smpc.replicated.sharing import Secret
from protocols.smpc.training.parts import Parts, Scale, part_of, row_of, settled

__all__ = ["FLOOR", "MOMENTA", "Optimiser", "change"]

OptimiserKind = Literal["sgd", "momentum", "adam"]

FLOOR = 2.0**-26
"""What the mean of squared gradients is at least, where Adam divides by its root."""

MOMENTA = {"sgd": 0, "momentum": 1, "adam": 2}
"""Rows, as long as the weights, that each keeps from step to step."""

_LOW, _HIGH = -26, 6  # the powers of two between which the mean of squares lies
_GRADIENT, _SQUARE, _ROOT = 20, 32, 18  # fractional bits of Adam's numbers
_SHIFT = 16


@dataclass(frozen=True, slots=True)
class Optimiser:
    """How weights follow gradients.

    Attributes:
        rate: of learning; see `Scale` for how exactly it is kept.
        momentum: share of the last step that is taken again; Adam's first beta.
        squares: Adam's second beta.
        decay: pull of every weight, and bias, towards zero, as a share of it times the rate a step; not for Adam.
    """

    kind: OptimiserKind = "sgd"
    rate: float = 0.1
    momentum: float = 0.9
    squares: float = 0.999
    decay: float = 0.0

    def trouble(self) -> str | None:
        """Why nobody can learn like that, as a sentence."""
        if not 1e-6 <= self.rate <= 64:
            return f"The learning rate is {self.rate:g}; it must be from 1e-6 to 64."
        if not (0 <= self.momentum < 1 and 0 < self.squares < 1):
            return "Momentum must be from 0 to under 1, and Adam's share of squares between 0 and 1."
        if not 0 <= self.decay <= 1 or (self.decay and self.kind == "adam"):
            return "Decay must be from 0 to 1, and 0 for Adam."
        return None


def change(
    party: Party,
    how: Optimiser,
    gradient: Parts,
    weights: Secret,
    momenta: tuple[Secret, ...],
    *,
    batch: int,
    step: int,
) -> tuple[Secret, tuple[Secret, ...]]:
    """What is to be taken off the weights, and the next momenta.

    Args:
        gradient: (count,) summed over the batch.
        weights: (count,) of it, for the decay.
        momenta: as many rows as `MOMENTA` says.
        step: counted from 1.
    """
    if how.kind == "adam":
        return _adam(party, how, gradient, (momenta[0], momenta[1]), batch=batch, step=step)
    scale = Scale.of(how.rate / batch)
    bits = party.fixed.fraction + scale.bits
    scaled = gradient.times(scale.factor)
    if how.decay:
        scaled = scaled.plus(party, weights.times(round(how.rate * how.decay * 2.0**bits)))
    if how.kind == "sgd":
        return settled(party, scaled, bits), ()
    velocity = settled(party, scaled.plus(party, momenta[0].times(round(how.momentum * 2.0**bits))), bits)
    return velocity, (velocity,)


def _adam(
    party: Party, how: Optimiser, gradient: Parts, momenta: tuple[Secret, Secret], *, batch: int, step: int
) -> tuple[Secret, tuple[Secret, ...]]:
    count = gradient.words.size
    # Mean gradient and first momentum differ in a public factor alone: both are settled in the same two rounds.
    bits = 2 * party.fixed.fraction - _GRADIENT + _SHIFT
    fresh = gradient.times(round((1 - how.momentum) * 2.0**_SHIFT / batch))
    fresh = fresh.plus(party, momenta[0].times(round(how.momentum * 2.0**bits)))
    both = settled(party, row_of(party, [gradient.times(round(2.0**_SHIFT / batch)), fresh]), bits)
    mean, first = both[:count], both[count:]
    bits = 2 * _GRADIENT - _SQUARE + _SHIFT
    squared = part_of(party, np.multiply, mean, mean).times(round((1 - how.squares) * 2.0**_SHIFT))
    second = settled(party, squared.plus(party, momenta[1].times(round(how.squares * 2.0**bits))), bits)
    inverse = inverse_root(party, second, low=_LOW, high=_HIGH, fraction=_SQUARE, places=_ROOT)
    corrected = how.rate * math.sqrt(1 - how.squares**step) / (1 - how.momentum**step)
    scale = Scale.of(corrected)
    moved = part_of(party, np.multiply, first, inverse).times(scale.factor)
    return settled(party, moved, _GRADIENT + _ROOT - party.fixed.fraction + scale.bits), (first, second)
