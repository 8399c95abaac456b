"""What happens to channels and calls when peers stop, stall, break rules, move or come back."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from mesh.contracts import Address, Channel, Sighting
from mesh.errors import ConfigError, FrameTooLarge, MeshError, Misuse, PeerLost, PeerUnreachable
from mesh.identity import Identity
from mesh.ids import PeerId, SessionId
from mesh.transport.framing import length_prefix
from mesh.transport.http import HttpTransport, Patience
from mesh.transport.stream import StreamChannel
from mesh.wire import Frame, Limits, encode
from tests.contract.worlds import echo, issue
from tests.tls.devices import ASK, HERE, SESSION, channel, ended, knock, serving

SHORT_BEAT = 0.2
FEW = Limits(frame=64 * 2**10, call=16 * 2**10)


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> list[Identity]:
    return issue(tmp_path_factory.mktemp("identities"), 3)


def transports(identities: list[Identity], **settings: float) -> tuple[HttpTransport, HttpTransport]:
    a, b = (HttpTransport(identity, HERE, heartbeat=settings.get("heartbeat", 10.0)) for identity in identities[:2])
    return a, b


def stop(end: Channel) -> None:
    """As SIGSTOP would: it reads nothing and says nothing, but its kernel keeps the connection."""
    assert isinstance(end, StreamChannel)
    assert end._transport is not None
    assert end._clock is not None
    end._clock.cancel()
    end._transport.pause_reading()


async def test_a_stopped_peer_is_noticed_by_who_waits(identities: list[Identity]) -> None:
    """A peer that stands still is lost to whoever waits for it, after 1.5 heartbeats."""
    async with channel(*transports(identities, heartbeat=SHORT_BEAT)) as (near, far):
        stop(far)
        with pytest.raises(PeerLost, match="silent"):
            await near.receive()


async def test_a_stopped_peer_is_noticed_by_who_sends(identities: list[Identity]) -> None:
    """Whoever waits to send more than a stopped peer's buffers hold is told, and does not wait for ever."""
    async with channel(*transports(identities, heartbeat=SHORT_BEAT)) as (near, far):
        stop(far)
        with pytest.raises(PeerLost, match="silent"):
            await send_many(near, 100)


async def send_many(end: Channel, count: int) -> None:
    for number in range(count):
        await end.send(Frame((), f"test.{number}", bytes(2**20)))


async def test_closing_on_a_stopped_peer_does_not_wait_for_it(identities: list[Identity]) -> None:
    """Closing ends although the peer never says its last word."""
    async with channel(*transports(identities)) as (near, far):
        stop(far)
        async with asyncio.timeout(20):
            await near.aclose()
        with pytest.raises(PeerLost, match="We closed"):
            await near.receive()


async def test_a_slow_peer_is_not_lost(identities: list[Identity]) -> None:
    """A peer that does not read for many heartbeats, but lives, is waited for; then everything arrives."""
    count = 40
    async with channel(*transports(identities, heartbeat=SHORT_BEAT)) as (near, far), asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send_many(near, count))
        await asyncio.sleep(6 * SHORT_BEAT)
        assert not sending.done()
        assert [f"test.{number}" for number in range(count)] == [(await far.receive()).kind for _ in range(count)]


async def test_an_idle_channel_lives(identities: list[Identity]) -> None:
    """A channel on which nobody speaks, and nobody listens, is still there after many heartbeats."""
    async with channel(*transports(identities, heartbeat=SHORT_BEAT)) as (near, far):
        await asyncio.sleep(6 * SHORT_BEAT)
        await near.send(ASK)
        assert ASK.kind == (await far.receive()).kind


async def test_a_cut_short_frame_breaks_the_channel(identities: list[Identity]) -> None:
    """Cancelled in the middle of a large frame, a send leaves no half a frame to be misread: the channel is over."""
    async with channel(*transports(identities)) as (near, far), asyncio.TaskGroup() as tasks:
        await near.send(ASK)
        sending = tasks.create_task(near.send(Frame((), "test.much", bytes(60 * 2**20))))
        for _ in range(20):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.sleep(0)
        with pytest.raises(PeerLost, match="cut short"):
            await near.send(ASK)
        assert ASK.kind == (await far.receive()).kind
        with pytest.raises(PeerLost):
            await far.receive()


async def test_an_oversized_frame_is_not_sent(identities: list[Identity]) -> None:
    """A frame over our own limit is refused before a byte of it is sent; the channel goes on."""
    near, far = (HttpTransport(identity, HERE, limits=FEW) for identity in identities[:2])
    async with channel(near, far) as (here, there):
        with pytest.raises(FrameTooLarge):
            await here.send(Frame((), "test.much", bytes(FEW.frame)))
        most = Frame((), "k", bytes(FEW.frame - len(encode(Frame((), "k")))))
        for frame in (most, ASK):
            await here.send(frame)
            assert len(frame.body) == len((await there.receive()).body)


async def test_an_oversized_frame_is_not_read(identities: list[Identity]) -> None:
    """A peer that announces a frame over our limit is told nothing and cut off, before the frame has come."""
    far = HttpTransport(identities[1], HERE, limits=FEW)
    async with channel(HttpTransport(identities[0], HERE), far) as (here, there):
        await here.send(ASK)
        await here.send(Frame((), "test.much", bytes(FEW.frame)))
        assert ASK.kind == (await there.receive()).kind
        with pytest.raises(FrameTooLarge, match=str(FEW.frame)):
            await there.receive()
        with pytest.raises(PeerLost):
            await here.receive()


async def test_oversized_calls_are_refused(identities: list[Identity]) -> None:
    """A request over the limit is not sent by us, and not read by who takes less; nor is an answer."""

    async def long_answer(peer: PeerId, request: Frame) -> Frame:
        return Frame((), "test.long", bytes(FEW.call))

    async with (
        serving(HttpTransport(identities[0], HERE)) as a,
        serving(HttpTransport(identities[1], HERE, limits=FEW)) as b,
        serving(HttpTransport(identities[2], HERE), long_answer) as c,
    ):
        long = Frame((), "test.long", bytes(FEW.call))
        with pytest.raises(FrameTooLarge):
            await b.transport.call(a.sighting, long)
        with pytest.raises(MeshError):
            await a.transport.call(b.sighting, long)
        with pytest.raises(FrameTooLarge):
            await b.transport.call(c.sighting, ASK)
        assert ASK.kind == (await a.transport.call(b.sighting, ASK)).kind


async def test_a_request_that_is_no_frame_is_refused(identities: list[Identity]) -> None:
    """Garbage in a well-formed request gets a refusal, not a handler's failure."""
    async with serving(HttpTransport(identities[0], HERE)) as device:
        reader, writer = await knock(device, identities[1].client_context())
        writer.write(b"POST /v1/call HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 7\r\n\r\ngarbage")
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"too few for a frame" in answer
        writer.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwhat",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"SSH-2.0-nonsense\r\n\r\n",
        b"x" * 100_000,
        b"",
    ],
    ids=["redirect", "failure", "no frame", "no length", "too long", "another language", "noise", "silence"],
)
async def test_a_strange_answer_is_an_error_of_ours(identities: list[Identity], answer: bytes) -> None:
    """Whatever a peer answers, a call and a dial end with a MeshError; a redirect is never followed."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    context = identities[1].server_context()
    server = await asyncio.start_server(respond, HERE.host, 0, ssl=context)
    strange = Sighting(identities[1].peer, (Address(*server.sockets[0].getsockname()),))
    async with server, serving(HttpTransport(identities[0], HERE, patience=Patience(call=2.0))) as device:
        with pytest.raises(MeshError):
            await device.transport.call(strange, ASK)
        with pytest.raises(MeshError):
            await device.transport.dial(strange, SESSION)
        assert 0 == device.transport.channels()


async def test_what_comes_with_the_answer_is_not_lost(identities: list[Identity]) -> None:
    """Frames that arrive in one piece with the answer to an upgrade belong to the channel."""
    frame = encode(ASK)

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: veilmesh/1\r\n\r\n"
        writer.write(head + 2 * (length_prefix(len(frame)) + frame))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(respond, HERE.host, 0, ssl=identities[1].server_context())
    eager = Sighting(identities[1].peer, (Address(*server.sockets[0].getsockname()),))
    async with server, serving(HttpTransport(identities[0], HERE)) as device:
        end = await device.transport.dial(eager, SESSION)
        assert [ASK.kind, ASK.kind] == [(await end.receive()).kind for _ in range(2)]


async def test_addresses_are_tried_in_order(identities: list[Identity]) -> None:
    """A dead address, and one where another lives, do not hide the right one; but a request is never asked twice."""
    asked: list[PeerId] = []

    async def answer(peer: PeerId, request: Frame) -> Frame:
        asked.append(peer)
        return request

    async with (
        serving(HttpTransport(identities[0], HERE)) as a,
        serving(HttpTransport(identities[1], HERE), answer) as b,
        serving(HttpTransport(identities[2], HERE)) as c,
    ):
        many = Sighting(b.sighting.peer, (Address("127.0.0.1", 1), c.address, b.address, b.address))
        await a.transport.call(many, ASK)
        await (await a.transport.dial(many, SESSION)).aclose()
        assert [a.sighting.peer] == asked


async def test_a_peer_that_comes_back_is_reached(identities: list[Identity]) -> None:
    """A kept connection to a peer that has restarted since is not used again."""
    async with serving(HttpTransport(identities[0], HERE)) as a:
        where = HERE
        for _ in range(3):
            async with serving(HttpTransport(identities[1], where)) as b:
                where = b.address
                assert ASK.kind == (await a.transport.call(b.sighting, ASK)).kind
        with pytest.raises(PeerUnreachable):
            await a.transport.call(b.sighting, ASK)


async def test_another_at_the_same_address_is_no_one_we_know(identities: list[Identity]) -> None:
    """A kept connection to one peer is never used for another that is said to live at the same address."""
    async with serving(HttpTransport(identities[0], HERE)) as a, serving(HttpTransport(identities[1], HERE)) as b:
        await a.transport.call(b.sighting, ASK)
        with pytest.raises(MeshError, match="is not"):
            await a.transport.call(Sighting(identities[2].peer, b.sighting.addresses), ASK)


async def test_leaving_does_not_wait_for_those_being_served(identities: list[Identity]) -> None:
    """Leaving ends calls and channels that would last for ever, and leaves no task behind."""
    served = asyncio.Event()

    async def never(peer: PeerId, request: Frame) -> Frame:
        served.set()
        await asyncio.Event().wait()
        return request

    async with serving(HttpTransport(identities[0], HERE, patience=Patience(call=30))) as a:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            async with serving(HttpTransport(identities[1], HERE), never) as b:
                await a.transport.dial(b.sighting, SESSION)
                calling = tasks.create_task(failed(a.transport, b.sighting))
                await served.wait()
            assert 0 == b.transport.channels()
        assert isinstance(calling.result(), PeerUnreachable)


async def failed(transport: HttpTransport, to: Sighting) -> MeshError:
    with pytest.raises(MeshError) as caught:
        await transport.call(to, ASK)
    return caught.value


async def test_one_failing_handler_hurts_nobody_else(
    identities: list[Identity], caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in what a channel is for ends that channel, and is logged; calls and other channels go on."""

    async def accept(session: SessionId, end: Channel) -> None:
        raise ZeroDivisionError("a bug")

    async with serving(HttpTransport(identities[0], HERE)) as a:
        async with serving(HttpTransport(identities[1], HERE), echo, accept) as b:
            end = await a.transport.dial(b.sighting, SESSION)
            with pytest.raises(PeerLost):
                await end.receive()
            assert ASK.kind == (await a.transport.call(b.sighting, ASK)).kind
    assert "a bug" in caplog.text


async def test_serving_is_once_at_a_time_and_needed(identities: list[Identity]) -> None:
    """A transport neither calls nor dials before it serves, and does not serve twice at once."""
    transport = HttpTransport(identities[0], HERE)
    nobody = Sighting(identities[1].peer, (Address("127.0.0.1", 1),))
    for doing in (transport.call(nobody, ASK), transport.dial(nobody, SESSION)):
        with pytest.raises(Misuse):
            await doing
    async with serving(transport) as device:
        with pytest.raises(Misuse, match="once at a time"):
            async with serving(transport):
                pass
        with pytest.raises(Misuse, match="no session id"):
            await transport.dial(device.sighting, SessionId("../etc"))


async def test_a_taken_port_is_said_to_be_taken(identities: list[Identity]) -> None:
    """Where a port is taken, serving ends with the cause and the cure, and can be tried again."""
    async with serving(HttpTransport(identities[0], HERE)) as device:
        transport = HttpTransport(identities[1], device.address)
        for _ in range(2):
            with pytest.raises(ConfigError, match=r"cannot listen at .* in use.*choose another port"):
                async with serving(transport):
                    pass


async def test_several_addresses_are_served(identities: list[Identity]) -> None:
    """A device may listen at several addresses, and is reached at each."""
    many = HttpTransport(identities[0], [HERE, Address("127.0.0.2", 0)])
    async with serving(many) as a, serving(HttpTransport(identities[1], HERE)) as b:
        assert ["127.0.0.1", "127.0.0.2"] == [address.host for address in a.sighting.addresses]
        for address in a.sighting.addresses:
            reply = await b.transport.call(Sighting(a.sighting.peer, (address,)), ASK)
            assert ASK.kind == reply.kind


async def test_nothing_waits_to_be_sent(identities: list[Identity]) -> None:
    """Small frames leave at once: neither end lets the kernel hold them back."""
    async with channel(*transports(identities)) as ends:
        for end in ends:
            assert isinstance(end, StreamChannel)
            assert end._transport is not None
            raw = end._transport.get_extra_info("socket")
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_identity_that_vanished_is_named(tmp_path: Path) -> None:
    """A transport whose key has gone says so when it is to serve."""
    (identity,) = issue(tmp_path, 1)
    identity.key.unlink()

    async def story() -> None:
        async with serving(HttpTransport(identity, HERE)):
            pass

    with pytest.raises(MeshError, match="no longer holds a usable identity"):
        asyncio.run(story())
