"""Nobody may hold the door: dribblers, stallers and crowds are cut off, and others are served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.errors import MeshError
from mesh.identity import Identity
from mesh.transport.http import GuardLimits, HttpTransport, Patience
from tests.contract.worlds import issue
from tests.tls.devices import ASK, HERE, Device, ended, knock, serving

SHORT = GuardLimits(handshake=0.4, head=0.4, idle=0.4)
HEAD = b"POST /v1/call HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    return issue(tmp_path_factory.mktemp("identities"), 2)


@asynccontextmanager
async def two(identities: list[Identity], guard: GuardLimits) -> AsyncIterator[tuple[Device, Device]]:
    """The guarded device, and an honest one."""
    async with (
        serving(HttpTransport(identities[0], HERE, guard=guard)) as guarded,
        serving(HttpTransport(identities[1], HERE)) as other,
    ):
        yield guarded, other


@pytest.mark.parametrize("said", [b"", b"P", b"POST /v1/call HTTP/1.1\r\nHost: x\r\n"])
async def test_a_head_must_be_completed(identities: list[Identity], said: bytes) -> None:
    """Whoever does not complete the head of a request is cut off; another peer is answered meanwhile."""
    async with two(identities, SHORT) as (guarded, other):
        reader, writer = await knock(guarded, identities[1].client_context())
        writer.write(said)
        assert ASK.kind == (await other.transport.call(guarded.sighting, ASK)).kind
        assert b"" == await ended(reader)
        writer.close()


async def test_dribbling_is_no_way_to_stay(identities: list[Identity]) -> None:
    """A byte now and then does not lengthen the time there is for a head."""
    async with two(identities, SHORT) as (guarded, _), asyncio.TaskGroup() as tasks:
        reader, writer = await knock(guarded, identities[1].client_context())
        writer.write(b"POST /v1/call HTTP/1.1\r\nX: ")

        async def dribble() -> None:
            while not writer.is_closing():
                writer.write(b"x")
                await asyncio.sleep(0.05)

        dribbling = tasks.create_task(dribble())
        assert b"" == await ended(reader)
        dribbling.cancel()
        writer.close()


async def test_a_stalled_handshake_is_cut_off(identities: list[Identity]) -> None:
    """Whoever connects and does not begin TLS is cut off; another peer is answered meanwhile."""
    async with two(identities, SHORT) as (guarded, other):
        reader, writer = await asyncio.open_connection(guarded.address.host, guarded.address.port)
        assert ASK.kind == (await other.transport.call(guarded.sighting, ASK)).kind
        assert b"" == await ended(reader)
        writer.close()


async def test_an_idle_connection_is_closed(identities: list[Identity]) -> None:
    """After an answer, a connection that is not used again is closed."""
    async with two(identities, SHORT) as (guarded, _):
        reader, writer = await knock(guarded, identities[1].client_context())
        writer.write(HEAD + b"abc")
        assert b"HTTP/1.1 400" in await ended(reader)
        writer.close()


async def test_a_body_must_come(identities: list[Identity]) -> None:
    """Whoever promises a body and does not send it is told so, and no handler waits for it."""
    quick = HttpTransport(identities[0], HERE, patience=Patience(call=0.3))
    async with serving(quick) as device:
        reader, writer = await knock(device, identities[1].client_context())
        writer.write(HEAD)
        assert b"408" in await reader.readline()
        writer.close()


@pytest.mark.parametrize("limits", [GuardLimits(total=3), GuardLimits(per_host=3)], ids=["in all", "from one host"])
async def test_there_is_room_for_so_many(identities: list[Identity], limits: GuardLimits) -> None:
    """One connection more than there is room for is closed at once; when one leaves, another may come."""
    async with two(identities, limits) as (guarded, other):
        context = identities[1].client_context()
        inside = [await knock(guarded, context) for _ in range(3)]
        for _, writer in inside:
            writer.write(HEAD + b"abc")
        for reader, _ in inside:
            assert b"HTTP/1.1 400 Bad Request\r\n" == await reader.readline()

        with pytest.raises(MeshError):
            await other.transport.call(guarded.sighting, ASK)

        inside[0][1].close()
        await inside[0][1].wait_closed()
        async with asyncio.timeout(20):
            while not await answered(other, guarded):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for _, writer in inside:
            writer.close()


async def answered(caller: Device, callee: Device) -> bool:
    try:
        await caller.transport.call(callee.sighting, ASK)
    except MeshError:
        return False
    return True


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.1", b"404"),
        (b"GET /v1/call HTTP/1.1", b"405"),
        (b"GET /v1/sessions/../../etc HTTP/1.1", b"404"),
        (b"GET /v1/sessions/XYZ HTTP/1.1", b"404"),
        (b"GET /v1/sessions/" + b"a" * 65 + b" HTTP/1.1", b"404"),
        (b"GET /v1/sessions/abc HTTP/1.1", b"426"),
        (b"NONSENSE", b"400"),
    ],
)
async def test_only_what_is_offered_is_found(identities: list[Identity], line: bytes, status: bytes) -> None:
    """Every other route, method, session id or upgrade is refused."""
    async with serving(HttpTransport(identities[0], HERE)) as device:
        reader, writer = await knock(device, identities[1].client_context())
        writer.write(line + b"\r\nHost: x\r\n\r\n")
        assert status in await reader.readline()
        assert 0 == device.transport.channels()
        writer.close()


def test_the_defaults_are_three_seconds() -> None:
    """What the tests shorten is otherwise what the design asks for."""
    assert (3.0, 3.0) == (GuardLimits().handshake, GuardLimits().head)
