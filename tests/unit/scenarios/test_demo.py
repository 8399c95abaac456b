"""What the demo counts, and what it shows."""

from __future__ import annotations

import io
import math

from rich.console import Console

from scenarios.demo.figures import Tally, Times, percentile
from scenarios.demo.report import DeviceUse, Found, LinkUse, Outcome, PartView, Seen
from scenarios.demo.screen import Screen

TIMES = Times(60, 48.25, 0.01, 0.02, 0.03, 0.04)
PART = PartView("north", "abcdefgh", (0, 5), 123_456, 78_900_000, 0.0123)


def outcome(**changes: object) -> Outcome:
    given: dict[str, object] = {
        "model": "detector.onnx",
        "source": "a street",
        "frames": 120,
        "seen": (Seen("camera", "north", 0.5),),
        "plans": ((PART,),),
        "whole": TIMES,
        "before": TIMES,
        "after": TIMES,
        "gap": 0.13,
        "answered": 120,
        "lost": 0,
        "twice": 0,
        "differing": 0,
        "replayed": 6,
        "killed": "north",
        "killed_after": 60,
        "sessions": 2,
        "devices": (DeviceUse("north", False, 1.5, 120_000_000),),
        "links": (LinkUse("camera", "north", 33_000_000),),
        "found": (Found("person", 0.9, 0.8, 1688),),
        "seconds": 12.0,
    }
    return Outcome(**{**given, **changes})  # type: ignore[arg-type]


def test_a_percentile_is_one_of_the_values() -> None:
    """The smallest value that at least that share of them does not exceed."""
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [1.0, 3.0, 5.0, 5.0] == [percentile(values, share) for share in (0.0, 0.5, 0.95, 1.0)]
    assert math.isnan(percentile([], 0.5))


def test_times_span_from_the_first_frame_sent_to_the_last_answer() -> None:
    """Three answers within two seconds are 1.5 a second, however long each one waited."""
    times = Times.of([10.0, 10.5, 11.0], [10.5, 11.5, 12.0])
    assert (3, 1.5, 1.0, 1.0) == (times.frames, times.rate, times.p50, times.longest)


def test_no_answers_give_no_figures() -> None:
    """A stretch without answers has no rate, and is no error."""
    assert math.isnan(Tally().times().rate)
    assert Tally().times().frames == 0


def test_the_gap_counts_from_the_answer_before_the_kill() -> None:
    """The silence that a kill causes begins with the last answer before it."""
    tally = Tally(sent=[0, 0, 0, 0], answered=[1.0, 2.0, 5.0, 5.5])
    assert tally.longest_gap(2) == 3.0
    assert tally.longest_gap(3) == 0.5


def test_only_a_mesh_that_kept_its_promise_is_sound() -> None:
    """One frame lost, answered twice or with another byte in it, and the demo has failed."""
    assert outcome().sound
    assert not any(outcome(**{broken: 1}).sound for broken in ("lost", "twice", "differing"))


def test_a_person_sees_who_holds_what_and_how_it_went() -> None:
    """The plan, the rates, the links, the devices and the verdict are all on the screen."""
    paper = io.StringIO()
    screen = Screen(Console(file=paper, width=120))
    screen.plan([PART], again=False)
    screen.outcome(outcome())
    shown = " ".join(paper.getvalue().split())
    for words in ("0 to 4", "123.5 kB", "78.9 M", "48.2", "33.0 MB", "killed", "90.0%", "120 of 120 answers byte for"):
        assert words in shown
