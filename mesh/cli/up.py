"""`mesh up`: a node in the foreground."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from mesh.cli.screen import as_json
from mesh.config import LOG_FORMATS, LOG_LEVELS, NodeConfig
from mesh.settings import settings

__all__ = ["up"]

log = logging.getLogger(__name__)


@click.command()
@click.option("--state", type=click.Path(path_type=Path), help="Folder of what the node keeps, its identity first.")
@click.option("--control", type=click.Path(path_type=Path), help="Unix socket for commands and programs.")
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file, instead of the usual one.")
@click.option("--port", type=int, help="TCP port for other nodes; 0 takes any free one.")
@click.option("--join-port", type=int, help="TCP port for new devices, where this one holds the authority's key.")
@click.option("--passphrase-file", help="File whose first line unlocks the authority's key.")
@click.option("--listen", multiple=True, metavar="ADDRESS", help="Address to listen at. May be repeated.")
@click.option("--interface", "interfaces", multiple=True, metavar="NAME", help="Network interface. May be repeated.")
@click.option("--peer", "peers", multiple=True, metavar="ID@HOST:PORT", help="A peer to know of. May be repeated.")
@click.option("--discovery/--no-discovery", default=None, help="Whether to find peers, and be found, by mDNS.")
@click.option("--owner", help="Whose device this is.")
@click.option("--memory", metavar="SIZE", help="What to lend at most, such as 512MB.")
@click.option("--threads", type=int, help="Threads that one model may compute with.")
@click.option("--seats", type=int, help="Sessions at once.")
@click.option("--heartbeat", type=float, help="Seconds between pings.")
@click.option("--protocol", "protocols", multiple=True, metavar="NAME", help="What to take part in. May be repeated.")
@click.option("--log-level", type=click.Choice(LOG_LEVELS))
@click.option("--log-format", type=click.Choice(LOG_FORMATS))
@as_json
def up(file: Path | None, as_json: bool, **flags: Any) -> None:
    """Run this device's node in the foreground, until SIGTERM or Ctrl-C.

    Settings come from flags, then MESH_... in the environment, then the settings file, then defaults: see
    `mesh config show`.

    \b
    Examples:
      mesh up
      mesh up --state ./alice --port 0 --interface lo
      mesh up --peer aaaa...@192.0.2.7:7411 --log-format json

    With --json one line is printed when the node is ready: its id, addresses and socket.
    """
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    config = settings(given, file=file).config
    from mesh.logs import begin_logging

    begin_logging(config.log_level, config.log_format, sys.stderr)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(config, as_json))


async def _run(config: NodeConfig, as_json: bool) -> None:
    from mesh.assembly import assembled

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with assembled(config) as inside:
        addresses = [str(address) for address in inside.node.addresses]
        log.info("ready peer=%s addresses=%s control=%s", inside.node.peer, ",".join(addresses), config.control)
        if as_json:
            ready = {"peer": str(inside.node.peer), "addresses": addresses, "control": str(config.control)}
            sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
            sys.stdout.flush()
        _tell_systemd("READY=1")
        await stop.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # whoever asks twice does not want to wait
        log.info("stopping")
        _tell_systemd("STOPPING=1")


def _tell_systemd(state: str) -> None:
    """See sd_notify(3). Nothing happens where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            log.warning("systemd cannot be told %s: %s", state, error)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where the extra `fast` is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
