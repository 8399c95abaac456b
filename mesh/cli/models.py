"""`mesh models`: the models that this device's node knows by name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from mesh.cli.screen import as_json, bytes_of, chosen_node, emit, pairs, table, warn
from mesh.cli.status import node_of
from mesh.doors.language import ModelView, plain
from mesh.store.catalogue import Manifest, Port

__all__ = ["models"]


class _Adding(click.Command):
    """Takes the options of every workshop that is installed, besides its own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*_workshop_options(), *own]


def _workshop_options() -> list[click.Parameter]:
    from importlib.metadata import entry_points

    from mesh.plugins import WORKSHOPS, load_workshop

    found = {
        option.name: option
        for name in sorted(entry_points(group=WORKSHOPS).names)
        for option in load_workshop(name).options
    }
    return [click.Option([f"--{option.name}"], metavar=option.takes, help=option.purpose) for option in found.values()]


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """Add, list, show and remove models. Without a command: list them.

    \b
    Examples:
      mesh models
      mesh models add junction detector.onnx
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models, here=False, state=None, control=None, config=None, as_json=False)


@models.command("list")
@click.option("--here", is_flag=True, help="Only those of this device; nobody is asked for theirs.")
@chosen_node
@as_json
def list_models(here: bool, state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """The models that the node knows by name, and the private ones that other devices lend: NAME@PEER.

    \b
    Examples:
      mesh models list --json
      mesh models list --here
    """
    client = node_of(state, control, config)

    async def look() -> list[ModelView]:
        return [*await client.models(), *([] if here else await client.lent_models())]

    found = asyncio.run(look())
    if as_json:
        emit(found)
    elif found:
        table(_COLUMNS, [_row(model) for model in found])
    else:
        click.echo("No models yet, here or lent by others. Add one with `mesh models add NAME FILE.onnx`.", err=True)


@models.command(cls=_Adding)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--protocol", help="What is to run it. Default: what reads such files.")
@chosen_node
@as_json
def add(
    *,
    name: str,
    file: Path,
    protocol: str | None,
    state: Path | None,
    control: Path | None,
    config: Path | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Make the model in FILE ready, and let the node keep it as NAME, in place of any other of that name.

    \b
    Examples:
      mesh models add junction detector.onnx
      mesh models add secret detector.onnx --protocol private
      mesh models add fast FastestDet.onnx --image bgr --scale 1/255
      mesh models add yolox yolox_nano.onnx --image bgr --scale 1 --fit corner
      mesh models add secret detector.onnx --protocol private --calibrate typical.npz
      mesh models add half detector.onnx --protocol private --public-until /backbone/stage1/Relu
    """
    given = {option.replace("_", "-"): value for option, value in options.items() if value is not None}
    notices: list[str] = []
    client = node_of(state, control, config)

    async def act() -> ModelView:
        await client.status()  # better to hear now than after a minute's work that there is no node
        return await client.add_model(name, file, protocol=protocol, options=given, report=notices.append)

    view = asyncio.run(act())
    if as_json:
        return emit({**plain(view), "notices": notices})
    for notice in notices:
        warn(notice)
    return table(_COLUMNS, [_row(view)])


@models.command()
@click.argument("name")
@chosen_node
@as_json
def show(name: str, *, state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """All about one model: inputs, outputs, parts, and how a picture becomes its input.

    \b
    Example:
      mesh models show junction
    """
    found = asyncio.run(node_of(state, control, config).model(name))
    if as_json:
        return emit(found)
    return pairs(_facts(found))


@models.command()
@click.argument("name")
@chosen_node
@as_json
def remove(name: str, *, state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """Forget a model, and delete what no other model needs of it.

    \b
    Example:
      mesh models remove junction
    """
    asyncio.run(node_of(state, control, config).remove_model(name))
    if as_json:
        emit({"removed": name})


_COLUMNS = ("MODEL", "PROTOCOL", "SIZE", "PARTS", "INPUTS", "OUTPUTS")


def _row(model: ModelView) -> tuple[str, ...]:
    return (
        f"{model.name}@{model.at[:7]}" if model.at else model.name,
        model.protocol,
        "lent" if model.at else bytes_of(model.size),
        "" if model.at else str(model.blobs),
        _ports(model.inputs),
        _ports(model.outputs),
    )


def _facts(model: Manifest) -> list[tuple[str, str]]:
    sizes = [bytes_of(ref.size) for ref in model.blobs]
    facts = [
        ("model", model.name),
        ("protocol", model.protocol),
        ("lent by", model.at)
        if model.at
        else ("made from", f"{bytes_of(model.source.size)}, SHA-256 {model.source.digest}"),
        ("inputs", _ports(model.inputs)),
        ("outputs", _ports(model.outputs)),
    ]
    if sizes:
        facts.append(("parts", f"{len(sizes)}: {', '.join(sizes)}"))
    for name, note in model.notes.items():
        words = ", ".join(f"{key} {value}" for key, value in note.items()) if isinstance(note, dict) else str(note)
        facts.append((name, words))
    return facts


def _ports(ports: Sequence[Port]) -> str:
    return ", ".join(f"{port.name} {port.dtype}{_shape(port)}" for port in ports)


def _shape(port: Port) -> str:
    return "[" + ",".join("?" if side < 0 else str(side) for side in port.shape) + "]"
