"""Who is out for good: only what the authority signed counts, the newest list wins, and everybody hears of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from mesh.admission.outcasts import LARGEST, Outcasts, Shunned, publish
from mesh.admission.register import Register
from mesh.authority import Authority
from mesh.contracts import Address, Answer, Channel, Sighting
from mesh.control import Declined, Outcast, ask, framed
from mesh.crier import Crier
from mesh.errors import BadFrame, IdentityError, MeshError
from mesh.ids import PeerId, SessionId
from mesh.transport.virtual import VirtualNetwork
from mesh.wire import Frame
from tests.harness import clock

MESH = "test-street"
THIEF = PeerId.of_key(b"the thief's key")
OTHER = PeerId.of_key(b"another's key")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", mesh=MESH)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register(tmp_path / "authority")


def believer(folder: Path, *authorities: Authority) -> Shunned:
    """A device that believes these authorities."""
    folder.mkdir()
    (folder / "root.pem").write_bytes(b"".join(authority.root_pem for authority in authorities))
    return Shunned(folder, MESH)


def without(authority: Authority, register: Register, *peers: PeerId) -> bytes:
    for peer in peers:
        register.remove(peer, "stolen")
    return publish(authority, register)


def test_a_list_shuns_those_on_it_for_good(tmp_path: Path, authority: Authority, register: Register) -> None:
    """Whoever is on it is shunned here and after a restart; everybody else is not."""
    shunned = believer(tmp_path / "device", authority)
    assert shunned.take(without(authority, register, THIEF))

    for known in (shunned, Shunned(tmp_path / "device", MESH)):
        assert [THIEF in known, OTHER in known, len(known)] == [True, False, 1]
        assert known.why(OTHER) is None
        assert "put out" in str(known.why(THIEF))


def test_only_a_newer_list_is_news(tmp_path: Path, authority: Authority, register: Register) -> None:
    """The same list, or an older one, changes nothing: nobody comes back in by a replay."""
    shunned, empty = believer(tmp_path / "device", authority), publish(authority, register)
    first = without(authority, register, THIEF)
    second = without(authority, register, OTHER)

    assert [shunned.take(data) for data in (second, second, first, empty)] == [True, False, False, False]
    assert [THIEF in shunned, OTHER in shunned] == [True, True]


def test_another_process_is_noticed(tmp_path: Path, authority: Authority, register: Register) -> None:
    """What a command wrote beside the identity counts at the next look, once."""
    shunned = believer(tmp_path / "device", authority)
    assert not shunned.refresh()
    Shunned(tmp_path / "device", MESH).take(without(authority, register, THIEF))

    assert [shunned.refresh(), shunned.refresh(), THIEF in shunned] == [True, False, True]


def test_nobody_else_can_put_a_device_out(tmp_path: Path, authority: Authority, register: Register) -> None:
    """A list of another authority, of another mesh, or changed by a byte is refused; so is one that is far too long."""
    shunned = believer(tmp_path / "device", authority)
    good = without(authority, register, THIEF)
    stranger = Authority.create(tmp_path / "stranger", mesh=MESH)
    cousin = Authority.create(tmp_path / "cousin", mesh="elm-street")
    believer(tmp_path / "gullible", authority, cousin)
    for data in (without(stranger, Register(tmp_path / "stranger"), THIEF), forged(good, authority, stranger)):
        with pytest.raises(IdentityError):
            shunned.take(data)
    with pytest.raises(IdentityError):
        Shunned(tmp_path / "gullible", MESH).take(without(cousin, Register(tmp_path / "cousin"), THIEF))
    for data in (b"", b"\x81", msgspec.msgpack.encode({"body": b"{}", "signature": b""}), bytes(LARGEST + 1)):
        with pytest.raises(BadFrame):
            shunned.take(data)
    for place in range(0, len(good), 7):
        with pytest.raises(MeshError):
            shunned.take(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])

    assert len(shunned) == 0


def forged(good: bytes, authority: Authority, forger: Authority) -> bytes:
    """Names one authority, and is signed by another."""
    signed = msgspec.msgpack.decode(good)
    roots = [x509.load_pem_x509_certificate(authority.root_pem)]
    assert Outcasts.parse(good, MESH, roots).peers == (THIEF,)
    return msgspec.msgpack.encode({**signed, "signature": forger.vouch(b"veilmesh outcasts 1\0" + signed["body"])})


def test_everybody_hears_of_it_and_nobody_is_told_twice(
    tmp_path: Path, authority: Authority, register: Register
) -> None:
    """One node of twenty gets a list: all have it within 5 s, at a few calls a node; then they are quiet."""
    news = without(authority, register, THIEF)
    lists = {PeerId.of_key(bytes([number])): believer(tmp_path / str(number), authority) for number in range(20)}
    calls: list[PeerId] = []
    changed: list[PeerId] = []

    async def street() -> tuple[int, int, int]:
        async with AsyncExitStack() as stack:
            network, peers = VirtualNetwork(transcript=False), list(lists)
            transports = [network.transport(peer) for peer in peers]
            for transport in transports:
                others = [at(peer) for peer in peers if peer != transport.peer]
                noted = partial(changed.append, transport.peer)
                crier = Crier(lists[transport.peer], transport, partial(list, others), noted)
                await stack.enter_async_context(transport.serve(counted(crier, calls), refused))
                await stack.enter_async_context(crier.crying())
            await asyncio.sleep(5.0)
            met = len(calls)
            Shunned(tmp_path / "3", MESH).take(news)
            await asyncio.sleep(5.0)
            spread = len(calls) - met
            await asyncio.sleep(60.0)
            return met, spread, len(calls) - met - spread

    met, spread, quiet = clock.run(street())
    assert [THIEF in known for known in lists.values()] == [True] * 20
    assert sorted(changed) == sorted(lists)
    assert (met <= 20 * 19, spread <= 2 * 20 * 19, quiet) == (True, True, 0)


async def test_a_lie_told_is_not_passed_on(tmp_path: Path, authority: Authority) -> None:
    """Whoever tells a list that nobody signed is declined, and nothing here changes."""
    stranger = Authority.create(tmp_path / "stranger", mesh=MESH)
    network = VirtualNetwork(transcript=False)
    near, far = network.transport(OTHER), network.transport(THIEF)
    known = believer(tmp_path / "device", authority)
    crier = Crier(known, near, list, lambda: None)
    told = Outcast(lists=(without(stranger, Register(tmp_path / "stranger"), OTHER),))
    async with near.serve(counted(crier, []), refused), far.serve(counted(crier, []), refused):
        with pytest.raises(MeshError):
            await ask(far, at(OTHER), told, Outcast)

    assert len(known) == 0


def counted(crier: Crier, calls: list[PeerId]) -> Answer:
    """Answers as a desk does, and notes who called."""

    async def answer(peer: PeerId, question: Frame) -> Frame:
        calls.append(peer)
        try:
            return framed(await crier.reply(peer, question))
        except MeshError as error:
            return framed(Declined(reason=str(error)))

    return answer


async def refused(_session: SessionId, _channel: Channel) -> None:
    """No channels here."""


def at(peer: PeerId) -> Sighting:
    """Where a peer lives in this network."""
    return Sighting(peer, (Address(peer, 0),))
