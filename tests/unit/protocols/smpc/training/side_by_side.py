"""The same training on shares and in plain numbers, on the same batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.opening import reveal
from protocols.smpc.replicated.sharing import pairs_of, split
from protocols.smpc.training.learner import Learner, Recipe
from tests.harness.training import Plain
from tests.unit.protocols.smpc.parties import FIXED, party_on

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Both:
    """What came out of both.

    Attributes:
        rounds: messages one after another, of each step.
        heard: what each party received.
    """

    plain: Plain
    weights: Numbers
    losses: list[tuple[float, float]]
    rounds: list[int]
    heard: list[list[bytes]]

    @property
    def distance(self) -> float:
        return float(np.abs(self.weights - self.plain.weights).max())


def trained(recipe: Recipe, xs: Numbers, labels: Numbers, *, tell: bool = False, seed: int = 0) -> Both:
    """Train on one batch after another: (steps, batch, *shape) and (steps, batch, columns)."""
    plain = Plain(recipe)
    expected = [plain.step(x, y) for x, y in zip(xs, labels, strict=True)]
    rng = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...], dtype: Any) -> Any:
        return rng.integers(0, 2**64, shape, np.uint64).astype(dtype)

    data, answers = (pairs_of(split(FIXED.encode(values), draw)) for values in (xs, labels))

    def at(link: LocalLink) -> tuple[Numbers, list[float], list[int]]:
        party = party_on(link, seed)
        learner, told, depths = Learner(party, recipe), [], [link.depth]
        for number in range(len(xs)):
            loss = learner.step(data[link.rank][number], answers[link.rank][number], tell=tell)
            depths.append(link.depth)
            if loss is not None:
                told.append(_number(reveal(party, loss)))
        link.heard.append(b"")  # whatever follows is the opening
        return FIXED.decode(_known(reveal(party, learner.state.weights))), told, list(np.diff(depths))

    links = connect(record=True)
    weights, told, rounds = run_together(links, at)[0]
    return Both(plain, weights, list(zip(expected, told, strict=False)), rounds, [link.heard for link in links])


def _known(words: Any) -> Any:
    assert words is not None
    return words


def _number(words: Any) -> float:
    return float(FIXED.decode(_known(words))[0])
