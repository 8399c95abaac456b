"""How soon devices see each other: the first peer, and all of them, by multicast DNS on loopback.

    python -m tests.bench.discovery

Each device is a process of its own, as it would be; they start at one moment. Next to them, within one process, two
devices that are up already meet a third. Prints one JSON line; times in seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import time

from mesh.contracts import Address, Sighting
from mesh.discovery.mdns import MdnsDiscovery
from mesh.ids import PeerId

SIZES = (2, 8, 16)
RUNS = 5
LONGEST = 30.0


async def device(number: int, run: str, count: int, start: float) -> None:
    """Be one of `count` devices from `start` on; when did we see one other, and all others?"""
    others = {name(run, other) for other in range(count) if other != number}
    way = MdnsDiscovery(interfaces=["127.0.0.1"])
    await asyncio.sleep(start - time.time())
    begun = time.perf_counter()
    seen: dict[str, float] = {}
    async with way.announce(Sighting(name(run, number), (Address("127.0.0.1", 7000 + number),))):
        async with asyncio.timeout(LONGEST):
            while "all" not in seen:
                known = others & {sighting.peer for sighting in way.sightings()}
                if known:
                    seen.setdefault("first", time.perf_counter() - begun)
                if known == others:
                    seen["all"] = time.perf_counter() - begun
                await asyncio.sleep(0.002)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({**seen, "cpu": usage.ru_utime + usage.ru_stime}), flush=True)
        await asyncio.to_thread(sys.stdin.read)  # until the slowest has seen us too


def name(run: str, number: int) -> PeerId:
    return PeerId.of_key(f"{run} {number}".encode())


async def street(count: int) -> list[dict[str, float]]:
    """Many processes at once."""
    run, start = os.urandom(8).hex(), time.time() + 1.0 + 0.15 * count
    command = [sys.executable, "-m", "tests.bench.discovery", run, str(count), str(start)]
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(*command, str(number), stdin=pipe, stdout=pipe) for number in range(count)
    ]
    seen = [json.loads(await process.stdout.readline()) for process in processes if process.stdout]
    for process in processes:
        await process.communicate(b"")
    return seen


async def newcomer() -> float:
    """When two that are up are seen by a third, in one process."""
    run = os.urandom(8).hex()
    ways = [MdnsDiscovery(interfaces=["127.0.0.1"]) for _ in range(3)]
    here = [Sighting(name(run, number), (Address("127.0.0.1", 7000 + number),)) for number in range(3)]
    known = {here[0].peer, here[1].peer}
    async with ways[0].announce(here[0]), ways[1].announce(here[1]):
        await asyncio.sleep(1.0)
        start = time.perf_counter()
        async with ways[2].announce(here[2]), asyncio.timeout(LONGEST):
            while True:
                if known <= {sighting.peer for sighting in ways[2].sightings()}:
                    return time.perf_counter() - start
                await asyncio.sleep(0.002)


async def main() -> None:
    figures: dict[str, object] = {}
    for count in SIZES:
        met = [each for _ in range(RUNS if count < 16 else 2) for each in await street(count)]
        figures[f"{count} processes"] = {
            what: summary([each[what] for each in met]) for what in ("first", "all", "cpu")
        }
    figures["newcomer sees two"] = summary([await newcomer() for _ in range(10)])
    print(json.dumps({"bench": "discovery", "unit": "s", **figures}))


def summary(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=20)
    return {key: round(value, 4) for key, value in (("p5", cuts[0]), ("p50", cuts[9]), ("p95", cuts[18]))}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run, count, start, number = sys.argv[1:]
        asyncio.run(device(int(number), run, int(count), float(start)))
    else:
        asyncio.run(main())
