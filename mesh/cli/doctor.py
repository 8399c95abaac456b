"""`mesh doctor`: what stands in a node's way on this device."""

from __future__ import annotations

import asyncio
import platform
import re
import sys
from collections.abc import AsyncIterator
from importlib.metadata import distributions
from pathlib import Path

import click
import msgspec

from mesh.cli.screen import as_json, chosen_node, emit
from mesh.client import Client
from mesh.config import NodeConfig
from mesh.doctor.findings import Finding, fail, ok, warning, worst
from mesh.errors import ConfigError, MeshError
from mesh.settings import settings

__all__ = ["doctor"]

_COLOUR = {"OK": "green", "WARN": "yellow", "FAIL": "red"}
_EXIT = {"OK": 0, "WARN": 0, "FAIL": 1}


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="Write a file for support: what was found, redacted.")
@chosen_node
@as_json
def doctor(bundle: Path | None, state: Path | None, control: Path | None, config: Path | None, as_json: bool) -> int:
    """Look this device over: clock, keys, certificates, ports, multicast, listed peers, memory, kernel, protocols.

    Each line is OK, WARN or FAIL, with the cause, and with what mends it. Nothing is changed. Exits with 1 where
    anything fails. The bundle holds no keys, no names, no addresses and no ids.

    \b
    Examples:
      mesh doctor
      mesh doctor --bundle support.json
      mesh doctor --json | jq '.[] | select(.level != "OK")'
    """
    chosen = settings({"state": state, "control": control}, file=config).config
    found = asyncio.run(_found(chosen, show=not as_json))
    if bundle is not None:
        _write(bundle, found)
    if as_json:
        emit(found)
    elif not as_json:
        counts = {level: sum(finding.level == level for finding in found) for level in _COLOUR}
        click.echo(", ".join(f"{count} {level}" for level, count in counts.items() if count))
    return _EXIT[worst(found)]


async def _found(config: NodeConfig, *, show: bool) -> list[Finding]:
    found = []
    async for finding in _checks(config):
        found.append(finding)
        if show:
            _show(finding)
    return found


async def _checks(config: NodeConfig) -> AsyncIterator[Finding]:
    from mesh.assembly import binds
    from mesh.doctor.machine import machine
    from mesh.doctor.network import network
    from mesh.doctor.papers import papers

    for finding in papers(config):
        yield finding
    running = False
    try:
        status = await Client(config.control).status()
        running = True
        yield ok("node", f"it runs, for {status.uptime:.0f} s, and sees {status.in_sight} others")
    except MeshError as error:
        yield warning("node", str(error), "mesh up")
    try:
        places = binds(config)
    except ConfigError as error:
        yield fail("listen", str(error), "mesh config show")
        places = ()
    async for finding in network(config, places, running=running):
        yield finding
    for finding in machine(config):
        yield finding
    for finding in _protocols(config):
        yield finding


def _protocols(config: NodeConfig) -> list[Finding]:
    from mesh.plugins import load_protocols
    from mesh.protocol import Means

    try:
        installed = load_protocols(config.protocols, Means(threads=1, memory=0, owner=""))
    except ConfigError as error:
        return [fail("protocols", str(error), "mesh config show")]
    found = [ok("protocols", ", ".join(protocol.name for protocol in installed.protocols) or "none")]
    return found + [warning(f"protocol {name}", why, "see the message") for name, why in installed.missing.items()]


def _show(finding: Finding) -> None:
    level = click.style(f"{finding.level:<4}", fg=_COLOUR[finding.level], bold=finding.level != "OK")
    click.echo(f"{level}  {finding.check}: {finding.said}")
    if finding.cure:
        click.echo(f"      -> {finding.cure}")


_SECRETS = [
    (re.compile(r"\b[a-z2-7]{52}\b"), "<id>"),
    (re.compile(r"\b[a-z2-7]{7}\b(?= of the mesh| believes)"), "<id>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b(?::\d+)?"), "<address>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){2,}[0-9a-f:]*", re.IGNORECASE), "<address>"),
    (re.compile(r"(?<=of the mesh )\S+"), "<mesh>"),
    (re.compile(r"(?<![\w.])/(?:[\w.~-]+/)+[\w.~-]+"), "<path>"),
]


def _redacted(text: str) -> str:
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _write(path: Path, found: list[Finding]) -> None:
    """What helps somebody elsewhere to help, and nothing that says whose device this is."""
    clean = [
        msgspec.structs.replace(
            finding,
            check=re.sub(r"^peer .*", "peer <id>", finding.check),
            said=_redacted(finding.said),
            cure=_redacted(finding.cure),
        )
        for finding in found
    ]
    bundle = {
        "findings": clean,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {each.name: each.version for each in sorted(distributions(), key=lambda each: each.name.lower())},
    }
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(bundle), indent=1))
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}): choose another --bundle.") from error
    sys.stderr.write(f"wrote {path}: look through it before you pass it on\n")
