"""What a command prints: JSON, or a table that fits who reads it; and the options that commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from mesh.errors import MeshError

__all__ = ["as_json", "bytes_of", "chosen_node", "emit", "pairs", "rate_of", "seconds_of", "table", "warn"]

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def chosen_node(command: F) -> F:
    """Options that say which of this device's nodes is meant."""
    for option in (
        click.option("--config", type=click.Path(path_type=Path), help="Settings file, instead of the usual one."),
        click.option("--control", type=click.Path(path_type=Path), help="The node's socket."),
        click.option("--state", type=click.Path(path_type=Path), help="The node's state folder."),
    ):
        command = option(command)
    return command


def emit(value: object) -> None:
    """One JSON document on stdout."""
    from mesh.doors.language import encode

    sys.stdout.write(msgspec.json.format(encode(value), indent=2).decode() + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their columns: drawn on a terminal, plain aligned text anywhere else."""
    if sys.stdout.isatty():
        _draw(columns, rows)
        return
    lines = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        sys.stdout.write(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        )


def pairs(items: Sequence[tuple[str, str]]) -> None:
    """Names and values, one a line."""
    width = max(len(name) for name, _ in items)
    for name, value in items:
        sys.stdout.write(f"{name:<{width}}  {value}\n".rstrip(" "))


def warn(error: MeshError | str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"mesh: {error}\n")


def bytes_of(number: float) -> str:
    """1536 as "1.5 kB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def rate_of(speed: float) -> str:
    """Multiply-adds per second, in words."""
    return f"{speed / 1e9:.1f} G/s" if speed >= 1e8 else f"{speed / 1e6:.1f} M/s"


def seconds_of(seconds: float) -> str:
    """A span of time in the unit that suits it."""
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*columns, box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console().print(drawn)
