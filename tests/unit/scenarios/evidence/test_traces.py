"""Pieces of secrets, laid out and found."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from scenarios.evidence.traces import LEAST, Found, Traces, forms_of, planted

RANDOM = np.random.default_rng(4)
PICTURE = np.repeat(RANDOM.integers(0, 256, (12, 16, 3), np.uint8), 2, 0)
WEIGHTS = RANDOM.standard_normal(700).astype(np.float32)
HAY = RANDOM.bytes(60_000)
FORMS = {**forms_of(PICTURE, 18), **forms_of(WEIGHTS, 18)}


@pytest.mark.parametrize("values", [PICTURE, WEIGHTS], ids=["picture", "weights"])
@pytest.mark.parametrize("at", range(8))
def test_a_piece_is_found_wherever_it_lies(values: Any, at: int) -> None:
    """Of every form, at every offset: as short as promised, once its bytes are telling."""
    forms = forms_of(values, 18)
    traces = Traces({"secret": forms})
    for name, form in forms.items():
        starts = (start for start in range(at, len(form) - LEAST) if len(set(form[start : start + LEAST])) >= 8)
        start = next(starts, None)
        if start is not None:
            laid = HAY[: 999 + at] + form[start : start + LEAST] + HAY[999:]
            assert (name, True) in {(found.form, found.length >= LEAST) for found in traces.search(laid)}


def test_nothing_is_found_in_noise() -> None:
    """Not in random bytes, not in zeros, and not in the numbers of somebody else."""
    traces = Traces({"picture": forms_of(PICTURE, 18), "weights": forms_of(WEIGHTS, 18)})
    others = forms_of(RANDOM.standard_normal(7000).astype(np.float32), 18)
    for hay in (HAY, bytes(9999), b"", b"short", *others.values()):
        assert [] == traces.search(hay)


def test_base64_is_found_whatever_came_before() -> None:
    """Three bytes become four letters, so where a piece begins changes all of them."""
    traces = Traces({"weights": forms_of(WEIGHTS, 18)})
    for before in range(3):
        text = base64.b64encode(RANDOM.bytes(30 + before) + WEIGHTS.tobytes())
        assert {"base64 of float32"} == {found.form for found in traces.search(text)}


def test_what_is_short_counts_as_a_whole() -> None:
    """A result of a few numbers is looked for from end to end."""
    traces = Traces({"result": {"decimal": b"2.810544", "float32": WEIGHTS[:4].tobytes()}})
    found = traces.search(b"the score is 2.8105443; " + WEIGHTS[:4].tobytes())
    assert [Found("result", "decimal", 8, 13), Found("result", "float32", 16, 24)] == found
    assert [] == traces.search(b"2.8105 " + WEIGHTS[1:4].tobytes())


def test_every_form_can_be_planted_and_found() -> None:
    """Which is how a place is shown to have been searched."""
    traces = Traces({"picture": forms_of(PICTURE, 18), "weights": forms_of(WEIGHTS, 18)})
    for seed in range(5):
        canary, laid = planted(traces, HAY, np.random.default_rng(seed))
        assert laid == {(found.secret, found.form) for found in traces.search(canary)}
        assert len(laid) == len(traces.forms)
