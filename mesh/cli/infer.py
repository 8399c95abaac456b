"""`mesh infer`: a model run on a file, here or on several devices."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click

from mesh.cli.screen import as_json, bytes_of, chosen_node, emit, pairs, seconds_of, table, warn
from mesh.config import NodeConfig
from mesh.doors.language import PlanLost, PlanUp, PlanView, Progress, Status
from mesh.errors import BadInput
from mesh.settings import settings
from mesh.tensors import Tensors

__all__ = ["infer"]

_BACKLOG = 16


@dataclass(slots=True)
class _Story:
    """What happened while the file was worked through."""

    quiet: bool
    plans: list[PlanView] = field(default_factory=list)
    losses: list[PlanLost] = field(default_factory=list)

    def hear(self, event: PlanUp | PlanLost | Progress) -> None:
        match event:
            case PlanUp(plan):
                self.plans.append(plan)
                self._say(f"a plan of {len(plan.stages)}: {', '.join(stage.peer.short for stage in plan.stages)}")
            case PlanLost(fault, replayed):
                self.losses.append(event)
                self._say(f"the plan is lost: {fault.message} {replayed} requests are asked again")

    def _say(self, sentence: str) -> None:
        if not self.quiet:
            warn(sentence)


@click.command()
@click.argument("model")
@click.option("--input", "source", required=True, type=click.Path(path_type=Path), help=".npy .npz .png .jpg or .mp4")
@click.option(
    "--mode",
    help="How to run it: local, on this device alone; sharded, over several; private, by three that see nothing.",
)
@click.option("--parts", type=click.IntRange(1, 1000), help="Devices that hold a part each. Default: as many as pay.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the answers: .npz, or .npy for a single output.")
@click.option("--frames", type=click.IntRange(1), help="Stop after so many.")
@click.option(
    "--deadline", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds for each answer."
)
@click.option(
    "--option", "-o", "options", multiple=True, metavar="NAME=VALUE", help="Another field of the job, as JSON."
)
@chosen_node
@as_json
def infer(
    *,
    model: str,
    source: Path,
    mode: str | None,
    parts: int | None,
    out: Path | None,
    frames: int | None,
    deadline: float,
    options: tuple[str, ...],
    state: Path | None,
    control: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Run MODEL on every frame or array in a file, in order, and say how fast it went.

    An .npz file of answers holds one array for each output, with an axis for the frames in front.

    \b
    Examples:
      mesh infer junction --input street.mp4 --mode sharded --parts 3 --out boxes.npz
      mesh infer junction --input photo.jpg --mode local --json
    """
    fields: dict[str, Any] = {} if parts is None else {"parts": parts}
    fields |= dict(_option(word) for word in options)
    if mode == "local":
        fields.pop("parts", None)
    chosen = settings({"state": state, "control": control}, file=config).config
    run = _Run(chosen, model, mode, fields, deadline)
    report = run.through(source, out, frames, quiet=as_json)
    if as_json:
        emit(report)
    else:
        _show(report)


@dataclass(frozen=True, slots=True)
class _Run:
    config: NodeConfig
    model: str
    mode: str | None
    options: Mapping[str, Any]
    deadline: float

    def through(self, source: Path, out: Path | None, frames: int | None, *, quiet: bool) -> dict[str, Any]:
        """Answer everything in `source`; what there is to tell of it."""
        from mesh import blocking
        from mesh.plugins import load_workshop

        story = _Story(quiet)
        with blocking.connect(self.config.control) as node:
            manifest = node.model(self.model)
            workshop = load_workshop(manifest.protocol)
            if out is not None and out.suffix.lower() not in workshop.writes:
                raise BadInput(f"{out}: answers are written to {' or '.join(workshop.writes)} files.")
            before = node.status()
            inputs = _begun(islice(workshop.read(source, manifest), frames))
            began = time.monotonic()
            with (
                node.stream(
                    self.model,
                    mode=self.mode,
                    deadline=self.deadline,
                    backlog=_BACKLOG,
                    report=story.hear,
                    **self.options,
                ) as stream,
                _progress(quiet) as advance,
            ):
                first = time.monotonic()
                answers = _counted(stream.answers(inputs), advance)
                count = workshop.write(out, answers) if out else sum(1 for _ in answers)
                seconds = time.monotonic() - first
            found = stream.statistics
            return {
                "model": self.model,
                "input": str(source),
                "out": str(out) if out else None,
                "answers": count,
                "set_up": first - began,
                "seconds": seconds,
                "rate": count / seconds if seconds else 0.0,
                "latency": _percentiles(stream.latencies),
                "sessions": found.sessions if found else 0,
                "replayed": found.replays if found else 0,
                "plan": story.plans[-1] if story.plans else None,
                "links": _links(before, node.status()),
            }


def _show(report: Mapping[str, Any]) -> None:
    latency = report["latency"]
    pairs(
        [
            ("answers", f"{report['answers']} in {seconds_of(report['seconds'])}, {report['rate']:.1f} a second"),
            ("latency", ", ".join(f"{name} {seconds_of(value)}" for name, value in latency.items()) or "none"),
            ("sessions", f"{report['sessions']}, {report['replayed']} requests asked again"),
            ("written to", report["out"] or "nowhere; use --out FILE.npz"),
        ]
    )
    plan: PlanView | None = report["plan"]
    if plan is not None:
        names = list(dict.fromkeys(name for stage in plan.stages for name in stage.task))
        rows = [
            (stage.peer.short, stage.role, *(_cell(name, stage.task.get(name)) for name in names))
            for stage in plan.stages
        ]
        table(("DEVICE", "ROLE", *(name.upper() for name in names)), rows)
    if report["links"]:
        links = [(peer[:7], bytes_of(sent), bytes_of(received)) for peer, (sent, received) in report["links"].items()]
        table(("LINK TO", "SENT", "RECEIVED"), links)


def _cell(name: str, value: object) -> str:
    if name == "memory" and isinstance(value, int):
        return bytes_of(value)
    if name == "seconds" and isinstance(value, float):
        return seconds_of(value)
    return str(value)


def _links(before: Status, after: Status) -> dict[str, tuple[int, int]]:
    """Bytes sent to and received from each peer meanwhile."""
    links = {}
    for peer, now in after.traffic.items():
        old = before.traffic.get(peer)
        sent, received = now.sent - (old.sent if old else 0), now.received - (old.received if old else 0)
        if sent or received:
            links[str(peer)] = (sent, received)
    return links


def _percentiles(latencies: list[float]) -> dict[str, float]:
    if len(latencies) < 2:
        return {"p50": latencies[0]} if latencies else {}
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98]}


def _begun(inputs: Iterator[Tensors]) -> Iterator[Tensors]:
    """The same, with the first one read: a file that cannot be read is to trouble no other device."""
    return chain(list(islice(inputs, 1)), inputs)


def _counted(answers: Iterator[Tensors], advance: Callable[[], None]) -> Iterator[Tensors]:
    for answer in answers:
        advance()
        yield answer


def _progress(quiet: bool) -> AbstractContextManager[Callable[[], None]]:
    if quiet or not sys.stderr.isatty():
        return nullcontext(lambda: None)
    from mesh.cli.bar import progress_bar

    return progress_bar()


def _option(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals or not name:
        raise BadInput(f"--option {word[:40]!r} is none: write NAME=VALUE, for instance window=8.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
