"""What programs ask of their node through its control door, one question at a time."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from mesh.blobs import BlobRef
from mesh.client import Client, connect
from mesh.doors.control import open_control_door
from mesh.doors.knock import knock
from mesh.doors.language import encode
from mesh.errors import BadInput, ConfigError, DeadlinePassed, IdentityError, MeshError, NoNode, StoreError
from tests.doors.house import manifest, open_house, prepared


async def test_a_node_tells_of_itself_and_of_its_peers(tmp_path: Path) -> None:
    """Who it is, what it runs, what did not load, and what each peer would lend."""
    async with open_house(tmp_path) as house:
        status, peers = await house.client.status(), await house.client.peers()
        assert (house.city.peers[0], "test", "us", 2) == (status.peer, status.mesh, status.owner, status.in_sight)
        assert {"smpc": "it needs torch."} == status.missing
        assert sorted(house.city.peers[1:]) == [peer.peer for peer in peers]
        assert {("ready", 2**30)} == {(peer.state, peer.memory) for peer in peers}
        assert {"echo", "sharded"} == set(peers[0].speeds)


async def test_a_peer_that_does_not_answer_is_shown_as_silent(tmp_path: Path) -> None:
    """It is in sight, and nobody knows yet that it is gone: say so, and why."""
    async with open_house(tmp_path) as house:
        house.city.streets.kill(1)
        (silent,) = [peer for peer in await house.client.peers() if peer.peer == house.city.peers[1]]
        assert "silent" == silent.state
        assert silent.reason


async def test_a_model_is_kept_and_forgotten_with_its_blobs(tmp_path: Path) -> None:
    """What no other model needs goes with it."""
    async with open_house(tmp_path) as house:
        for name in ("toy", "twin"):
            await house.client.put_model(prepared(name))
        assert ["toy", "twin"] == [model.name for model in await house.client.models()]
        assert encode(manifest()) == encode(await house.client.model("toy"))
        await house.client.remove_model("toy")
        assert manifest().blobs[0].digest in house.store
        await house.client.remove_model("twin")
        assert [] == list(house.store)
        with pytest.raises(BadInput, match="no model 'toy'"):
            await house.client.model("toy")


async def test_a_blob_is_kept_only_if_it_is_what_its_listing_says(tmp_path: Path) -> None:
    """Neither a changed byte, nor another listing, nor half a blob leaves anything behind."""
    async with open_house(tmp_path) as house:
        good, bad = b"x" * 3_000_000, b"x" * 2_999_999 + b"y"
        listing = encode(BlobRef.of(good))
        target = f"/v1/blobs/{BlobRef.of(good).digest}?listing={len(listing)}"
        for data, wrong in ((bad, StoreError), (good[:-1], BadInput)):
            with pytest.raises(wrong):
                await knock(house.control, "PUT", target, (listing, data), length=len(listing) + len(data), patience=5)
        other = f"/v1/blobs/{BlobRef.of(bad).digest}?listing={len(listing)}"
        with pytest.raises(BadInput, match="another blob"):
            await knock(house.control, "PUT", other, (listing, good), length=len(listing) + len(good))
        assert [] == list(house.store)
        for _ in range(2):
            await knock(house.control, "PUT", target, (listing, good), length=len(listing) + len(good))
        assert good == house.store.read(BlobRef.of(good).digest)


async def test_a_model_whose_blobs_are_missing_is_refused(tmp_path: Path) -> None:
    """A name stands for something that can be run."""
    async with open_house(tmp_path) as house:
        with pytest.raises(StoreError, match="not in the store"):
            await knock(house.control, "PUT", "/v1/models/toy", (body := encode(manifest()),), length=len(body))


async def test_a_job_is_done_once_and_its_errors_keep_their_class(tmp_path: Path) -> None:
    """A program handles what goes wrong in its node as the node itself would."""
    async with open_house(tmp_path) as house:
        words = await house.client.submit("echo", text="hello")
        assert [f"hello from {rank}" for rank in range(3)] == words
        with pytest.raises(BadInput, match="runs no protocol 'nope'"):
            await house.client.submit("nope")
        house.city.streets.stall(1)
        with pytest.raises(MeshError) as failed:
            await house.client.submit("echo", deadline=0.2, text="hello")
        assert DeadlinePassed is failed.type


@pytest.mark.parametrize("target", ["/", "/v1/nothing", "/v1/models/..%2f..%2fidentity", "/v1/blobs/x?listing=9999999"])
async def test_what_the_door_does_not_know_is_refused_in_words(tmp_path: Path, target: str) -> None:
    """Whatever is asked, the answer is a sentence."""
    async with open_house(tmp_path) as house:
        for method in ("GET", "PUT"):
            with pytest.raises(MeshError, match=r"\.$"):
                await knock(house.control, method, target)


async def test_the_socket_is_its_users_alone(tmp_path: Path) -> None:
    """0600 in a folder of 0700, from its first moment; gone when the node is."""
    async with open_house(tmp_path) as house:
        assert (0o600, 0o700) == (mode(house.control), mode(house.control.parent))
    assert not house.control.exists()
    with pytest.raises(NoNode, match="mesh up"):
        await house.client.status()


async def test_what_a_dead_node_left_behind_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    """A crash keeps nobody from starting again; a second node on the same socket is told of the first."""
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as crashed:
        crashed.bind(str(tmp_path / "run/control.sock"))
    async with open_house(tmp_path) as house:
        await house.client.status()
        with pytest.raises(ConfigError, match="a node answers at"):
            async with open_control_door(house.control, None):  # type: ignore[arg-type]
                pass
        await house.client.status()


async def test_a_file_in_the_sockets_place_is_not_touched(tmp_path: Path) -> None:
    """It may be something that a person needs."""
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        async with open_control_door(path, None):  # type: ignore[arg-type]
            pass
    assert "mine" == path.read_text()


async def test_whoever_listens_there_without_being_a_node_is_told_apart(tmp_path: Path) -> None:
    """Neither silence nor another language passes for a node."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ready\r\n\r\n")
        writer.close()

    path = tmp_path / "control.sock"
    async with await asyncio.start_unix_server(babble, path):
        with pytest.raises(NoNode, match="is no node"):
            await Client(path).status()
        with pytest.raises(NoNode):
            async with connect(path):
                pass


async def test_a_socket_that_may_not_be_opened_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cure is another user, not another try."""

    async def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(asyncio, "open_unix_connection", refuse)
    with pytest.raises(IdentityError, match="sudo"):
        await Client(tmp_path / "control.sock").status()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
