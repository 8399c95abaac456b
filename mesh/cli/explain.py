"""`mesh explain`: who may learn what, printed from the code that says it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import click
import msgspec

from mesh.cli.screen import as_json, emit, table
from mesh.messages import Message
from mesh.protocol import Protocol

__all__ = ["explain"]

_ONLOOKER = (
    "Everything between devices is TLS 1.3, both sides proved: who listens on the network learns which devices talk, "
    "when, and how many bytes, and not what they say.",
    "By mDNS every device on the same link learns this device's id, its addresses and its port, and nothing else.",
    "The id is the hash of a key, and stays the same for as long as the key is kept.",
)
"""What is true of every protocol, because the transport and the discovery make it so."""


@click.command()
@click.argument("protocol", required=False)
@as_json
def explain(protocol: str | None, as_json: bool) -> None:
    """Who may learn what from PROTOCOL: every message that it may send, what each reveals, and what it promises.

    Without PROTOCOL: which there are, and what nodes say to each other outside of any.

    \b
    Examples:
      mesh explain
      mesh explain sharded
    """
    report = _general() if protocol is None else _particular(protocol)
    if as_json:
        emit(report)
        return
    click.echo(report["about"])
    for title, sentences in (("Promises", report["promises"]), ("Who listens on the network", report["onlooker"])):
        _sentences(title, sentences)
    for title, words in (("Words of this protocol", report["words"]), ("Words of every node", report["control"])):
        if words:
            click.echo(f"\n{title}")
            table(("KIND", "FIELDS", "WHOEVER GETS IT LEARNS"), [_row(word) for word in words])
    if report["protocols"]:
        click.echo(f"\nProtocols: {', '.join(report['protocols'])}. Try `mesh explain {report['protocols'][-1]}`.")


def _general() -> dict[str, Any]:
    from importlib.metadata import entry_points

    from mesh.plugins import PROTOCOLS

    names = sorted(entry_points(group=PROTOCOLS).names)
    return _report("What nodes say to each other before and around any protocol.", (), (), names)


def _particular(name: str) -> dict[str, Any]:
    from mesh.plugins import load_protocol
    from mesh.protocol import Means

    protocol: Protocol[Any, Any, Any] = load_protocol(name, Means())
    module = inspect.getmodule(type(protocol))
    about = (inspect.getdoc(module) or inspect.getdoc(type(protocol)) or protocol.name).partition("\n")[0]
    return _report(about, protocol.promises, protocol.vocabulary, ())


def _report(
    about: str, promises: Iterable[str], words: Iterable[type[Message]], protocols: Iterable[str]
) -> dict[str, Any]:
    from mesh.control import VOCABULARY
    from mesh.inbox import End
    from mesh.membership.words import VOCABULARY as MEMBERSHIP

    return {
        "about": about,
        "promises": list(promises),
        "onlooker": list(_ONLOOKER),
        "words": [_word(word) for word in words],
        "control": [*map(_word, VOCABULARY), *map(_word, MEMBERSHIP), _word(End)],
        "protocols": list(protocols),
    }


def _word(word: type[Message]) -> dict[str, Any]:
    says = (inspect.getdoc(word) or "").partition("\n")[0]
    return {"kind": word.kind, "says": says, "fields": _fields(word), "reveals": word.reveals}


def _fields(word: type[Message]) -> list[str]:
    return [field.name for field in msgspec.structs.fields(word)]


def _row(word: dict[str, Any]) -> tuple[str, ...]:
    return word["kind"], ", ".join(word["fields"]) or "none", word["reveals"]


def _sentences(title: str, sentences: Iterable[str]) -> None:
    found = list(sentences)
    if found:
        click.echo(f"\n{title}")
    for sentence in found:
        click.echo(click.wrap_text(sentence, 100, initial_indent="  - ", subsequent_indent="    "))
