"""The two laws, in memory: thousands of schedules, hours of virtual time."""

from __future__ import annotations

from collections import Counter

import pytest

from scenarios.city import VIRTUAL, Schedule
from tests.harness.laws import DEVICES, STORIES, judge

BATCH = 125
BATCHES = 10


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("story", STORIES)
def test_any_fault_at_any_moment_is_survived(story: str, batch: int) -> None:
    """Law I and law II, for 125 schedules drawn at random."""
    outcomes: Counter[str] = Counter()
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        schedule = Schedule.drawn(seed, devices=DEVICES, horizon=1.0 if story == "echo" else 4.0)
        verdict = VIRTUAL.run(judge(VIRTUAL, story, schedule, pace=0.1, deadline=60.0, quiet=30.0))
        assert () == verdict.left, f"{schedule} left something behind"
        outcomes[verdict.outcome] += 1
    assert outcomes["right"] > BATCH / 4, outcomes
