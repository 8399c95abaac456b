"""The two laws over real TLS, a few cities at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from scenarios.city import TLS, Schedule
from tests.harness.laws import DEVICES, STORIES, Verdict, judge

TOGETHER = 5
"""Cities that live at the same time, each in a thread and a loop of its own; most of the while each one waits."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", range(5))
@pytest.mark.parametrize("story", STORIES)
def test_any_fault_at_any_moment_is_survived_over_tls(story: str, batch: int) -> None:
    """Law I and law II, with real sockets, certificates, resets and silence."""

    def told(seed: int) -> tuple[Schedule, Verdict]:
        schedule = Schedule.drawn(seed, devices=DEVICES, horizon=1.5)
        return schedule, TLS.run(judge(TLS, story, schedule, pace=0.02, deadline=20.0, quiet=20.0))

    with ThreadPoolExecutor(TOGETHER) as threads:
        verdicts = list(threads.map(told, range(batch * TOGETHER, (batch + 1) * TOGETHER)))
    for schedule, verdict in verdicts:
        assert () == verdict.left, f"{schedule} left something behind"
    assert any(verdict.outcome == "right" for _, verdict in verdicts)
