"""`mesh config`: the settings in force."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from mesh.cli.screen import as_json, chosen_node, emit
from mesh.config import Size, to_toml
from mesh.settings import settings

__all__ = ["config"]


@click.group()
def config() -> None:
    """Look at settings. They come from flags, then MESH_... in the environment, then a file, then defaults.

    \b
    Example:
      mesh config show
    """


@config.command()
@chosen_node
@as_json
def show(state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> None:
    """The settings in force, as a file that gives them again, and where each comes from.

    \b
    Examples:
      mesh config show > ~/.config/mesh/mesh.toml
      MESH_PORT=7500 mesh config show --json
    """
    found = settings({"state": state, "control": control}, file=config)
    if not as_json:
        click.echo(to_toml(found.config, found.origins), nl=False)
        return
    plain: dict[str, object] = msgspec.to_builtins(found.config, enc_hook=_plain)
    emit({name: {"value": value, "from": found.origins[name]} for name, value in plain.items()})


def _plain(value: object) -> object:
    return int(value) if isinstance(value, Size) else str(value)
