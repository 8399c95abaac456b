"""CrypTen's API on our tensors over mutual TLS, next to CrypTen's own type over gloo without any: three parties each.

    python -m tests.bench.crypten_bridge [--rounds N] [NAME ...]

The same script runs at three processes of ours and at three of theirs, which take turns, so that a busy machine slows
both alike. Prints a line of JSON for each work: median seconds from barrier to barrier at rank 0 of both, the
processor's seconds there, and the largest error against plaintext. CrypTen's provider is its default, TFP, which is its
fastest and lets rank 0 read everything.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORKS = ("relu-1m", "max-pooling", "softmax", "mlp-1", "mlp-128", "lenet-1", "lenet-32", "encoder", "mlp-training")
REPEATS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(WORKS), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    if chosen.names[:1] == ["party"]:
        party(chosen.names[1:])
        return
    for name in chosen.names:
        figures: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
        for _ in range(chosen.rounds):
            figures["ours"].append(ours(name))
            figures["theirs"].append(theirs(name))
        line = {side: median(rows) for side, rows in figures.items()}
        ratio = {kind: round(line["theirs"][kind] / line["ours"][kind], 1) for kind in ("seconds", "cpu")}
        load = round(os.getloadavg()[0], 1)
        print(json.dumps({"bench": "crypten_bridge", "work": name, **line, "ratio": ratio, "load": load}), flush=True)


def median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {kind: float(f"{statistics.median(row[kind] for row in rows):.3g}") for kind in rows[0]}


def ours(name: str) -> dict[str, float]:
    from scenarios.hospitals.launch import run_at_all

    ended = run_at_all(3, [str(Path(__file__)), "party", name])
    return report([device.stdout for device in ended], ended[0].stderr)


def theirs(name: str) -> dict[str, float]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"WORLD_SIZE": "3", "DISTRIBUTED_BACKEND": "gloo", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    settings |= {"RENDEZVOUS": f"tcp://127.0.0.1:{port}", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-P", str(Path(__file__)), "party", name],
            env={**os.environ, **settings, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    said = [process.communicate(timeout=900) for process in running]
    return report([out for out, _ in said], said[0][1])


def report(outputs: list[str], errors: str) -> dict[str, float]:
    for line in outputs[0].splitlines():
        if line.startswith("{"):
            figures: dict[str, float] = json.loads(line)
            return figures
    raise SystemExit(errors[-3000:])


def party(names: list[str]) -> None:
    """What each of the three does; rank 0 reports."""
    import torch

    from protocols.smpc.crypten_bridge.converter import mend_converter
    from protocols.smpc.crypten_bridge.names import crypten

    torch.set_num_threads(1)
    mend_converter()
    crypten.init()
    place = crypten.communicator.get()
    for name in names:
        run, expected = work(name)
        out = run()
        error = 0.0 if expected is None else float((out.get_plain_text() - expected).abs().max())
        seconds, cpu = [], []
        for _ in range(REPEATS):
            place.barrier()
            start, spent = time.perf_counter(), time.process_time()
            run()
            place.barrier()
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - spent)
        figures = {"seconds": statistics.median(seconds), "cpu": statistics.median(cpu), "error": error}
        if place.get_rank() == 0:
            print(json.dumps(figures), flush=True)


def work(name: str) -> tuple[Callable[[], Any], Any]:
    """What is measured, and what plaintext gives."""
    import torch

    from protocols.smpc.crypten_bridge.names import crypten
    from tests.unit.protocols.smpc.crypten_bridge import zoo

    torch.manual_seed(0)

    def simple(x: Any, function: Callable[[Any], Any], plain: Callable[[Any], Any]) -> tuple[Callable[[], Any], Any]:
        secret = crypten.cryptensor(x)
        return (lambda: function(secret)), plain(x)

    if name == "relu-1m":
        return simple(10 * torch.rand(2**20) - 5, lambda x: x.relu(), lambda x: x.relu())
    if name == "max-pooling":
        planes = 10 * torch.rand(1, 64, 64, 64) - 5
        return simple(planes, lambda x: x.max_pool2d(2, stride=2), lambda x: torch.nn.functional.max_pool2d(x, 2))
    if name == "softmax":
        return simple(6 * torch.rand(64, 1000), lambda x: x.softmax(dim=1), lambda x: x.softmax(dim=1))
    if name == "encoder":
        return encoder()
    batch = int(name.rpartition("-")[2]) if name[-1].isdigit() else 128
    if name.startswith("lenet"):
        return network(zoo.LeNet(), torch.rand(batch, 1, 28, 28))
    return network(zoo.perceptron(784, 128, 128, 10), torch.rand(batch, 784), training=name.endswith("training"))


def encoder() -> tuple[Callable[[], Any], Any]:
    import torch

    from protocols.smpc.crypten_bridge.names import crypten
    from tests.unit.protocols.smpc.crypten_bridge import zoo

    x, weights = 3 * torch.randn(64, 128), zoo.encoder_parameters()
    secret, hidden = crypten.cryptensor(x), {key: crypten.cryptensor(value) for key, value in weights.items()}

    def run() -> Any:
        with crypten.no_grad():
            return zoo.encoder_private(zoo.encoder_private(secret, hidden), hidden)

    return run, zoo.encoder_plain(zoo.encoder_plain(x, weights), weights)


def network(model: Any, x: Any, *, training: bool = False) -> tuple[Callable[[], Any], Any]:
    import torch

    from protocols.smpc.crypten_bridge.names import crypten

    private, secret = crypten.nn.from_pytorch(model, torch.zeros_like(x)).encrypt(), crypten.cryptensor(x)
    if not training:
        private.eval()
        return (lambda: private(secret)), model(x).detach()
    private.train()
    labels = crypten.cryptensor(torch.nn.functional.one_hot(torch.randint(10, (len(x),)), 10).float())
    optimizer = crypten.optim.SGD(private.parameters(), lr=0.1, momentum=0.9)
    criterion = crypten.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        criterion(private(secret), labels).backward()
        optimizer.step()

    return step, None


if __name__ == "__main__":
    main()
