"""The junction's detector on frames it has never learnt from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scenarios.junction.dataset import EXAMINED, TAUGHT, Recipe
from scenarios.junction.detectors import DEFAULT_MODEL, JunctionDetector
from scenarios.junction.examine import examined

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_frames_it_is_examined_on_are_not_those_it_learnt_from() -> None:
    """No seed is in both sets."""
    assert not set(EXAMINED.scenes()) & set(TAUGHT.scenes())


def test_it_is_worth_what_its_card_says() -> None:
    """On seeds new to lesson and card, precision and recall of each label are within 0.03 of the card's."""
    card = json.loads(DEFAULT_MODEL.with_suffix(".json").read_text())
    fresh: Any = examined(DEFAULT_MODEL, JunctionDetector(), Recipe(first=50_000, seeds=30, frames=8, apart=3.1))
    for label, claimed in card["examined"]["labels"].items():
        for measure in ("precision", "recall"):
            assert fresh["labels"][label][measure] == pytest.approx(claimed[measure], abs=0.03), (label, measure)
