"""What blocking channels cost: exchanges between two processes under mutual TLS, next to gloo's without any.

    python -m tests.bench.blocking [--no-gloo]

The carriers take turns within one run, so that a busy machine slows all alike: our links, plain TCP with the same two
connections and threads, and gloo. Each measurement is of an exchange, so all bytes go both ways at once, and of one way
alone. Prints one JSON line: medians and best in seconds. `cpu` is the seconds of processor that one side spent on one
exchange, and `cpu one way` those of the sender and of the receiver of one way: a side with a core for each of the two
carries the reciprocal, however busy this machine is. `one core` is what TLS does in memory, in bytes a second.

Where it was written (2 cores of a virtual machine, a kernel without TLS of its own, OpenSSL 3.0, AES-256-GCM): one core
encrypts 2.3e9 and decrypts 2.3e9 bytes a second in memory, and plain TCP takes 0.1 to 0.2 s of the sender's core and
0.3 to 0.4 s of the receiver's for 1e9 bytes. Our links take 0.55 and 0.95 s: with a core for each way of each party
that is 1.05e9 bytes a second each way, and with both parties on two cores at most 0.65e9, where plain gloo has 0.75e9
to 0.93e9.
Tried, and no faster in processor time: records batched through memory BIOs and sent or received by the 64 KiB to 1 MiB
(copies cost what system calls save), SO_RCVLOWAT, fixed socket buffers of 128 KiB to 4 MiB. The kernel takes half of
what is left, ciphers a third.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, cast

from mesh.authority import Authority
from mesh.contracts import Address
from mesh.identity import Identity, server_name
from mesh.ids import PeerId, SessionId
from mesh.transport.blocking import Links, Listener

SIZES = {8: 2000, 64 * 2**10: 200, 64 * 2**20: 3}
ROUNDS = 5
ROSTER = list[tuple[PeerId, Address]]

Exchange = Callable[[int], None]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        for rank in range(2):
            authority.issue(Path(folder) / str(rank))
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(2)]
        parties = [context.Process(target=party, args=(rank, folder, pipes[rank][1])) for rank in range(2)]
        for process in parties:
            process.start()
        for _ in range(2):  # to the links, and to plain sockets
            introduce([ours for ours, _ in pipes])
        results = [ours.recv() for ours, _ in pipes]
        for process in parties:
            process.join()
    print(json.dumps({"bench": "blocking", "unit": "s", "one core": one_core(), **merged(*results)}))


def merged(sender: dict[str, Any], receiver: dict[str, Any]) -> dict[str, Any]:
    """The sender's figures, and what one way cost the receiver."""
    for name, sizes in sender.items():
        for size, figures in sizes.items():
            figures["cpu one way"] += receiver[name][size]["cpu one way"]
    return sender


def introduce(pipes: list[Connection]) -> None:
    roster = [pipe.recv() for pipe in pipes]
    for pipe in pipes:
        pipe.send(roster)


def party(rank: int, folder: str, pipe: Connection) -> None:
    """One of two processes. Only figures and addresses go through `pipe`."""
    identity, listener = Identity.load(Path(folder) / str(rank)), Listener()
    pipe.send((identity.peer, listener.address))
    roster: ROSTER = pipe.recv()
    carriers: dict[str, tuple[Exchange, Exchange]] = {}
    with Links.open(identity, roster, session=SessionId("0" * 32), listener=listener) as links, Wires(pipe) as wires:
        carriers["mesh"] = over_links(links)
        carriers["tcp"] = over_tcp(rank, wires)
        if "--no-gloo" not in sys.argv:
            carriers["gloo"] = over_gloo(rank, folder)
        figures = {name: {str(size): Figures(size) for size in SIZES} for name in carriers}
        for _ in range(ROUNDS):
            for name, (both, one_way) in carriers.items():
                for size in SIZES:
                    figures[name][str(size)].measure(both, one_way)
    pipe.send({name: {size: one.summary() for size, one in sizes.items()} for name, sizes in figures.items()})
    pipe.close()


class Figures:
    """Seconds and CPU seconds of one carrier at one size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.both: list[float] = []
        self.one_way: list[float] = []
        self.cpu: list[float] = []
        self.cpu_one_way: list[float] = []

    def measure(self, both: Exchange, one_way: Exchange) -> None:
        both(self.size)
        cpu, start = time.process_time(), time.perf_counter()
        for _ in range(SIZES[self.size]):
            both(self.size)
        self.both.append((time.perf_counter() - start) / SIZES[self.size])
        self.cpu.append((time.process_time() - cpu) / SIZES[self.size])
        cpu, start = time.process_time(), time.perf_counter()
        for _ in range(SIZES[self.size]):
            one_way(self.size)
        self.one_way.append((time.perf_counter() - start) / SIZES[self.size])
        self.cpu_one_way.append((time.process_time() - cpu) / SIZES[self.size])

    def summary(self) -> dict[str, Any]:
        return {
            "exchange": {"median": statistics.median(self.both), "best": min(self.both)},
            "there and a word back": {"median": statistics.median(self.one_way), "best": min(self.one_way)},
            "cpu": statistics.median(self.cpu),
            "cpu one way": [statistics.median(self.cpu_one_way)],
        }


class Wires:
    """Two plain connections to the other party, one each way."""

    def __init__(self, pipe: Connection) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            pipe.send(server.getsockname())
            addresses = pipe.recv()
            other = next(address for address in addresses if address != server.getsockname())
            self.out = socket.create_connection(other)
            self.into = server.accept()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.out.close()
        self.into.close()


def one_core() -> dict[str, float]:
    """Bytes a second that TLS encrypts and decrypts here, with no socket at all."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        one, two = (authority.issue(Path(folder) / str(rank)) for rank in range(2))
        sender = one.client_context().wrap_bio(back, there, server_hostname=server_name(two.peer))
        receiver = two.server_context().wrap_bio(there, back, server_side=True)
    for end in (sender, receiver, sender, receiver):
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    piece, into, seconds = os.urandom(2**18), memoryview(bytearray(2**18)), [0.0, 0.0]
    for _ in range(400):
        start = time.process_time()
        sender.write(piece)
        between = time.process_time()
        left = into
        while left:
            left = left[cast(int, receiver.read(len(left), left)) :]
        seconds[0] += between - start
        seconds[1] += time.process_time() - between
    return {"encrypts": 400 * 2**18 / seconds[0], "decrypts": 400 * 2**18 / seconds[1]}


def over_tcp(rank: int, wires: Wires) -> tuple[Exchange, Exchange]:
    """What the links do, without TLS, labels and checks."""
    out = {size: memoryview(os.urandom(size)) for size in SIZES}
    into = {size: memoryview(bytearray(size)) for size in SIZES}
    word, queue, done = memoryview(bytearray(1)), SimpleQueue[int](), SimpleQueue[None]()

    def fill(view: memoryview) -> None:
        while view:
            view = view[wires.into.recv_into(view) :]

    def write() -> None:
        while True:
            wires.out.sendall(out[queue.get()])
            done.put(None)

    threading.Thread(target=write, daemon=True).start()

    def both(size: int) -> None:
        if size > 2**16:
            queue.put(size)
        else:
            wires.out.sendall(out[size])
        fill(into[size])
        if size > 2**16:
            done.get()

    def one_way(size: int) -> None:
        if rank == 0:
            wires.out.sendall(out[size])
            fill(word)
        else:
            fill(into[size])
            wires.out.sendall(word)

    return both, one_way


def over_links(links: Links) -> tuple[Exchange, Exchange]:
    peer = links.peers[1 - links.rank]
    out = {size: memoryview(os.urandom(size)) for size in SIZES}
    into = {size: memoryview(bytearray(size)) for size in SIZES}
    word = bytearray(1)

    def both(size: int) -> None:
        links.exchange(peer, out[size], peer, into[size])

    def one_way(size: int) -> None:
        if links.rank == 0:
            links.send(peer, out[size])
            links.receive_into(peer, word)
        else:
            links.receive_into(peer, into[size])
            links.send(peer, word)

    return both, one_way


def over_gloo(rank: int, folder: str) -> tuple[Exchange, Exchange]:
    warnings.simplefilter("ignore")
    import torch
    from torch import distributed

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/gloo", rank=rank, world_size=2)
    out = {size: torch.randint(0, 256, (size,), dtype=torch.uint8) for size in SIZES}
    into = {size: torch.empty(size, dtype=torch.uint8) for size in SIZES}
    word = torch.zeros(1, dtype=torch.uint8)

    def both(size: int) -> None:
        sending = distributed.isend(out[size], 1 - rank)
        distributed.recv(into[size], 1 - rank)
        if sending is not None:
            sending.wait()

    def one_way(size: int) -> None:
        if rank == 0:
            distributed.send(out[size], 1)
            distributed.recv(word, 1)
        else:
            distributed.recv(into[size], 0)
            distributed.send(word, 0)

    return both, one_way


if __name__ == "__main__":
    main()
