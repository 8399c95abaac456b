"""Thousands of larger questions to the planner, each answered a second time by trying everything."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.protocols.sharded.enumeration import Question, best_of_all, expect_best, questions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(questions(pieces=9, machines=5))
def test_no_layout_is_better(question: Question) -> None:
    """Up to nine pieces on five devices: no layout is better than the planner's, in any of the four respects."""
    expect_best(question)


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(questions(pieces=13, machines=4))
def test_more_cuts(question: Question) -> None:
    """The same for twelve cuts and four devices."""
    best = best_of_all(question)
    if best is not None:
        assert best[0] == pytest.approx(question.ask().bottleneck * 1e9)
