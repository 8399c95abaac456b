"""How a system under test is asked: a row a line on its standard input, its figures a line of JSON on its output.

Imports nothing but the standard library, because three environments with little else in common read it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["PARTIES", "Figures", "Side", "collected", "measure", "serve", "settings", "start_parties"]

PARTIES = 3


@dataclass(frozen=True, slots=True)
class Side:
    """What a party's process is told at its start."""

    rank: int
    told: dict[str, Any]
    pipe: Connection


@dataclass(slots=True)
class Figures:
    """One party's figures of one row: a number a repetition, and what the last repetition sent.

    Attributes:
        error: largest distance from plaintext, None where nobody looked.
        scale: largest plaintext number.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    sent: int | None = None
    rounds: int | None = None
    error: float | None = None
    scale: float | None = None


def settings() -> dict[str, Any]:
    """What the conductor asks of this system: `repeats`, `budget` in seconds for a row, and `delay` in seconds."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    return told


def take_output() -> Callable[[dict[str, Any]], None]:
    """A way to answer. What anything else prints goes to standard error from here on."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(line: dict[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")

    return answer


def start_parties(party: Callable[[Side], None], told: list[dict[str, Any]]) -> list[Connection]:
    """Three processes that run `party`, and our ends of their pipes. They die with us."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for rank in range(PARTIES):
        ours, theirs = context.Pipe()
        context.Process(target=_guarded, args=(party, Side(rank, told[rank], theirs)), daemon=True).start()
        theirs.close()
        pipes.append(ours)
    return pipes


def measure(run: Callable[[], Any], meet: Callable[[], None], stop: Callable[[bool], bool]) -> tuple[Figures, Any]:
    """Repeat until enough, from one meeting of all parties to the next. The first run warms up; see `summary`.

    Args:
        meet: returns at no party before all have called it.
        stop: given what this party thinks, whether rank 0 thinks that it is enough.

    Returns:
        The figures, and what the last run gave.
    """
    told, figures, began, made = settings(), Figures(), time.monotonic(), None
    for _ in range(told["repeats"] + 1):
        meet()
        burnt, start = time.process_time(), time.perf_counter()
        made = run()
        meet()
        seconds, cpu = time.perf_counter() - start, time.process_time() - burnt
        figures.seconds.append(seconds)
        figures.cpu.append(cpu)
        if stop(time.monotonic() - began > told["budget"]):
            break
    return figures, made


def summary(parties: list[Figures]) -> dict[str, Any]:
    """Seconds are those of the slowest party; CPU seconds are of all three. A first run counts if it is all."""
    seconds = [max(each) for each in zip(*(party.seconds for party in parties), strict=True)]
    cpu = [sum(each) for each in zip(*(party.cpu for party in parties), strict=True)]
    cold = len(seconds) == 1
    seconds, cpu = (seconds, cpu) if cold else (seconds[1:], cpu[1:])
    errors = [party.error for party in parties if party.error is not None]
    scales = [party.scale for party in parties if party.scale is not None]
    return {
        "seconds": round(statistics.median(seconds), 5),
        "least": round(min(seconds), 5),
        "most": round(max(seconds), 5),
        "repeats": len(seconds),
        "cold": cold,
        "cpu": round(statistics.median(cpu), 5),
        "sent": [party.sent for party in parties],
        "rounds": max((party.rounds for party in parties if party.rounds is not None), default=None),
        "error": float(f"{max(errors):.2g}") if errors else None,
        "scale": float(f"{max(scales):.3g}") if scales else None,
    }


def serve(ask: Callable[[str], list[Figures]]) -> None:
    """Answer rows until there are no more. A row that fails ends us: what state it left nobody knows."""
    answer = take_output()
    answer({"ready": True})
    for line in sys.stdin:
        try:
            answer(summary(ask(line.strip())))
        except (EOFError, OSError, RuntimeError) as error:
            answer({"failed": str(error)[-400:] or type(error).__name__})
            return


def collected(pipes: list[Connection], row: str) -> list[Figures]:
    """Ask all parties for one row. Raises RuntimeError with what a party said that could not do it."""
    for pipe in pipes:
        pipe.send(row)
    figures = []
    for pipe in pipes:
        got = pipe.recv()
        if isinstance(got, str):
            raise RuntimeError(got)
        figures.append(got)
    return figures


def _guarded(party: Callable[[Side], None], side: Side) -> None:
    try:
        party(side)
    except EOFError:
        pass  # the conductor has what it wanted
    except BaseException:
        side.pipe.send(traceback.format_exc()[-1500:])
        raise
