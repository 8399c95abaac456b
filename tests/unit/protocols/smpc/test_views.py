"""What a single party sees: nothing that tells one input from another."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated import arithmetic, comparison, functions
from protocols.smpc.replicated.bits import to_ring
from protocols.smpc.replicated.truncation import Rounding, truncate
from tests.unit.protocols.smpc.parties import FIXED, compute
from tests.unit.protocols.smpc.statistics import alike, uniform

PROGRAMS = {
    "multiply": lambda party, x: arithmetic.multiply(party, x, x),
    "product": lambda party, x: arithmetic.product(party, x.reshape(40, 50), x.reshape(50, 40)),
    "fast": lambda party, x: truncate(party, x, 18, Rounding.FAST),
    "near": lambda party, x: truncate(party, x, 18),
    "exact": lambda party, x: truncate(party, x, 18, Rounding.EXACT),
    "relu": comparison.relu,
    "is_zero": lambda party, x: to_ring(party, comparison.is_zero(party, x)),
    "argmax": lambda party, x: comparison.argmax(party, x.reshape(4, 500), 0)[1],
    "max_pool": lambda party, x: comparison.max_pool(party, x.reshape(1, 5, 20, 20), (2, 2)),
    "sigmoid": functions.sigmoid,
    "softmax": lambda party, x: functions.softmax(party, x.reshape(20, 100), 1),
}


def views(program: Any, inputs: Any, seed: int) -> tuple[list[bytes], list[list[bytes]]]:
    """All bytes that each rank heard before the opening, in one piece and message by message."""
    links = compute(program, FIXED.encode(inputs), seed=seed, record=True).links
    heard = [link.heard[: link.heard.index(b"")] for link in links]
    return [b"".join(messages) for messages in heard], heard


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_message_is_uniform_and_the_same_for_all_inputs(name: str) -> None:
    """Each message that any rank hears is uniform, and two inputs as different as can be give views alike.

    Rank 0 hears nothing at all until a result is opened.
    """
    inputs = (np.zeros(2000), np.where(np.arange(2000) % 3, 1000.5, -3.25))
    joined, messages = zip(*(views(PROGRAMS[name], given, seed) for seed, given in enumerate(inputs)), strict=True)

    for one, other in zip(*joined, strict=True):
        assert len(one) == len(other)
        assert not one or alike(one, other)
    for heard in messages:
        assert heard[0] == []
        for message in (message for rank in (1, 2) for message in heard[rank] if len(message) >= 2000):
            assert uniform(message)


@pytest.mark.parametrize("name", ["multiply", "relu", "near"])
def test_messages_do_not_depend_on_each_other(name: str) -> None:
    """No two messages of a rank's view, and no two runs under other keys, are masked alike: their differences are
    uniform, too."""
    _, first = views(PROGRAMS[name], np.full(2000, 7.0), seed=1)
    _, second = views(PROGRAMS[name], np.full(2000, 7.0), seed=2)
    for rank in (1, 2):
        large = [np.frombuffer(message, np.uint8) for message in first[rank] if len(message) >= 2000]
        again = [np.frombuffer(message, np.uint8) for message in second[rank] if len(message) >= 2000]
        for one, other in [*pairwise(large), *zip(large, again, strict=True)]:
            size = min(len(one), len(other))
            assert uniform((one[:size] - other[:size]).tobytes())


def test_results_do_not_tell_their_shares() -> None:
    """Shares of a result are uniform at every rank, whatever the result."""
    held: list[bytes] = []

    def program(party: Any, x: Any) -> Any:
        out = comparison.relu(party, x)
        held.append(out.first.tobytes() + out.second.tobytes())
        return out

    for seed in range(3):
        compute(program, FIXED.encode(np.full(1000, -1.0)), seed=seed)

    for shares in held:
        assert uniform(shares)
