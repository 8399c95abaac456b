"""What the search shows on a terminal: who spoke to whom, what came of it, and where anything was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from scenarios.evidence.classifier import CLASSES, Classifier, Shot
from scenarios.evidence.places import Overheard, Verdict

__all__ = ["show_answer", "show_links", "show_verdicts"]


def show_links(console: Console, heard: Overheard) -> None:
    """How many connections between whom, and that all of them were opened."""
    table = Table("from", "to", "connections", title=f"{heard.connections} connections, {len(heard.links):,} bytes")
    for (client, server), count in sorted(heard.pairs.items()):
        table.add_row(client, server, str(count))
    console.print(table)
    console.print(f"Bytes of handshakes that came to nothing: {heard.closed:,}.")


def show_answer(console: Console, classifier: Classifier, shot: Shot, scores: NDArray[Any]) -> dict[str, Any]:
    """What the camera was told, and how far it is from what the model says in the clear."""
    error = float(np.abs(scores - classifier.scores(shot.picture)).max())
    said, truth = CLASSES[int(scores.argmax())], CLASSES[shot.label]
    console.print(
        f"The camera learns: {said}. It was {truth}. Largest distance from the model in the clear: {error:.1e}."
    )
    return {"said": said, "truth": truth, "error": error}


def show_verdicts(console: Console, title: str, verdicts: Sequence[Verdict]) -> None:
    """A line for each place."""
    table = Table("place", "bytes", "found", "planted pieces found again", title=title)
    for one in verdicts:
        found = "; ".join(_told(secret, one) for secret in sorted({each.secret for each in one.found}))
        again = "[green]all[/green]" if not one.missed else f"[red]not {one.missed[0]}[/red]"
        table.add_row(one.place, f"{one.size:,}", found or "[green]nothing[/green]", again)
    console.print(table)


def _told(secret: str, verdict: Verdict) -> str:
    pieces = [each for each in verdict.found if each.secret == secret]
    longest = max(pieces, key=lambda each: each.length)
    return f"{secret}: {longest.length} bytes as {longest.form}" + (f", {len(pieces)} forms" if len(pieces) > 1 else "")
