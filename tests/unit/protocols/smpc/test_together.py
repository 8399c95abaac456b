"""Works that share their rounds."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput
from protocols.smpc.replicated import arithmetic, comparison
from protocols.smpc.replicated.truncation import Rounding, truncate
from tests.unit.protocols.smpc.parties import FIXED, compute

X = np.linspace(-3, 3, 50)
WORKS = {
    "relu": comparison.relu,
    "product": lambda party, x: arithmetic.multiply(party, x, x),
    "exact": lambda party, x: truncate(party, x.times(5), 3, Rounding.EXACT),
    "maximum": lambda party, x: comparison.largest(party, x.reshape(10, 5), 0),
    "nothing to swap": lambda party, x: x.times(3),
    "both": lambda party, x: party.together(
        lambda: comparison.relu(party, x), lambda: arithmetic.multiply(party, x, x)
    )[1],
}


def test_works_done_together_give_what_they_give_alone() -> None:
    """Every operation, some of them made of works that are done together themselves, at once: each result is right."""
    names = [*WORKS, *WORKS]
    words = FIXED.encode(X)

    def program(party: Any, x: Any) -> tuple[Any, ...]:
        return tuple(party.together(*(partial(WORKS[name], party, x) for name in names)))

    got = compute(program, words)

    for name, found in zip(names, got.words, strict=True):
        alone = compute(WORKS[name], words).words[0]
        np.testing.assert_allclose(found.view(np.int64), alone.view(np.int64), atol=1)


def test_they_take_the_rounds_of_the_longest() -> None:
    """Three products and a Relu take as long as the Relu."""
    words = FIXED.encode(X)
    lone = compute(comparison.relu, words).depth

    def program(party: Any, x: Any) -> tuple[Any, ...]:
        works = [partial(WORKS[name], party, x) for name in ("product", "product", "relu", "product")]
        return tuple(party.together(*works))

    assert lone == compute(program, words).depth


def test_one_that_fails_ends_all() -> None:
    """What a work raises is raised where they were begun, and no thread is left behind."""

    def program(party: Any, x: Any) -> Any:
        def wrong() -> Any:
            arithmetic.multiply(party, x, x)
            raise BadInput("no")

        return party.together(partial(comparison.relu, party, x), wrong, partial(comparison.relu, party, x))[0]

    with pytest.raises(BadInput, match="no"):
        compute(program, FIXED.encode(X))
