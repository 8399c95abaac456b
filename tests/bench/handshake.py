"""What meeting costs: making an identity, a handshake, a first call and a later one, opening a channel.

    python -m tests.bench.handshake

All ends run in one process on one event loop, so a time is the work of both ends. A bare TLS handshake, encrypted but
with nobody's certificate asked, is measured in the same run. Prints one JSON line; times in seconds.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from mesh.authority import Authority
from mesh.contracts import Address, Channel, Sighting
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.http import HttpTransport
from mesh.wire import Frame

TIMES = 150
HERE = Address("127.0.0.1", 0)
ASK = Frame((), "bench.ask", b"?")


async def answer(peer: PeerId, request: Frame) -> Frame:
    return request


async def accept(session: SessionId, channel: Channel) -> None:
    await channel.send(ASK)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority.create(Path(folder) / "authority", mesh="bench")
        a, b = authority.issue(Path(folder) / "a"), authority.issue(Path(folder) / "b")
        figures = {"issue": issuing(authority, Path(folder)), "load": loading(Path(folder) / "a")}
        figures |= await meeting(a, b)
        figures["bare tls"] = await bare(b)
    print(json.dumps({"bench": "handshake", "unit": "s", **figures}))


def issuing(authority: Authority, folder: Path) -> dict[str, float]:
    times = []
    for number in range(30):
        start = time.perf_counter()
        authority.issue(folder / f"device-{number}")
        times.append(time.perf_counter() - start)
    return summary(times, 0.0)


def loading(folder: Path) -> dict[str, float]:
    times = []
    for _ in range(30):
        start = time.perf_counter()
        Identity.load(folder)
        times.append(time.perf_counter() - start)
    return summary(times, 0.0)


async def meeting(a: Identity, b: Identity) -> dict[str, dict[str, float]]:
    there = HttpTransport(b, HERE)
    async with there.serve(answer, accept) as addresses:
        to = Sighting(b.peer, addresses)

        async def first_call() -> None:
            here = HttpTransport(a, HERE)
            async with here.serve(answer, accept):
                start = time.perf_counter()
                await here.call(to, ASK)
                firsts.append(time.perf_counter() - start)

        firsts: list[float] = []
        cpu = time.process_time()
        for _ in range(TIMES):
            await first_call()
        figures = {"first call, with start and stop": summary(firsts, (time.process_time() - cpu) / TIMES)}

        here = HttpTransport(a, HERE)
        async with here.serve(answer, accept):

            async def dial() -> None:
                channel = await here.dial(to, SessionId("0" * 32))
                await channel.receive()
                await channel.aclose()

            await here.call(to, ASK)
            figures["later call"] = await timed(lambda: here.call(to, ASK))
            figures["channel, with first frame and close"] = await timed(dial)
    return figures


async def bare(identity: Identity) -> dict[str, float]:
    """One end proves who it is, the other nothing, and neither checks more than TLS itself does."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(identity.certificate, identity.key)
    client_side = ssl.create_default_context(cafile=str(identity.root))
    name = f"{identity.peer}.mesh.internal"

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"!")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, HERE.host, 0, ssl=server_side) as server:
        port = server.sockets[0].getsockname()[1]

        async def connect() -> None:
            reader, writer = await asyncio.open_connection(HERE.host, port, ssl=client_side, server_hostname=name)
            await reader.readexactly(1)
            writer.close()
            await writer.wait_closed()

        return await timed(connect)


async def timed(act: Callable[[], Awaitable[object]]) -> dict[str, float]:
    times = []
    cpu = time.process_time()
    for _ in range(TIMES):
        start = time.perf_counter()
        await act()
        times.append(time.perf_counter() - start)
    return summary(times, (time.process_time() - cpu) / TIMES)


def summary(times: list[float], cpu: float) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=20)
    figures = {"p5": cuts[0], "p50": cuts[9], "p95": cuts[18], "cpu": cpu}
    return {name: round(value, 6) for name, value in figures.items()}


if __name__ == "__main__":
    asyncio.run(main())
