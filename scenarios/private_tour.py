"""A camera's frame, classified by somebody else's model on three other devices; and then a search for both.

    python -m scenarios.private_tour [--json]

Five nodes, each a process of its own owner, on a network of their own that is listened to from the first packet on.
What is looked for: the picture, the model's weights and the answer, as numbers in any form. Where: on every link, those
of boxes included; in what each single device is sent, decrypted with its own keys; in its log; in every file that it
keeps. Then the same search where it must find something: pieces planted in a copy of each place, and the same frame
sent through the same devices by a protocol that is not private. Needs Linux; no rights but to make a namespace.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from rich.console import Console

from mesh.errors import MeshError
from scenarios.evidence.capture import alone
from scenarios.evidence.classifier import CLASSES, Classifier, Shot, fitted, shots
from scenarios.evidence.journey import CAMERA, FRACTION, STUDIO, Journey, travel
from scenarios.evidence.places import Verdict, examined
from scenarios.evidence.screen import show_answer, show_links, show_verdicts
from scenarios.evidence.traces import Traces, forms_of

__all__ = ["tour"]

_NEAR = 0.01  # what scores may differ from those in the clear


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and everything else on stderr.")
def tour(*, as_json: bool) -> None:
    """Classify a frame privately among five devices, and look for it everywhere."""
    try:
        alone("scenarios.private_tour", sys.argv[1:])
        told = _told(Console(stderr=as_json))
    except MeshError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(told)).decode())
    if not told["sound"]:
        raise SystemExit(1)


def _told(console: Console) -> dict[str, Any]:
    console.print("[bold]A model is made: what light does a junction stand in?[/bold]")
    random = np.random.default_rng()
    classifier = fitted(list(shots((0, 1), 3)), random)
    shot = list(shots((7,), 1))[random.integers(len(CLASSES))]
    with tempfile.TemporaryDirectory(prefix="mesh-tour-") as folder:
        private = asyncio.run(travel(Path(folder) / "p", classifier, shot, private=True, console=console))
        control = asyncio.run(travel(Path(folder) / "c", classifier, shot, private=False, console=console))
    show_links(console, private.overheard)
    answer = show_answer(console, classifier, shot, private.scores)
    random_place = np.random.default_rng(0)
    verdicts = examined(private.places, _traces(classifier, shot, private.scores), random_place)
    show_verdicts(console, "What was found of a private job", verdicts)
    openly = examined(_received(control), _traces(classifier, shot, control.scores), random_place)
    show_verdicts(console, "The same frame by a protocol that is not private", openly)
    sound = _clean(verdicts) and answer["error"] < _NEAR and _seen(openly)
    console.print(_sentence(sound))
    return {
        "sound": sound,
        "answer": answer,
        "connections": private.overheard.connections,
        "closed": private.overheard.closed,
        "private": [asdict(verdict) for verdict in verdicts],
        "control": [asdict(verdict) for verdict in openly],
    }


def _traces(classifier: Classifier, shot: Shot, scores: Any) -> Traces:
    """Every form of the three secrets."""
    scaled = (shot.picture.transpose(2, 0, 1).astype(np.float32) / np.float32(255))[None]
    picture = forms_of(shot.picture, FRACTION) | {
        f"{name}, as the model takes it": form for name, form in forms_of(scaled, FRACTION).items()
    }
    weights: dict[str, bytes] = {}
    for number, part in enumerate(classifier.weights):
        turned = {f"weight {number} {name}": form for name, form in forms_of(part, FRACTION).items()}
        weights |= turned
    result = forms_of(scores, FRACTION)
    result |= {f"decimal of number {place}": str(value)[:8].encode() for place, value in enumerate(scores.reshape(-1))}
    return Traces({"picture": picture, "model": weights, "result": result})


def _received(journey: Journey) -> Mapping[str, bytes]:
    """What the camera's helpers are sent; whoever holds the first part is sent the picture."""
    return {f"sent to {name}, decrypted": data for name, data in journey.overheard.received.items() if name != CAMERA}


def _clean(verdicts: list[Verdict]) -> bool:
    """Nothing anywhere but with whose it is; and the search would have found it."""
    own = {(f"files of {STUDIO}", "model")}  # that keeps it, to lend it
    strays = [found for one in verdicts for found in one.found if (one.place, found.secret) not in own]
    return not strays and not any(one.missed for one in verdicts)


def _seen(verdicts: list[Verdict]) -> bool:
    return any("picture" in found.secret for one in verdicts for found in one.found)


def _sentence(sound: bool) -> str:
    if sound:
        return (
            f"[green]Neither {CAMERA}'s picture, nor {STUDIO}'s model, nor the answer is anywhere but at home.[/green]"
        )
    return "[red]Something is where it should not be, or the search cannot be relied on: see above.[/red]"


if __name__ == "__main__":
    tour()
