"""What a check finds."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Finding", "Level", "fail", "ok", "warning", "worst"]

Level = Literal["OK", "WARN", "FAIL"]

_ORDER: tuple[Level, ...] = ("OK", "WARN", "FAIL")


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes:
        check: what was looked at, a word or two.
        said: what was found, a sentence.
        cure: what mends it, best a command; "" where nothing has to be mended.
    """

    level: Level
    check: str
    said: str
    cure: str = ""


def ok(check: str, said: str) -> Finding:
    """All is as it should be."""
    return Finding("OK", check, said)


def warning(check: str, said: str, cure: str) -> Finding:
    """A node runs, and not as well as it could, or not for long."""
    return Finding("WARN", check, said, cure)


def fail(check: str, said: str, cure: str) -> Finding:
    """A node does not run, or is of no use to others."""
    return Finding("FAIL", check, said, cure)


def worst(findings: list[Finding]) -> Level:
    """The worst of them."""
    return max((finding.level for finding in findings), key=_ORDER.index, default="OK")
