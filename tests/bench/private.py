"""Private computation beside what others have: ours, SecretFlow SPU and CrypTen, in turn, in one run.

    python -m tests.bench.rivals.environments        # once: makes the environments of the others
    python -m tests.bench.private [--quick] [--large] [--systems ours,spu] [--delay MS,MS] [ROW ...]

Three parties each, processes on loopback, one thread a party; TLS on ours, none on theirs; inputs and weights secret.
The systems take turns row by row, so that a busy machine slows all alike. A line of JSON for each row and system:
`seconds` from when all parties are ready until the last one is done (median, least and most of `repeats` runs after a
first one; where `cold`, there was time for the first only), `cpu` seconds of all three together, bytes sent by each
party, rounds (ours: exchanges that the busiest party waited for; SPU: messages that it sent; CrypTen: calls of its
communicator), and the largest distance from plaintext. Then one line with what the others take over what ours takes,
in seconds and in CPU seconds, and the load of the machine. On a machine that is not idle, compare CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from tests.bench.rivals.environments import ROOT, python_of
from tests.bench.rivals.works import QUICK, ROWS

SYSTEMS = {"ours": "ours", "spu": "spu_parties", "crypten": "crypten_parties"}
LARGE = "resnet18-224"
FAR = ("relu", "matmul", "softmax", "mlp-1", "lenet-1", "encoder")
"""Rows that are tried with delay unless others are named."""

Line = dict[str, Any]


class System:
    """One system's processes, started when first asked, and again after a row that failed. Use as a context.

    Args:
        delay: seconds that a byte takes between two parties.
        patience: seconds for one row.
    """

    def __init__(self, name: str, *, repeats: int, budget: float, delay: float, patience: float) -> None:
        self.name = name
        self._told = {"repeats": repeats, "budget": budget, "delay": delay}
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None
        self._absent: str | None = None

    def measure(self, row: str) -> Line:
        """Its figures, or `skipped` or `failed` with the reason."""
        if self._process is None and self._absent is None:
            self._start()
        if self._process is None or self._process.stdin is None:
            return {"skipped": self._absent}
        self._process.stdin.write(f"{row}\n")
        self._process.stdin.flush()
        line = self._read()
        if "failed" in line:
            self._stop()
        return line

    def _start(self) -> None:
        python = python_of(self.name)
        if python is None:
            self._absent = "no environment: python -m tests.bench.rivals.environments"
            return
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [python, "-m", f"tests.bench.rivals.{SYSTEMS[self.name]}", json.dumps(self._told)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **threads}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        if "ready" not in (line := self._read()):
            self._absent = line["failed"]
            self._stop()

    def _read(self) -> Line:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        said, end = "", time.monotonic() + self._patience
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            waiting.register(self._process.stderr, selectors.EVENT_READ)
            while (left := end - time.monotonic()) > 0:
                for key, _ in waiting.select(left):
                    if key.fileobj is self._process.stderr:
                        data = os.read(self._process.stderr.fileno(), 2**16)
                        said = (said + data.decode(errors="replace"))[-2000:]
                        if not data:
                            waiting.unregister(self._process.stderr)
                    elif line := self._process.stdout.readline():
                        return dict(json.loads(line))
                    else:
                        return {"failed": said.strip().rpartition("\n")[2] or "it ended without a word"}
        return {"failed": f"nothing within {self._patience:g} s"}

    def _stop(self) -> None:
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()


def main() -> None:
    chosen = _arguments()
    if not chosen.delay_only:
        compare(chosen.rows or (QUICK if chosen.quick else _all(large=chosen.large)), chosen, 0.0)
    for delay in chosen.delay:
        compare(chosen.rows or FAR, chosen, delay / 1000)


def compare(rows: Sequence[str], chosen: argparse.Namespace, delay: float) -> None:
    """Every row on every system, in turn."""
    settings = {"repeats": chosen.repeats, "budget": chosen.budget, "patience": chosen.patience, "delay": delay}
    with ExitStack() as stack:
        systems = [stack.enter_context(System(name, **settings)) for name in chosen.systems]
        for row in rows:
            told = {"bench": "private", "row": row, "delay": delay}
            found = {}
            for system in systems:
                found[system.name] = line = system.measure(row)
                print(json.dumps({**told, "system": system.name, **line}), flush=True)
            print(json.dumps({**told, **_compared(found), "aim": ROWS[row].aim}), flush=True)


def _compared(found: dict[str, Line]) -> Line:
    ours = found.get("ours", {})
    others = {name: line for name, line in found.items() if name != "ours" and "seconds" in line and "seconds" in ours}
    return {
        "times": {name: round(line["seconds"] / ours["seconds"], 1) for name, line in others.items()},
        "times cpu": {name: round(line["cpu"] / ours["cpu"], 1) for name, line in others.items()},
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def _all(*, large: bool) -> list[str]:
    return [row for row in ROWS if large or row != LARGE]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="a few rows, in less than a minute")
    parser.add_argument("--large", action="store_true", help=f"{LARGE} as well")
    parser.add_argument("--systems", type=lambda text: text.split(","), default=list(SYSTEMS))
    parser.add_argument("--delay", type=lambda text: [float(each) for each in text.split(",")], default=[],
                        help="milliseconds one way, for runs after the one without: 1,10,50")  # fmt: skip
    parser.add_argument("--delay-only", action="store_true", help="leave out the run without delay")
    parser.add_argument("--repeats", type=int, default=0, help="default: 7, and 2 if quick")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds after which a row is not repeated")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds after which a row has failed")
    chosen = parser.parse_args()
    chosen.repeats = chosen.repeats or (2 if chosen.quick else 7)
    if unknown := set(chosen.systems) - set(SYSTEMS):
        sys.exit(f"There is no {min(unknown)}: name some of {', '.join(SYSTEMS)}.")
    return chosen


if __name__ == "__main__":
    main()
