"""SecretFlow SPU under test: ABY3 over brpc on loopback, a process a party, no TLS.

    python -m tests.bench.rivals.spu_parties SETTINGS

To be run in an environment that has `spu`; see `environments`. The wheel has no distributed driver, so each party
drives `spu.Runtime` itself. Its own profile, which it writes on standard output, says what it sent.
"""

from __future__ import annotations

import os
import re
import socket
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import spu
import spu.libspu as lib
import spu.utils.frontend as frontend

from tests.bench.rivals.delay import relays
from tests.bench.rivals.serving import PARTIES, Figures, Side, measure, serve, settings, start_parties
from tests.bench.rivals.spu_works import Work, work_of

_PROFILE = re.compile(r"send bytes[: ]+(\d+).*?send actions[: ]+(\d+)")
_HOUR = 3_600_000


def main() -> None:
    ports = _free_ports()
    with TemporaryDirectory() as folder:
        told = [
            {"doors": _seen_from(rank, ports, settings()["delay"]), "log": f"{folder}/{rank}"}
            for rank in range(PARTIES)
        ]
        pipes = start_parties(party, told)
        serve(lambda row: _asked(pipes, row))


def party(side: Side) -> None:
    """One of three processes. Told its doors, then for each row a program, its shares, and whether to repeat it."""
    log = os.open(side.told["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    description = lib.link.Desc()
    for number, door in enumerate(side.told["doors"]):
        description.add_party(f"p{number}", door)
    description.recv_timeout_ms = description.http_timeout_ms = _HOUR
    link = lib.link.create_brpc(description, side.rank)
    while True:
        code, taken, made, shares = side.pipe.recv()
        runtime = spu.Runtime(link, _config(profile=True))
        program = lib.Executable(name="f", input_names=taken, output_names=made, code=code)
        for name, held in zip(taken, shares, strict=True):
            runtime.set_var(name, held)
        figures, _ = measure(partial(runtime.run, program), link.barrier, partial(_agreed, link))
        figures.sent, figures.rounds = _profile(Path(side.told["log"]))
        side.pipe.send((figures, [runtime.get_var(name) for name in made]))


def _asked(pipes: list[Any], row: str) -> list[Figures]:
    """Compile and share here, as an owner would, then let the three compute."""
    work: Work = work_of(row)
    taken = [f"in{number}" for number in range(len(work.given))]
    secret = [lib.Visibility.VIS_SECRET] * len(taken)
    program, _ = frontend.compile(
        frontend.Kind.JAX, work.function, work.given, {}, taken, secret,
        lambda made: [f"out{number}" for number in range(len(made))], copts=lib.CompilerOptions(),
    )  # fmt: skip
    hands = spu.Io(PARTIES, _config())
    shares = [hands.make_shares(np.asarray(value), lib.Visibility.VIS_SECRET) for value in work.given]
    names = list(program.input_names), list(program.output_names)
    for rank, pipe in enumerate(pipes):
        pipe.send((program.code, *names, [share[rank] for share in shares]))
    got = []
    for pipe in pipes:
        answer = pipe.recv()
        if isinstance(answer, str):
            raise RuntimeError(answer)
        got.append(answer)
    results = [hands.reconstruct([outputs[place] for _, outputs in got]) for place in range(len(names[1]))]
    expected = jax.tree_util.tree_leaves(jax.jit(work.function)(*work.given))
    pairs = [(np.asarray(a, np.float64), np.asarray(b, np.float64)) for a, b in zip(results, expected, strict=True)]
    figures: list[Figures] = [each for each, _ in got]
    figures[0].error = max(float(np.abs(a - b).max()) for a, b in pairs)
    figures[0].scale = max(float(np.abs(b).max()) for _, b in pairs)
    return figures


def _config(*, profile: bool = False) -> Any:
    config = lib.RuntimeConfig(protocol=lib.ABY3, field=lib.FM64)
    config.max_concurrency = 1
    config.enable_pphlo_profile = profile
    return config


def _agreed(link: Any, enough: bool) -> bool:
    return link.broadcast("1" if enough else "0", 0) in (b"1", "1")


def _profile(log: Path) -> tuple[int | None, int | None]:
    """Bytes and messages of the last run."""
    found = _PROFILE.findall(log.read_text(errors="replace"))
    return (int(found[-1][0]), int(found[-1][1])) if found else (None, None)


def _seen_from(rank: int, ports: list[int], delay: float) -> list[str]:
    """Everybody's address; another party's is as far away as it is to be."""
    others = [number for number in range(PARTIES) if number != rank]
    doors = dict(enumerate(ports))
    if delay:
        away = relays([("127.0.0.1", ports[number]) for number in others], delay)
        doors.update(zip(others, (port for _, port in away), strict=True))
    return [f"127.0.0.1:{doors[number]}" for number in range(PARTIES)]


def _free_ports() -> list[int]:
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(PARTIES)]
    ports: list[int] = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports


if __name__ == "__main__":
    main()
