"""`mesh results`: answers that others' private jobs sent to this device, and what other devices keep for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path

import click

from mesh.cli.screen import as_json, bytes_of, chosen_node, emit, seconds_of, table, warn
from mesh.cli.status import node_of
from mesh.errors import BadInput
from mesh.plugins import WORKSHOPS, load_workshop
from mesh.results import Kept
from mesh.workshop import Workshop

__all__ = ["results"]

_KINDS = {
    "answers": "answers, to be read here",
    "elsewhere": "shares, kept for us by",
    "shares": "shares of another's, which nobody here can read",
}


@click.group(invoke_without_command=True)
@click.pass_context
def results(context: click.Context) -> None:
    """Answers that others' private jobs sent here, and answers that others keep for us. Without a command: list them.

    \b
    Examples:
      mesh results
      mesh results save street answers.npz
    """
    if context.invoked_subcommand is None:
        context.invoke(list_results, state=None, control=None, config=None, as_json=False)


@results.command("list")
@chosen_node
@as_json
def list_results(state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """What is kept, for whom, and until when.

    \b
    Example:
      mesh results list --json
    """
    found = asyncio.run(node_of(state, control, config).results())
    if as_json:
        emit(found)
    elif found:
        table(("NAME", "WHOSE JOB", "ANSWERS", "SIZE HERE", "OVER IN", "WHAT"), [_row(kept) for kept in found])
    else:
        click.echo("Nothing is kept. `mesh infer MODEL --receiver PEER` sends answers to PEER.", err=True)


@results.command()
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--from", "peer", default="", help="Whose job it was, where several have used that name: an id.")
@chosen_node
@as_json
def save(
    name: str, out: Path, *, peer: str, state: Path | None, control: Path | None, config: Path | None, as_json: bool
) -> None:
    """Write the answers that came as NAME to the file OUT: .npz, or .npy for a single output.

    \b
    Example:
      mesh results save street answers.npz
    """
    workshop = _writer(out)
    count = workshop.write(out, asyncio.run(node_of(state, control, config).result(name, peer=peer)))
    if as_json:
        emit({"name": name, "answers": count, "out": str(out)})
    else:
        click.echo(f"{count} answers written to {out}.")


@results.command()
@click.argument("name")
@click.option("--from", "peer", default="", help="Whose job it was, where several have used that name: an id.")
@chosen_node
@as_json
def remove(
    name: str, *, peer: str, state: Path | None, control: Path | None, config: Path | None, as_json: bool
) -> None:
    """Delete what is kept as NAME, here and at those who keep a part of it for us.

    \b
    Example:
      mesh results remove street
    """
    failed = asyncio.run(node_of(state, control, config).remove_result(name, peer=peer))
    for error in failed:
        warn(error)
    if as_json:
        emit({"removed": name, "not told": [str(error) for error in failed]})


def _writer(out: Path) -> Workshop:
    found = [load_workshop(name) for name in sorted(entry_points(group=WORKSHOPS).names)]
    for workshop in found:
        if out.suffix.lower() in workshop.writes:
            return workshop
    known = sorted({suffix for workshop in found for suffix in workshop.writes})
    raise BadInput(f"{out}: answers are written to {' or '.join(known) or 'no'} files.")


def _row(kept: Kept) -> tuple[str, ...]:
    left = kept.expires - datetime.now(UTC).timestamp()
    keepers = f" {', '.join(peer[:7] for peer in kept.keepers)}" if kept.keepers else ""
    what = f"{_KINDS.get(kept.kind, kept.kind)}{keepers}"
    return kept.name, kept.peer.short, str(kept.count), bytes_of(kept.size), seconds_of(max(left, 0.0)), what
