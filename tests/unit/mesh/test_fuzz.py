"""Whatever arrives is read or refused, at once and in little room."""

from __future__ import annotations

import pytest

from tests.harness.fuzz import READERS, read_all


@pytest.mark.parametrize("name", READERS)
def test_changed_bytes_are_read_or_refused(name: str) -> None:
    """Of 7,000 inputs each, none raises anything but a MeshError, takes 100 ms or grows the process by 50 MB."""
    outcome = read_all(READERS[name], 7_000, seed=7)
    assert 7_000 == outcome.taken + outcome.refused
    assert outcome.refused > 1_000
    assert outcome.slowest < 0.1
    assert outcome.growth < 50e6


@pytest.mark.parametrize("name", READERS)
def test_genuine_bytes_are_read(name: str) -> None:
    """What the mutations start from is what a peer would really send."""
    for data in READERS[name].genuine:
        READERS[name].read(data)
