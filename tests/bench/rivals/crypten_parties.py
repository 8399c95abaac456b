"""CrypTen 0.4.1 under test: three processes over gloo on loopback, no TLS, triples from its default provider.

    python -m tests.bench.rivals.crypten_parties SETTINGS

To be run in an environment that has `crypten`; see `environments`. That default, TFP, lets the first party open every
secret; it is what is fastest there, so it is what ours is compared with.
"""

from __future__ import annotations

import functools
import os
import socket
import sys
import warnings
from functools import partial
from typing import Any

from tests.bench.rivals.serving import PARTIES, Figures, Side, collected, measure, serve, settings, start_parties


def main() -> None:
    if settings()["delay"]:
        raise SystemExit("gloo's parties tell each other ports of their own choice, so no relay can stand between them")
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    pipes = start_parties(party, [{"port": port}] * PARTIES)
    serve(partial(collected, pipes))


def party(side: Side) -> None:
    """One of three processes."""
    warnings.simplefilter("ignore")
    os.environ.update(RANK=str(side.rank), WORLD_SIZE=str(PARTIES), GLOO_SOCKET_IFNAME="lo")
    os.environ.update(DISTRIBUTED_BACKEND="gloo", RENDEZVOUS=f"tcp://127.0.0.1:{side.told['port']}")
    import torch
    from torch.onnx._internal.torchscript_exporter import registration

    torch.set_num_threads(1)
    sys.modules["torch.onnx._internal.registration"] = registration  # where crypten looks for it
    torch.onnx.export = functools.partial(torch.onnx.export, dynamo=False)  # it reads no graph of the newer exporter
    import crypten
    import crypten.communicator
    from crypten.config import cfg

    crypten.init()
    cfg.communicator.verbose = True  # it then counts
    while True:
        side.pipe.send(_measured(side.pipe.recv(), crypten.communicator.get()))


def _measured(row: str, communicator: Any) -> Figures:
    from tests.bench.rivals.crypten_works import work_of

    run, expected = work_of(row)

    def counted() -> Any:
        communicator.reset_communication_stats()
        return run()

    def meet() -> None:
        counts.append(communicator.get_communication_stats())
        communicator.barrier()

    counts: list[dict[str, Any]] = []
    figures, made = measure(counted, meet, lambda enough: bool(communicator.broadcast_obj(enough, 0)))
    figures.sent, figures.rounds = int(counts[-1]["bytes"]), int(counts[-1]["rounds"])
    if expected is not None:
        # Not get_plain_text: its decoding is off by one for some negative numbers.
        distance = (made.reveal().double() / made.encoder.scale - expected).abs().max().item()
        figures.error, figures.scale = distance, expected.abs().max().item()
    return figures


if __name__ == "__main__":
    main()
