"""A million inputs."""

from __future__ import annotations

import pytest

from tests.harness.fuzz import READERS, read_all


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", READERS)
def test_a_million_changed_bytes_are_read_or_refused(name: str) -> None:
    """A third of a million inputs each: nothing but a MeshError, no 100 ms, no 50 MB."""
    count = 334_000
    outcome = read_all(READERS[name], count, seed=1)
    assert count == outcome.taken + outcome.refused
    assert outcome.slowest < 0.1
    assert outcome.growth < 50e6
