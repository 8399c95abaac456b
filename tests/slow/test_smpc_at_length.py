"""Three-party computation on millions of values, on dense grids, and over the mesh's own TLS."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh.authority import Authority
from mesh.identity import Identity
from mesh.ids import SessionId
from mesh.transport.blocking import Links, Listener
from protocols.smpc.replicated import arithmetic, comparison, functions, scaling
from protocols.smpc.replicated.channels import ChannelLink
from protocols.smpc.replicated.link import Words
from protocols.smpc.replicated.opening import reveal, share
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.randomness import Correlated
from protocols.smpc.replicated.truncation import truncate
from tests.unit.protocols.smpc.parties import FIXED, compute, keys_for
from tests.unit.protocols.smpc.statistics import alike, uniform
from tests.unit.protocols.smpc.test_functions import erf, logistic, worst
from tests.unit.protocols.smpc.test_views import PROGRAMS, views

pytestmark = pytest.mark.slow

MILLION = 1 << 20


@pytest.mark.parametrize("seed", range(5))
def test_a_million_comparisons_and_truncations(seed: int) -> None:
    """None of a million signs and ReLUs is wrong, and none of a million truncations is off by a unit."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2**63), 2**63, MILLION, np.int64) >> rng.integers(0, 63, MILLION)
    small = x >> 1
    small[:2] = (2**62 - 1, -(2**62))

    rectified = compute(comparison.relu, x.view(np.uint64), seed=seed).integers
    taken = compute(lambda party, a: truncate(party, a, 18), small.view(np.uint64), seed=seed).integers

    np.testing.assert_array_equal(np.maximum(x, 0), rectified)
    lower = small >> 18
    assert np.all((taken == lower) | (taken == lower + (small & (2**18 - 1) != 0)))


BENT: list[tuple[Any, Any, float]] = [
    (functions.sigmoid, logistic, 2e-5),
    (functions.hyperbolic_tangent, np.tanh, 4e-5),
    (functions.erf, erf, 4e-5),
    (functions.gelu, lambda x: x * (1 + erf(x / np.sqrt(2))) / 2, 4e-5),
    (functions.silu, lambda x: x * logistic(x), 4e-5),
]
POSITIVE: list[tuple[Any, Any]] = [
    (partial(scaling.reciprocal, high=16), lambda x: 1 / x),
    (scaling.inverse_root, lambda x: 1 / np.sqrt(x)),
    (scaling.square_root, np.sqrt),
]


def test_functions_on_dense_grids() -> None:
    """On half a million points of its range, no function leaves its bound."""
    line = np.linspace(-22, 22, 500_001)
    for program, reference, bound in BENT:
        assert worst(program, reference, line) < bound
    assert worst(functions.exponential, lambda x: np.exp(np.minimum(x, 14)), line, relative=6e-5) < 2 * FIXED.unit
    positive = 2.0 ** np.linspace(-8, 15.999, 200_001)
    for scaled, reference in POSITIVE:
        assert worst(scaled, reference, positive, relative=1e-6) <= 1.5 * FIXED.unit


@pytest.mark.parametrize("name", PROGRAMS)
def test_views_over_many_runs(name: str) -> None:
    """Joined over 20 runs under new keys, what a rank hears for one input and for another stays alike and uniform."""
    heard: list[list[bytes]] = [[], []]
    for run in range(20):
        for side, given in enumerate((np.zeros(2000), np.where(np.arange(2000) % 3, 1000.5, -3.25))):
            heard[side].append(b"".join(views(PROGRAMS[name], given, 2 * run + side)[0]))
    one, other = (b"".join(side) for side in heard)

    assert alike(one, other)
    assert uniform(one)
    assert uniform(other)


def test_over_the_meshs_own_tls(tmp_path: Path) -> None:
    """Three parties with real certificates compute on each other's numbers, and only the receiver learns the result."""
    authority = Authority.create(tmp_path / "authority", mesh="test")
    for rank in range(3):
        authority.issue(tmp_path / str(rank))
    identities = [Identity.load(tmp_path / str(rank)) for rank in range(3)]
    listeners = [Listener() for _ in range(3)]
    roster = [(identity.peer, listener.address) for identity, listener in zip(identities, listeners, strict=True)]
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(200, 300)), rng.normal(size=(300, 100))

    def program(rank: int) -> Words | None:
        session = SessionId("1" * 32)
        with Links.open(identities[rank], roster, session=session, listener=listeners[rank]) as links:
            party = Party(ChannelLink(links), Correlated(rank, keys_for(rank), b"tls"))
            x = share(party, 1, FIXED.encode(left) if rank == 1 else None, left.shape)
            y = share(party, 2, FIXED.encode(right) if rank == 2 else None, right.shape)
            return reveal(party, comparison.relu(party, arithmetic.product(party, x, y)), [0])

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(program, range(3)))

    assert found[0] is not None
    assert found[1:] == [None, None]
    np.testing.assert_allclose(FIXED.decode(found[0]), np.maximum(left @ right, 0), atol=2e-4)
