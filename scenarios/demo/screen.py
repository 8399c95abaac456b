"""What a person sees of the demo. Knows nothing of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scenarios.demo.figures import Times
from scenarios.demo.report import Outcome, PartView, Seen

__all__ = ["Screen"]


class Screen:
    """Args:
    console: where to; in JSON mode that is stderr, so that stdout holds the report alone.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def title(self, text: str) -> None:
        """What comes next."""
        self._console.print(f"\n[bold]{text}[/bold]")

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, highlight=False)

    def alarm(self, text: str) -> None:
        """Something went wrong, on purpose or not."""
        self._console.print(f"[bold red]{text}[/bold red]", highlight=False)

    def sighting(self, seen: Seen) -> None:
        """A device has seen another one."""
        self._console.print(f"  {seen.seconds:5.2f} s  {seen.device} sees {seen.peer}", highlight=False)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[str], None]]:
        """A bar; call what it gives once for each step, with how things stand."""
        standing = TextColumn("{task.fields[standing]}", style="dim")
        columns = (TextColumn(what), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(), standing)
        with Progress(*columns, console=self._console, refresh_per_second=5) as bar:
            task = bar.add_task(what, total=total, standing="")
            yield lambda standing: bar.update(task, advance=1, standing=standing)

    def plan(self, parts: Sequence[PartView], *, again: bool) -> None:
        """Who holds which part."""
        table = Table(title="The plan, made anew" if again else "The plan", title_justify="left")
        for name in ("device", "id", "segments", "weights", "multiply-adds", "predicted"):
            table.add_column(name, justify="left" if name in ("device", "id") else "right")
        for part in parts:
            first, last = part.segments
            table.add_row(
                part.device,
                part.peer[:7],
                f"{first} to {last - 1}",
                _bytes(part.weights),
                f"{part.multiply_adds / 1e6:,.1f} M",
                f"{part.predicted * 1e3:.1f} ms",
            )
        self._console.print(table)

    def outcome(self, outcome: Outcome) -> None:
        """Everything that was measured."""
        self._console.print(_times_table(outcome))
        self._console.print(_devices_table(outcome))
        self._console.print(_links_table(outcome))
        if outcome.found:
            self._console.print(_found_table(outcome))
        right = outcome.answered - outcome.differing
        style = "green" if outcome.sound else "bold red"
        self._console.print(
            f"[{style}]{right} of {outcome.frames} answers byte for byte those of the whole model; "
            f"{outcome.lost} lost, {outcome.twice} twice. {outcome.killed} was killed after frame "
            f"{outcome.killed_after}: {outcome.replayed} frames were asked again, and the longest silence was "
            f"{outcome.gap:.2f} s.[/{style}]",
            highlight=False,
        )


def _times_table(outcome: Outcome) -> Table:
    table = Table(title="Frames", title_justify="left")
    for name in ("", "frames", "per second", "p50", "p95", "p99", "longest"):
        table.add_column(name, justify="left" if not name else "right")
    rows: list[tuple[str, Times]] = [
        ("one session", outcome.whole),
        (f"{len(outcome.plans[0])} devices", outcome.before),
        ("after the loss", outcome.after),
    ]
    for name, times in rows:
        waits = (times.p50, times.p95, times.p99, times.longest)
        table.add_row(name, str(times.frames), f"{times.rate:.1f}", *(f"{wait * 1e3:.1f} ms" for wait in waits))
    return table


def _devices_table(outcome: Outcome) -> Table:
    table = Table(title="Devices", title_justify="left")
    for name in ("device", "state", "processor time", "memory"):
        table.add_column(name, justify="left" if name in ("device", "state") else "right")
    for device in outcome.devices:
        state = "running" if device.alive else "killed"
        table.add_row(device.device, state, f"{device.cpu:.2f} s", _bytes(device.resident))
    return table


def _links_table(outcome: Outcome) -> Table:
    table = Table(title="Links", title_justify="left")
    table.add_column("from")
    table.add_column("to")
    table.add_column("bytes", justify="right")
    for link in outcome.links:
        table.add_row(link.source, link.target, _bytes(link.bytes))
    return table


def _found_table(outcome: Outcome) -> Table:
    table = Table(title="What was found, of what was really there", title_justify="left")
    for name in ("label", "precision", "recall", "things"):
        table.add_column(name, justify="left" if name == "label" else "right")
    for found in outcome.found:
        table.add_row(found.label, f"{found.precision:.1%}", f"{found.recall:.1%}", f"{found.things:,}")
    return table


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
