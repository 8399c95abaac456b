"""`mesh infer`: a model run on a file, here or on several devices."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mesh.cli.screen import as_json, bytes_of, chosen_node, emit, pairs, seconds_of, table, warn
from mesh.cli.story import Spent, Story
from mesh.config import NodeConfig
from mesh.doors.language import PlanView, Status
from mesh.errors import BadInput
from mesh.settings import settings
from mesh.store.catalogue import Manifest
from mesh.tensors import Tensor, Tensors
from mesh.workshop import Reference, Workshop

if TYPE_CHECKING:
    from mesh.blocking import Client

__all__ = ["infer"]

_BACKLOG = 16


@click.command()
@click.argument("model")
@click.option("--input", "source", required=True, help=".npy .npz .png .jpg or .mp4; kept:NAME for kept answers.")
@click.option(
    "--mode",
    help="How to run it: local, on this device alone; sharded, over several; private, by three that see nothing.",
)
@click.option("--parts", type=click.IntRange(1, 1000), help="Devices that hold a part each. Default: as many as pay.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the answers: .npz, or .npy for a single output.")
@click.option(
    "--receiver",
    "receivers",
    multiple=True,
    metavar="PEER",
    help="Who is told the answers of a private model, in place of this device: an id, `me`, or `shares` to keep them "
    "with those who computed. May be repeated.",
)
@click.option("--as", "name", help="What receivers, or keepers, call the answers. Default: the model's name.")
@click.option("--check", type=click.Path(path_type=Path), help="The model's own file, to compare the answers with.")
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
    source: str,
    mode: str | None,
    parts: int | None,
    out: Path | None,
    receivers: tuple[str, ...],
    name: str | None,
    check: Path | None,
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
      mesh infer digits@k3x7q2m --input digit.npy --mode private --receiver w5fz2ja --as street
    """
    fields: dict[str, Any] = {} if parts is None else {"parts": parts}
    fields |= dict(_option(word) for word in options)
    if receivers or name:
        fields |= {"receiver": receivers, "name": name or model.partition("@")[0]}
    if mode == "local":
        fields.pop("parts", None)
    chosen = settings({"state": state, "control": control}, file=config).config
    run = _Run(chosen, model, mode, fields, deadline)
    report = run.through(source, out, check=check, frames=frames, quiet=as_json)
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

    def through(
        self, source: str, out: Path | None, *, check: Path | None, frames: int | None, quiet: bool
    ) -> dict[str, Any]:
        """Answer everything in `source`; what there is to tell of it."""
        from mesh import blocking
        from mesh.plugins import load_workshop

        story = Story((lambda _sentence: None) if quiet else warn)
        with blocking.connect(self.config.control) as node:
            manifest = node.model(self.model)
            workshop = load_workshop(manifest.protocol)
            self._expect_answers(out, check, workshop.writes)
            compare = workshop.reference(check, manifest) if check else None
            held, inputs = _inputs(node, workshop, source, manifest)
            inputs = _begun(islice(inputs, frames))
            before, began, errors = node.status(), time.monotonic(), list[float]()
            with (
                node.stream(
                    self.model,
                    mode=self.mode,
                    deadline=self.deadline,
                    backlog=_BACKLOG,
                    report=story.hear,
                    progress=bool(manifest.kept or manifest.at),
                    **{**self.options, **held},
                ) as stream,
                _progress(quiet) as advance,
            ):
                first = time.monotonic()
                asked: deque[Tensors] = deque()
                answers = _counted(stream.answers(_noted(inputs, asked if compare else None)), advance)
                if compare is not None:
                    answers = _compared(answers, asked, compare, errors)
                count = workshop.write(out, answers) if out else sum(1 for _ in answers)
                seconds = time.monotonic() - first
            found = stream.statistics
            return {
                "model": self.model,
                "input": source,
                "out": str(out) if out else None,
                "answers": count,
                "set_up": first - began,
                "seconds": seconds,
                "rate": count / seconds if seconds else 0.0,
                "latency": _percentiles(stream.latencies),
                "sessions": found.sessions if found else 0,
                "replayed": found.replays if found else 0,
                "plan": story.plans[-1] if story.plans else None,
                "parties": {peer: asdict(spent) for peer, spent in story.spent.items()},
                "told": story.told,
                "name": self.options.get("name") if self.options.get("receiver") else None,
                "largest_error": max(errors, default=None) if compare else None,
                "links": _links(before, node.status()),
            }

    def _expect_answers(self, out: Path | None, check: Path | None, writes: Sequence[str]) -> None:
        """Raises BadInput: answers are wanted here that go elsewhere, or into a file of no kind that is written."""
        if out is not None and out.suffix.lower() not in writes:
            raise BadInput(f"{out}: answers are written to {' or '.join(writes)} files.")
        receivers = self.options.get("receiver")
        if receivers and "me" not in receivers and (out or check):
            raise BadInput(
                f"{'--out' if out else '--check'} needs the answers, and only {', '.join(receivers)} is to have them: "
                "add --receiver me, or have the receiver run `mesh results save`."
            )


def _inputs(
    node: Client, workshop: Workshop, source: str, manifest: Manifest
) -> tuple[dict[str, Any], Iterator[Tensors]]:
    """What a job on them needs to know, and the inputs: those in a file, or numbers of answers that others keep."""
    word, kept, name = source.partition("kept:")
    if word or not kept:
        return {}, workshop.read(Path(source), manifest)
    counts = [
        found.count for found in node.results() if found.kind == "elsewhere" and found.name == name.partition(":")[0]
    ]
    if not counts or len(manifest.inputs) != 1:
        why = "no such answers are kept: see `mesh results`" if not counts else "the model has several inputs"
        raise BadInput(f"{source}: {why}.")
    port = manifest.inputs[0].name
    numbers = ({port: Tensor("int64", (), memoryview(at.to_bytes(8, "little")))} for at in range(counts[0]))
    return {"held": {port: name}}, numbers


def _show(report: Mapping[str, Any]) -> None:
    latency = report["latency"]
    facts = [
        ("answers", f"{report['answers']} in {seconds_of(report['seconds'])}, {report['rate']:.1f} a second"),
        ("latency", ", ".join(f"{name} {seconds_of(value)}" for name, value in latency.items()) or "none"),
        ("sessions", f"{report['sessions']}, {report['replayed']} requests asked again"),
        ("written to", report["out"] or _elsewhere(report)),
    ]
    if report["largest_error"] is not None:
        facts.append(("largest error", f"{report['largest_error']:.2g}, against the model's own file"))
    pairs(facts)
    if report["parties"]:
        rows = [_spending(peer, Spent(**spent)) for peer, spent in report["parties"].items()]
        table(("PARTY", "ANSWERS", "SECONDS", "SENT FOR EACH", "ROUNDS FOR EACH"), rows)
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


def _elsewhere(report: Mapping[str, Any]) -> str:
    """Where the answers are, if they are not in a file here."""
    told = [f"{peer[:7]}, as {report['name']!r}" for peer in report["told"]]
    if told or report["name"]:
        return (
            "nowhere here; told to " + "; ".join(told) if told else f"nowhere; kept by the three as {report['name']!r}"
        )
    return "nowhere; use --out FILE.npz"


def _spending(peer: str, spent: Spent) -> tuple[str, ...]:
    each = max(spent.answers, 1)
    return (
        peer[:7],
        str(spent.answers),
        seconds_of(spent.seconds),
        bytes_of(spent.sent / each),
        f"{spent.rounds / each:.0f}",
    )


def _cell(name: str, value: object) -> str:
    if name == "memory" and isinstance(value, int):
        return bytes_of(value)
    if name == "seconds" and isinstance(value, float):
        return seconds_of(value)
    return "" if value is None else str(value)


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


def _noted(inputs: Iterator[Tensors], asked: deque[Tensors] | None) -> Iterator[Tensors]:
    for tensors in inputs:
        if asked is not None:
            asked.append(tensors)
        yield tensors


def _compared(
    answers: Iterator[Tensors], asked: deque[Tensors], compare: Reference, errors: list[float]
) -> Iterator[Tensors]:
    for answer in answers:
        errors.append(compare(asked.popleft(), answer))
        yield answer


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
