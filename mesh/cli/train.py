"""`mesh train`: a model learns from data that nobody but their owners sees."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mesh.cli.screen import as_json, bytes_of, chosen_node, emit, pairs, seconds_of, warn
from mesh.doors.language import PlanLost, PlanUp, PlanView, Progress
from mesh.errors import BadInput

if TYPE_CHECKING:
    from mesh.training import Outcome

__all__ = ["train"]


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="File for the model, where this device is told it: .onnx.")
@click.option("--deadline", type=click.FloatRange(1, 86_400), default=3600.0, show_default=True, help="Seconds in all.")
@chosen_node
@as_json
def train(
    *,
    recipe: Path,
    out: Path | None,
    deadline: float,
    state: Path | None,
    control: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Train the model that RECIPE, a TOML file, describes, on shares of data that stay with their owners.

    Three devices of different owners compute; none of them sees data, gradients or model. The same command again goes
    on from the last checkpoint. `mesh explain private-training` says who learns what.

    \b
    Example of a recipe:
      model = "logistic"            # or linear, perceptron, digits, or `layers` and `loss`
      split = "columns"             # owners have columns of the same rows; or "rows"
      label = "ill"
      epochs = 10
      [[data]]
      peer = "north-clinic"         # an owner, or the beginning of a device's id, or "me"
      table = "patients"            # as `tables` in its settings calls it
      [[data]]
      peer = "south-clinic"
      table = "patients"
      labels = false

    \b
    Then:
      mesh train risk.toml --out risk.onnx
    """
    from mesh.settings import settings

    if out is not None and out.suffix.lower() != ".onnx":
        raise BadInput(f"{out}: models are written to .onnx files.")
    node = settings({"state": state, "control": control}, file=config).config.control
    story = _Story(quiet=as_json)
    began = time.monotonic()
    with story.shown():
        outcome = asyncio.run(_trained(node, recipe, deadline, story))
    if out is not None and ".onnx" not in outcome.files:
        raise BadInput(f"{out} is not written: this device is not among the model's `receivers`.")
    if out is not None:
        out.write_bytes(outcome.files[".onnx"])
    _tell(_report(outcome, story, time.monotonic() - began, out), as_json=as_json)


async def _trained(control: Path, recipe: Path, deadline: float, story: _Story) -> Outcome:
    from mesh.client import connect
    from mesh.training import train as trained

    async with connect(control) as node:
        return await trained(node, recipe, deadline=deadline, report=story.hear)


@dataclass(slots=True)
class _Story:
    """What happened on the way."""

    quiet: bool
    plan: PlanView | None = None
    lost: int = 0
    first: int = 0
    step: int = 0
    total: int = 0
    loss: float | None = None
    seconds: float = 0.0
    sent: int = 0
    rounds: int = 0
    bar: Any = None

    def hear(self, event: PlanUp | PlanLost | Progress) -> None:
        match event:
            case PlanUp(plan):
                self.plan = plan
                self._say(f"a plan of {len(plan.stages)}: {', '.join(stage.peer.short for stage in plan.stages)}")
            case PlanLost(fault, _):
                self.lost += 1
                self._say(f"the plan is lost: {fault.message} It goes on from the last checkpoint.")
            case Progress("Resumed", fields):
                self.first = self.step = fields["step"]
                self.total = fields["total"]
                after = f", after {self.step} that are done" if self.step else ""
                self._say(f"{fields['rows']} rows, {fields['weights']} weights, {self.total} steps{after}")
            case Progress("Advanced", fields):
                self._advance(fields)

    def _advance(self, fields: dict[str, Any]) -> None:
        self.step, self.total = fields["step"], fields["total"]
        self.seconds += fields["seconds"]
        self.sent += fields["sent"]
        self.rounds += fields["rounds"]
        self.loss = self.loss if fields["loss"] is None else fields["loss"]
        if self.bar is not None:
            self.bar.update(0, completed=self.step, total=self.total, told=self._in_words())

    def _in_words(self) -> str:
        loss = "" if self.loss is None else f"loss {self.loss:.4f}, "
        return f"{loss}{self.rounds} rounds, {bytes_of(self.sent)}"

    @contextmanager
    def shown(self) -> Iterator[None]:
        """A bar on a terminal; nothing anywhere else."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as self.bar:
            self.bar.add_task("steps", total=None, told="")
            yield

    def _say(self, sentence: str) -> None:
        if not self.quiet:
            warn(sentence)


def _report(outcome: Outcome, story: _Story, seconds: float, out: Path | None) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "steps": outcome.steps,
        "resumed_after": story.first,
        "seconds": seconds,
        "computing": story.seconds,
        "sent": story.sent,
        "rounds": story.rounds,
        "losses": outcome.losses,
        "sessions": outcome.sessions,
        "out": str(out) if out else None,
        "served": outcome.served or None,
        "plan": story.plan,
    }


def _tell(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(report)
        return
    losses = report["losses"]
    served = (
        report["served"] and f"{report['served']}, as shares: mesh infer {report['served']} --mode private --input ..."
    )
    pairs(
        [
            ("trained", f"{report['name']}, {report['steps']} steps in {seconds_of(report['seconds'])}"),
            ("computing", f"{seconds_of(report['computing'])}, {report['rounds']} rounds, {bytes_of(report['sent'])}"),
            ("loss", f"{losses[0][1]:.4f} at first, {losses[-1][1]:.4f} at last" if losses else "not told"),
            ("sessions", str(report["sessions"])),
            ("written to", report["out"] or "nowhere; use --out FILE.onnx where this device receives the model"),
            *([("kept", served)] if served else []),
        ]
    )
