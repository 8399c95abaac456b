"""One line an event, whatever is in it; and never too many alike."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from mesh.logs import RateLimit, formatter


def record(message: str, *arguments: object, created: float = 1e9, level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord("mesh.desk", level, "desk.py", 1, message, arguments, None)
    made.created = created
    return made


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_a_line_holds_the_time_the_level_and_the_message() -> None:
    """As key=value, quoted where a value has blanks."""
    line = formatter("text", io.StringIO(), {}).format(record("declined peer=%s", "abc"))
    expected = 'time=2001-09-09T01:46:40.000Z level=info logger=mesh.desk message="declined peer=abc"'
    assert expected == line


def test_the_journal_gets_priorities_and_no_time() -> None:
    """The journal has a clock of its own, and sorts by what stands in front."""
    lines = [formatter("journal", io.StringIO(), {}).format(record("x", level=level)) for level in (10, 20, 30, 40)]
    assert ["<7>level=debug", "<6>level=info", "<4>level=warning", "<3>level=error"] == [
        line.split(" ")[0] for line in lines
    ]


@pytest.mark.parametrize("form", ["text", "json", "journal", "auto"])
def test_nothing_that_is_logged_can_begin_a_line(form: str) -> None:
    """What a peer says may not forge a second event, nor speak to the terminal."""
    evil = "fine\nlevel=error message=forged \x1b]0;title\x07 \u202e"
    for stream in (io.StringIO(), Terminal()):
        line = formatter(form, stream, {}).format(record("said %s", evil))  # type: ignore[arg-type]
        assert 1 == len(line.splitlines())
        assert "\x1b]" not in line
        assert "\u202e" not in line


def test_json_is_one_object_with_the_same_fields() -> None:
    """For programs; a traceback goes with it."""
    try:
        raise ValueError("a bug")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    fields = json.loads(formatter("json", io.StringIO(), {}).format(made))
    assert ["time", "level", "logger", "message", "trace"] == list(fields)
    assert "ValueError: a bug" in fields["trace"]


def test_of_many_alike_only_the_first_are_written_and_the_rest_is_counted() -> None:
    """The template counts, not what is filled in; after the span the next line says how many were left out."""
    limit = RateLimit(most=2, span=60.0)
    passed = [limit.filter(record("peer %s is lost", n, created=1000.0 + n)) for n in range(5)]
    assert [True, True, False, False, False] == passed
    assert limit.filter(record("another %s", 1, created=1005.0))
    late = record("peer %s is lost", 9, created=1061.0)
    assert limit.filter(late)
    assert "suppressed=3" in formatter("text", io.StringIO(), {}).format(late)


def test_a_flood_of_templates_takes_no_memory_without_end() -> None:
    """A library that logs without templates cannot fill the limiter."""
    limit = RateLimit()
    for n in range(3000):
        limit.filter(record(f"message {n}"))
    assert len(limit._seen) <= 1000
