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

from mesh.admission import enrolment, joining
from mesh.admission.door import LIMITS, open_join_door
from mesh.admission.register import Register
from mesh.admission.requests import write_request
from mesh.admission.token import Token
from mesh.authority import Authority
from mesh.contracts import Address
from mesh.errors import BadInput, IdentityError, NoNode
from mesh.identity import Identity
from tests.tls.devices import HERE, ended

MESH = "test-street"
HOUR = datetime.timedelta(hours=1)


@dataclass
class Founded:
    """An authority, its books, and where its door is."""

    authority: Authority
    register: Register
    door: Address

    def token(self, uses: int = 1, lasts: datetime.timedelta = HOUR) -> Token:
        return self.register.invite(self.authority.id, uses=uses, lasts=lasts)[0]


@asynccontextmanager
async def founded(folder: Path, mesh: str = MESH) -> AsyncIterator[Founded]:
    authority, register = Authority.create(folder, mesh=mesh), Register(folder)
    async with open_join_door(authority, register, HERE) as (address,):
        yield Founded(authority, register, address)


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


def test_a_clock_that_goes_back_is_noticed(tmp_path: Path) -> None:
    """A time before one that this device has noted is refused; one just behind it is not."""
    enrolment.note_time(tmp_path)
    enrolment.require_time(tmp_path)
    later = datetime.datetime.now(datetime.UTC) + 2 * HOUR
    (tmp_path / "clock").write_text(later.isoformat())

    with pytest.raises(IdentityError, match="set the clock"):
        enrolment.require_time(tmp_path)
