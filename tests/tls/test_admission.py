"""Getting into a mesh with a token, staying in it, and leaving it."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from mesh.admission import enrolment, joining
from mesh.admission.door import LIMITS, open_join_door
from mesh.admission.register import Register
from mesh.admission.renewal import due, kept_fresh, loaded
from mesh.admission.requests import write_request
from mesh.admission.token import Token
from mesh.authority import Authority, Policy
from mesh.contracts import Address
from mesh.errors import BadInput, IdentityError, NoNode
from mesh.identity import Identity
from mesh.ids import PeerId
from mesh.transport.http import HttpTransport
from tests.tls.devices import ASK, HERE, SESSION, Device, ended, serving
from tests.tls.forge import Forger

MESH = "test-street"
HOUR = datetime.timedelta(hours=1)
DAY = 24 * HOUR


@dataclass
class Founded:
    """An authority, its books, and where its door is."""

    authority: Authority
    register: Register
    door: Address

    def token(self, uses: int = 1, lasts: datetime.timedelta = HOUR) -> Token:
        return self.register.invite(self.authority.id, uses=uses, lasts=lasts)[0]


@asynccontextmanager
async def founded(folder: Path, mesh: str = MESH, policy: Policy | None = None) -> AsyncIterator[Founded]:
    authority, register = Authority.create(folder, mesh=mesh, policy=policy), Register(folder)
    async with open_join_door(authority, register, HERE) as (address,):
        yield Founded(authority, register, address)


async def nowhere_else(_authority: PeerId) -> list[Address]:
    return []


async def shown_by(device: Device) -> x509.Certificate:
    """The certificate that a device shows to a stranger."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(device.address.host, device.address.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return x509.load_der_x509_certificate(der)


def past(folder: Path) -> bytes:
    """A certificate that is over."""
    forger = Forger(folder, mesh=MESH)
    forged = forger.issue(folder / "old", lambda leaf: leaf.valid(from_now=-9 * DAY, until=-DAY))
    return (forged / "certificate.pem").read_bytes()


async def test_a_token_makes_a_device_a_member(tmp_path: Path) -> None:
    """A device that joins has an identity of the mesh, with a key that nobody else has seen."""
    async with founded(tmp_path / "authority") as mesh:
        identity = await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])

    assert identity.mesh == MESH
    assert identity == Identity.load(tmp_path / "device")
    assert [*mesh.register.devices()] == [identity.peer]
    assert (tmp_path / "device" / "key.pem").stat().st_mode & 0o777 == 0o600
    secret = (tmp_path / "device" / "key.pem").read_bytes()
    assert not [path for path in (tmp_path / "authority").iterdir() if secret in path.read_bytes()]


async def test_a_token_serves_as_many_as_it_was_made_for(tmp_path: Path) -> None:
    """A token for two devices lets in two, and no third."""
    async with founded(tmp_path / "authority") as mesh:
        token = mesh.token(uses=2)
        for name in ("one", "two"):
            await enrolment.enrol(tmp_path / name, token, [mesh.door])
        with pytest.raises(IdentityError, match="has let in the 2 it was made for"):
            await enrolment.enrol(tmp_path / "three", token, [mesh.door])

    assert len(mesh.register.devices()) == 2


async def test_many_at_once_do_not_get_more_out_of_a_token(tmp_path: Path) -> None:
    """Of eight devices that come with one token for three at the same moment, three get in."""
    async with founded(tmp_path / "authority") as mesh:
        token, admitted, refusals = mesh.token(uses=3), [], []

        async def come(number: int) -> None:
            try:
                admitted.append(await enrolment.enrol(tmp_path / str(number), token, [mesh.door]))
            except IdentityError as error:
                refusals.append(str(error))

        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(come(number))

    assert len({identity.peer for identity in admitted}) == len(mesh.register.devices()) == 3
    assert ["has let in the 3 it was made for" in refusal for refusal in refusals] == [True] * 5


async def test_a_device_may_ask_again_when_the_answer_was_lost(tmp_path: Path) -> None:
    """The same key and the same token give a certificate again, and cost no second use."""
    async with founded(tmp_path / "authority") as mesh:
        token = mesh.token()
        first = await enrolment.enrol(tmp_path / "device", token, [mesh.door])
        (tmp_path / "device" / "certificate.pem").unlink()
        again = await enrolment.enrol(tmp_path / "device", token, [mesh.door])

    assert first.peer == again.peer
    assert [invitation.used for invitation in mesh.register.invitations()] == [1]


@pytest.mark.parametrize("what", ["expired", "withdrawn", "guessed"])
async def test_what_is_no_invitation_lets_nobody_in(tmp_path: Path, what: str) -> None:
    """A token that has expired, was taken back or was made up is refused, and the refusal says what to do."""
    async with founded(tmp_path / "authority") as mesh:
        token = mesh.token(lasts=datetime.timedelta(microseconds=1) if what == "expired" else HOUR)
        if what == "withdrawn":
            mesh.register.withdraw(mesh.register.invitations()[0].id)
        if what == "guessed":
            token = Token.fresh(mesh.authority.id)
        with pytest.raises(IdentityError, match=r"says no: .*ask for a new token"):
            await enrolment.enrol(tmp_path / "device", token, [mesh.door])

    assert mesh.register.devices() == {}


async def test_the_secret_goes_to_nobody_but_the_tokens_authority(tmp_path: Path) -> None:
    """A door of another authority, though of the same mesh's name, is refused before the secret is sent."""
    async with founded(tmp_path / "authority") as mesh, founded(tmp_path / "false") as false:
        with pytest.raises(IdentityError, match="The secret was not sent"):
            await enrolment.enrol(tmp_path / "device", mesh.token(), [false.door])


async def test_a_copied_root_does_not_make_a_door(tmp_path: Path) -> None:
    """Whoever shows the true authority's certificate without having its key gets no secret either."""
    async with founded(tmp_path / "authority") as mesh:
        impostor = Authority.create(tmp_path / "false", mesh=MESH)
        impostor.root_pem = mesh.authority.root_pem
        async with open_join_door(impostor, Register(tmp_path / "false"), HERE) as (door,):
            with pytest.raises(IdentityError, match="does not hold this authority's key"):
                await enrolment.enrol(tmp_path / "device", mesh.token(), [door])

    assert [invitation.used for invitation in mesh.register.invitations()] == [0]


async def test_a_device_of_the_mesh_is_no_door(tmp_path: Path) -> None:
    """A member's own certificate does not pass for the authority's."""
    async with founded(tmp_path / "authority") as mesh:
        member = mesh.authority.issue(tmp_path / "member")
        false = Authority.load(tmp_path / "authority")
        false.door = lambda: (member.key.read_bytes(), member.certificate.read_bytes())  # type: ignore[method-assign]
        async with open_join_door(false, Register(tmp_path / "authority"), HERE) as (door,):
            with pytest.raises(IdentityError, match="does not hold this authority's key"):
                await enrolment.enrol(tmp_path / "device", mesh.token(), [door])


async def test_the_first_door_that_answers_is_taken(tmp_path: Path) -> None:
    """A door that nobody answers at is passed over; if there is none at all, that is said."""
    async with founded(tmp_path / "authority") as mesh:
        nowhere = Address("127.0.0.1", 1)
        with pytest.raises(NoNode, match=r"no join door answers at 127\.0\.0\.1:1"):
            await enrolment.enrol(tmp_path / "device", mesh.token(), [nowhere])
        identity = await enrolment.enrol(tmp_path / "device", mesh.token(), [nowhere, mesh.door])

    assert identity.mesh == MESH


async def test_a_certificate_is_renewed_for_the_same_key(tmp_path: Path) -> None:
    """A member gets a later certificate, with no token; its id stays. A stranger gets none."""
    async with founded(tmp_path / "authority") as mesh:
        old = await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        before = old.certificate.read_bytes()
        new = await enrolment.renewed(tmp_path / "device", [mesh.door])
        stranger = mesh.authority.issue(tmp_path / "stranger")
        with pytest.raises(IdentityError, match="was never let into this mesh"):
            await enrolment.renewed(stranger.key.parent, [mesh.door])

    assert new.peer == old.peer
    assert new.certificate.read_bytes() != before


async def test_who_left_is_out_for_good(tmp_path: Path) -> None:
    """After leaving, a device gets neither a renewal nor in again by another token."""
    async with founded(tmp_path / "authority") as mesh:
        identity = await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        await enrolment.leave(tmp_path / "device", [mesh.door])
        with pytest.raises(IdentityError, match="was put out of this mesh"):
            await enrolment.renewed(tmp_path / "device", [mesh.door])
        identity.certificate.unlink()
        with pytest.raises(IdentityError, match="was put out of this mesh"):
            await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])

    number, out = mesh.register.removed()
    assert (number, [*out]) == (1, [identity.peer])


async def test_a_joining_request_cannot_be_used_to_put_its_device_out(tmp_path: Path) -> None:
    """What a device once signed to join does not serve anybody who replays it to make it leave."""
    async with founded(tmp_path / "authority") as mesh:
        await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(joining, "write_request", lambda key, _purpose: write_request(key, "join"))
            with pytest.raises(IdentityError, match="not made to leave"):
                await enrolment.leave(tmp_path / "device", [mesh.door])

    assert len(mesh.register.devices()) == 1


async def test_a_member_does_not_join_twice(tmp_path: Path) -> None:
    """A device with a certificate is told how to give it up first, and keeps it."""
    async with founded(tmp_path / "authority") as mesh:
        await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        with pytest.raises(BadInput, match="mesh leave"):
            await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])


async def test_strangers_are_not_waited_for(tmp_path: Path) -> None:
    """Who connects to the door and says nothing, or dribbles, is let go; a device joins meanwhile."""
    async with founded(tmp_path / "authority") as mesh:
        silent, mute = await asyncio.open_connection(mesh.door.host, mesh.door.port)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        dribbling, writer = await asyncio.open_connection(mesh.door.host, mesh.door.port, ssl=context)
        writer.write(b"POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        said = [await ended(silent), await ended(dribbling)]
        for end in (mute, writer):
            end.close()
            with suppress(OSError):
                await end.wait_closed()

    assert said[0] == b""
    assert b"408" in said[1].split(b"\r\n")[0]


async def test_garbage_at_the_door_is_refused(tmp_path: Path) -> None:
    """Bodies that are too long, no JSON, or no request end in a refusal, and the door goes on."""
    import aiohttp

    async with founded(tmp_path / "authority") as mesh, aiohttp.ClientSession() as client:
        for path in ("/v1/join", "/v1/renew", "/v1/leave"):
            for body in (b"", b"[" * 10_000, b"{}", b'{"request": "x", "secret": "AA=="}', os.urandom(200_000)):
                async with client.post(f"https://{mesh.door}{path}", data=body, ssl=False) as reply:
                    assert reply.status in (400, 403, 413)
        identity = await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])

    assert identity.mesh == MESH
    assert LIMITS.total < 100


async def test_a_running_device_renews_and_keeps_its_channels(tmp_path: Path) -> None:
    """What is due is renewed at once and shown to whoever dials next; a channel that was open carries on."""
    short = Policy(backdate=20 * 86400, renewed_hours=1)  # two thirds of its life are over before it begins
    async with founded(tmp_path / "authority", policy=short) as mesh:
        near, far = [
            HttpTransport(await enrolment.enrol(tmp_path / name, mesh.token(), [mesh.door]), HERE)
            for name in ("near", "far")
        ]
        before, news = near.identity.certificate.read_bytes(), asyncio.Event()

        def shown(identity: Identity) -> None:
            near.refresh(identity)
            news.set()

        async with serving(near) as a, serving(far) as b:
            channel = await a.transport.dial(b.sighting, SESSION)
            async with kept_fresh(near.identity, nowhere_else, shown):
                await news.wait()
            end = await b.accepted.get()
            await channel.send(ASK)
            heard = await anext(aiter(end))
            reached = await b.transport.call(a.sighting, ASK)
            certificate = await shown_by(a)

    assert near.identity.certificate.read_bytes() != before
    assert (heard.body, reached.kind) == (ASK.body, ASK.kind)
    assert certificate == x509.load_pem_x509_certificate(near.identity.certificate.read_bytes())


async def test_a_device_comes_back_after_its_certificate_ran_out(tmp_path: Path) -> None:
    """At its start a device with an expired certificate gets a new one; with no door to ask, it says what is wrong."""
    async with founded(tmp_path / "authority") as mesh:
        identity = await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        expired = past(tmp_path)
        identity.certificate.write_bytes(expired)
        back = await loaded(tmp_path / "device", nowhere_else)
        identity.certificate.write_bytes(expired)
    with pytest.raises(IdentityError, match="has expired, and could not be renewed: no join door answers"):
        await loaded(tmp_path / "device", nowhere_else)

    assert back.peer == identity.peer


async def test_an_authority_that_moved_is_found_again(tmp_path: Path) -> None:
    """Where the door is no longer where it was, the place where it is announced is tried, and noted."""
    async with founded(tmp_path / "authority") as mesh:
        await enrolment.enrol(tmp_path / "device", mesh.token(), [mesh.door])
        enrolment.write_door(tmp_path / "device", enrolment.Door(str(mesh.authority.id), ("127.0.0.1:1",)))
        (tmp_path / "device" / "certificate.pem").write_bytes(past(tmp_path))

        async def announced(authority: PeerId) -> list[Address]:
            return [mesh.door] if authority == mesh.authority.id else []

        await loaded(tmp_path / "device", announced)

    door = enrolment.read_door(tmp_path / "device")
    assert door is not None
    assert door.addresses == (str(mesh.door), "127.0.0.1:1")


def test_devices_take_turns(tmp_path: Path) -> None:
    """When a certificate is renewed is spread over a fifteenth of its life, by id, and never after two thirds."""
    Authority.create(tmp_path / "authority", mesh=MESH).issue(tmp_path / "device")
    file = tmp_path / "device" / "certificate.pem"
    leaf = x509.load_pem_x509_certificate(file.read_bytes())
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    parts = [(due(file, PeerId(f"{first}{'a' * 51}")) - leaf.not_valid_before_utc) / life for first in "abcdefgh234567"]

    assert len(set(parts)) == 8
    assert (min(parts) >= 0.6, max(parts) <= 2 / 3 + 1e-9) == (True, True)


def test_a_clock_that_goes_back_is_noticed(tmp_path: Path) -> None:
    """A time before one that this device has noted is refused; one just behind it is not."""
    enrolment.note_time(tmp_path)
    enrolment.require_time(tmp_path)
    later = datetime.datetime.now(datetime.UTC) + 2 * HOUR
    (tmp_path / "clock").write_text(later.isoformat())

    with pytest.raises(IdentityError, match="set the clock"):
        enrolment.require_time(tmp_path)
