"""What one hop costs: a frame from one device to another, next to the same bytes over bare sockets.

    python -m tests.bench.hop

Both ends run in one process on one event loop, so a hop's time is the work of both ends and nothing else. The carriers
take turns within one run, so that a busy machine slows all alike: ours, the same frames in aiohttp's WebSockets, and
asyncio's streams with and without TLS. Prints one JSON line; times in seconds.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from mesh.authority import Authority
from mesh.contracts import Address, Channel, Sighting
from mesh.identity import Identity, server_name
from mesh.ids import PeerId, SessionId
from mesh.transport.http import HttpTransport
from mesh.wire import Frame, decode, encode

HOPS = {4 * 2**10: 200, 64 * 2**10: 100, 600 * 2**10: 30}
ROUNDS = 7
HERE = Address("127.0.0.1", 0)


@dataclass
class Carrier:
    """A way for bytes from one end to the other, and its measurements by size."""

    send: Callable[[bytes], Awaitable[None]]
    receive: Callable[[], Awaitable[int]]
    seconds: dict[int, list[float]] = field(default_factory=lambda: {size: [] for size in HOPS})
    cpu: dict[int, float] = field(default_factory=lambda: dict.fromkeys(HOPS, 0.0))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        a, b = authority.issue(Path(folder) / "a"), authority.issue(Path(folder) / "b")
        async with (
            mesh_channel(a, b) as channel,
            websocket(a, b) as socket,
            streams((a, b)) as tls,
            streams() as tcp,
        ):
            carriers = {"mesh": channel, "websocket": socket, "tls": tls, "tcp": tcp}
            for _ in range(ROUNDS):
                for carrier in carriers.values():
                    for size in HOPS:
                        await measure(carrier, size)
    print(json.dumps({"bench": "hop", "unit": "s", **{name: report(carrier) for name, carrier in carriers.items()}}))


async def measure(carrier: Carrier, size: int) -> None:
    """One frame at a time, so that nothing queues."""
    data, times = bytes(size), carrier.seconds[size]
    cpu = time.process_time()
    for _ in range(HOPS[size]):
        async with asyncio.TaskGroup() as tasks:
            arrival = tasks.create_task(arrive(carrier, size))
            await asyncio.sleep(0)
            start = time.perf_counter()
            await carrier.send(data)
        times.append(arrival.result() - start)
    carrier.cpu[size] += time.process_time() - cpu


async def arrive(carrier: Carrier, size: int) -> float:
    if await carrier.receive() != size:
        raise ValueError("a frame arrived cut short")
    return time.perf_counter()


def report(carrier: Carrier) -> dict[str, dict[str, float]]:
    return {str(size): summary(times, carrier.cpu[size]) for size, times in carrier.seconds.items()}


def summary(times: list[float], cpu: float) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=20)
    figures = {"p5": cuts[0], "p50": cuts[9], "p95": cuts[18], "cpu": cpu / len(times)}
    return {name: round(value, 6) for name, value in figures.items()}


@asynccontextmanager
async def mesh_channel(a: Identity, b: Identity) -> AsyncIterator[Carrier]:
    accepted: asyncio.Queue[Channel] = asyncio.Queue()
    done = asyncio.Event()

    async def answer(peer: PeerId, request: Frame) -> Frame:
        return request

    async def accept(session: SessionId, channel: Channel) -> None:
        accepted.put_nowait(channel)
        await done.wait()

    here, there = HttpTransport(a, HERE), HttpTransport(b, HERE)
    async with here.serve(answer, accept), there.serve(answer, accept) as addresses:
        async with await here.dial(Sighting(b.peer, addresses), SessionId("0" * 32)) as near:
            far = await accepted.get()

            async def send(data: bytes) -> None:
                await near.send(Frame((), "bench.bytes", data))

            async def receive() -> int:
                return len((await far.receive()).body)

            yield Carrier(send, receive)
            done.set()


@asynccontextmanager
async def websocket(a: Identity, b: Identity) -> AsyncIterator[Carrier]:
    """As aiohttp has them, from client to server, so masked as they must be."""
    sockets: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
    done = asyncio.Event()

    async def accept(request: web.Request) -> web.WebSocketResponse:
        far = web.WebSocketResponse(compress=False, max_msg_size=2**26)
        await far.prepare(request)
        sockets.put_nowait(far)
        await done.wait()
        return far

    app = web.Application()
    app.router.add_get("/", accept)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HERE.host, 0, ssl_context=b.server_context()).start()
    url, name = f"https://{HERE.host}:{runner.addresses[0][1]}/", server_name(b.peer)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=a.client_context())) as client:
        async with client.ws_connect(url, server_hostname=name, compress=0, max_msg_size=2**26) as near:
            far = await sockets.get()

            async def send(data: bytes) -> None:
                await near.send_bytes(encode(Frame((), "bench.bytes", data)))

            async def receive() -> int:
                return len(decode((await far.receive()).data).body)

            yield Carrier(send, receive)
            done.set()
    await runner.cleanup()


@asynccontextmanager
async def streams(ends: tuple[Identity, Identity] | None = None) -> AsyncIterator[Carrier]:
    """asyncio's own streams with a length before each frame: as little as anyone could do."""
    readers: asyncio.Queue[asyncio.StreamReader] = asyncio.Queue()
    done = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        readers.put_nowait(reader)
        await done.wait()
        writer.close()

    contexts: tuple[ssl.SSLContext | None, ssl.SSLContext | None] = (None, None)
    name = None
    if ends:
        contexts, name = (ends[0].client_context(), ends[1].server_context()), server_name(ends[1].peer)
    server = await asyncio.start_server(accept, HERE.host, 0, ssl=contexts[1], limit=2**20)
    port = server.sockets[0].getsockname()[1]
    _, writer = await asyncio.open_connection(HERE.host, port, ssl=contexts[0], server_hostname=name)
    reader = await readers.get()

    async def send(data: bytes) -> None:
        writer.write(len(data).to_bytes(4, "big") + data)
        await writer.drain()

    async def receive() -> int:
        return len(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))

    try:
        yield Carrier(send, receive)
    finally:
        done.set()
        writer.close()
        server.close()


if __name__ == "__main__":
    asyncio.run(main())
