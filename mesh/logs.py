"""What a node writes down: one line an event, as key=value or JSON, never too many alike, and never a payload.

auto      on a terminal short and coloured, where stderr is the journal as "journal", otherwise "text"
text      time=2026-03-01T12:00:00.123Z level=info logger=mesh.desk message="declined peer=abcdefg"
json      the same fields as one JSON object
journal   without time, which the journal adds, and with the priority in front: <6>level=info ...
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from mesh.config import LogFormat, LogLevel

__all__ = ["RateLimit", "begin_logging", "formatter"]

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_COLOUR = {logging.DEBUG: "2", logging.INFO: "36", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31;1"}
_LOUD = ("aiohttp", "asyncio", "zeroconf")
"""Libraries that log what peers and the network do to them; only their warnings are of use to a person."""

_MOST = 20
_SPAN = 60.0
_MOST_TEMPLATES = 1000


def begin_logging(
    level: LogLevel, form: LogFormat, stream: TextIO, *, environ: Mapping[str, str] | None = None
) -> None:
    """Send this process's log lines to `stream`, in place of wherever they went before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(form, stream, os.environ if environ is None else environ))
    handler.addFilter(RateLimit())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)


def formatter(form: LogFormat, stream: TextIO, environ: Mapping[str, str]) -> logging.Formatter:
    """The formatter for `form`; "auto" looks at where `stream` leads."""
    if form == "json":
        return _Json()
    if form == "journal" or (form == "auto" and _is_journal(stream, environ)):
        return _Pairs(journal=True)
    if form == "auto" and stream.isatty():
        return _Terminal()
    return _Pairs(journal=False)


class RateLimit(logging.Filter):
    """Lets through so many records of one logger and template in a span of time; the next one says how many were not.

    The template counts, not the filled-in message: what a peer can vary must not let it fill our disk.

    Args:
        most: records per span. Raising it lets a misbehaving peer write that many more lines.
        span: seconds.
    """

    def __init__(self, most: int = _MOST, span: float = _SPAN) -> None:
        super().__init__()
        self._most = most
        self._span = span
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = (record.name, str(record.msg))
        since, count = self._seen.get(key, (record.created, 0))
        suppressed = 0
        if record.created - since >= self._span:
            suppressed, since, count = max(0, count - self._most), record.created, 0
        if key not in self._seen and len(self._seen) >= _MOST_TEMPLATES:
            self._seen.clear()  # only somebody who logs without templates gets here
        self._seen[key] = since, count + 1
        if suppressed:
            record.suppressed = suppressed
        return count < self._most


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"time": _time(record), **_fields(self, record)})


class _Pairs(logging.Formatter):
    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{name}={_word(value)}" for name, value in _fields(self, record).items())
        return f"<{_PRIORITY.get(record.levelno, 5)}>{line}" if self._journal else f"time={_time(record)} {line}"


class _Terminal(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(self, record)
        clock, level = datetime.fromtimestamp(record.created).strftime("%H:%M:%S"), fields["level"]
        more = "".join(f" {name}={_word(fields[name])}" for name in ("suppressed", "trace") if name in fields)
        message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in record.getMessage())
        return f"\x1b[2m{clock}\x1b[0m \x1b[{_COLOUR.get(record.levelno, '0')}m{level:<7}\x1b[0m {message}{more}"


def _fields(form: logging.Formatter, record: logging.LogRecord) -> dict[str, str | int]:
    fields: dict[str, str | int] = {
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    if suppressed := getattr(record, "suppressed", 0):
        fields["suppressed"] = suppressed
    if record.exc_info:
        fields["trace"] = form.formatException(record.exc_info)
    return fields


def _word(value: str | int) -> str:
    """Bare where that is clear, otherwise quoted, so that no content can begin a new line or field."""
    text = str(value)
    bare = text and text.isprintable() and not set(text) & set(' "=')
    return text if bare else json.dumps(text, ensure_ascii=not text.isprintable())


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether `stream` is the journal: systemd names the device and inode of the socket that it gave us."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
