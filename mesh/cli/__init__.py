"""The command line. Each command is a file, imported when it is called, so that `mesh --help` is there at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from mesh.errors import ConfigError, IdentityError, MeshError, first_error

__all__ = ["exit_code", "main", "run"]

FAILURE, TEMPORARY, PERMISSION, CONFIG, INTERRUPTED = 1, 75, 77, 78, 130
"""Exit codes, those of <sysexits.h> where it has one; 2, wrong usage, is click's. Do not restart on 77 and 78."""

_COMMANDS = {
    "init": ("mesh.cli.admission:init", "Found a mesh, with this device as its first."),
    "invite": ("mesh.cli.admission:invite", "Make a token that lets a device in."),
    "join": ("mesh.cli.admission:join", "Join a mesh with a token."),
    "leave": ("mesh.cli.admission:leave", "Leave the mesh for good."),
    "up": ("mesh.cli.up:up", "Run this device's node, until told to stop."),
    "status": ("mesh.cli.status:status", "What this device's node is doing."),
    "peers": ("mesh.cli.status:peers", "Who else is in sight, and what they would lend."),
    "models": ("mesh.cli.models:models", "Add, list, show and remove models."),
    "infer": ("mesh.cli.infer:infer", "Run a model on a file, here or on several devices."),
    "train": ("mesh.cli.train:train", "Train a model on data that only their owners see."),
    "results": ("mesh.cli.results:results", "Answers of others' private jobs, and what others keep for us."),
    "demo": ("", "Several nodes find each other, share a model, and lose one."),
    "explain": ("mesh.cli.explain:explain", "Who may learn what from a protocol."),
    "doctor": ("mesh.cli.doctor:doctor", "What stands in a node's way on this device."),
    "ca": ("mesh.cli.ca:ca", "The authority by hand: sign, issue, revoke."),
    "config": ("mesh.cli.settings:config", "Show the settings in force."),
    "version": ("mesh.cli.version:version", "What is installed here."),
}
"""Where each command is, and its one line of help. One without a place comes from another package."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place, _ = _COMMANDS.get(cmd_name, ("", ""))
        if not place:
            return _plugged(cmd_name)
        module, _, name = place.partition(":")
        command = getattr(import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """A mesh of devices that run models together, with nobody in charge.

    \b
    Example, for a first device; others then `mesh join` with what `mesh invite` prints:
      mesh init --mesh oak-street
      mesh up
    """


def main() -> None:
    """The command `mesh`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. What goes wrong is one line on stderr."""
    try:
        code = cli.main(args=list(arguments), prog_name="mesh", standalone_mode=False)
    except click.ClickException as wrong:
        return _failed(_hint(wrong), wrong.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has seen enough; nothing is left to be said
        return FAILURE
    except (MeshError, BaseExceptionGroup) as failure:
        error = failure if isinstance(failure, MeshError) else first_error(failure)
        return _failed(str(error), exit_code(error))
    return code if isinstance(code, int) else 0


def exit_code(error: MeshError) -> int:
    """What the shell is told: whether to try again, and whom it concerns."""
    if isinstance(error, IdentityError):
        return PERMISSION
    if isinstance(error, ConfigError):
        return CONFIG
    return TEMPORARY if error.retry else FAILURE


def _hint(error: click.ClickException) -> str:
    where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
    return f"{error.format_message()} Try `{where} --help`." if where else error.format_message()


def _failed(sentence: str, code: int) -> int:
    line = " ".join(sentence.split())
    click.echo(f"mesh: {line[:1].lower()}{line[1:]}" if line[1:2].islower() else f"mesh: {line}", err=True)
    return code


def _plugged(name: str) -> click.Command | None:
    from importlib.metadata import entry_points

    from mesh.plugins import COMMANDS, load

    if name not in entry_points(group=COMMANDS).names:
        return None
    command = load(COMMANDS, name)
    if not isinstance(command, click.Command):
        raise ConfigError(f"{name}: what is installed under {COMMANDS} is no command: its package needs mending.")
    return command
