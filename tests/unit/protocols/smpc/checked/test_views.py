"""What a single party sees of a job with abort: nothing that tells one input from another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.smpc.replicated import arithmetic, comparison
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.local import connect
from protocols.smpc.replicated.truncation import Rounding, truncate
from tests.unit.protocols.smpc.checked.trials import ends_of, handed, job
from tests.unit.protocols.smpc.parties import FIXED
from tests.unit.protocols.smpc.statistics import alike, uniform

PROGRAMS = {
    "multiply": lambda party, x: arithmetic.multiply(party, x, x, bits=0),
    "matrices": lambda party, x: arithmetic.product(party, x.reshape(40, 50), x.reshape(50, 40), bits=0),
    "near": lambda party, x: truncate(party, x, 18),
    "exact": lambda party, x: truncate(party, x, 18, Rounding.EXACT),
    "relu": comparison.relu,
}
INPUTS = (np.zeros(2000), np.where(np.arange(2000) % 3, 1000.5, -3.25))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_message_is_uniform_and_the_same_for_all_inputs(name: str) -> None:
    """Each message that any rank hears is uniform, its check included, and inputs far apart give views alike."""
    views = []
    for seed, numbers in enumerate(INPUTS):
        links = connect(record=True)
        ends_of(job(PROGRAMS[name]), handed(FIXED.encode(numbers), seed=seed), links, seed=seed)
        views.append([link.heard for link in links])

    for one, other in zip(*views, strict=True):
        assert [len(message) for message in one] == [len(message) for message in other]
        assert alike(b"".join(one), b"".join(other))
        for message in (*one, *other):
            assert len(message) < 2000 or uniform(message)


@pytest.mark.parametrize("name", PROGRAMS)
def test_released_shares_tell_nothing_but_their_sum(name: str) -> None:
    """Each share is uniform, and belongs to no share of what was handed in, whatever the program has left in it."""
    hands = handed(FIXED.encode(INPUTS[1]))
    ends = ends_of(job(PROGRAMS[name]), hands, connect())

    for end, (given,) in zip(ends, hands, strict=True):
        for share in (end.first, end.second):
            assert uniform(share.tobytes())
            assert uniform(_apart(share, given.first).tobytes())


def _apart(share: Words, given: Words) -> Any:
    size = min(share.size, given.size)
    return share.reshape(-1)[:size] - given[:size]
