"""Whether the doctor tells a peer that answers from one that does not, and from one that is another."""

from __future__ import annotations

from pathlib import Path

from mesh.authority import Authority
from mesh.contracts import Address, Sighting
from mesh.doctor.network import reached
from mesh.transport.http import HttpTransport
from tests.tls.devices import HERE, serving

MESH = "test-street"


async def test_a_peer_is_reached_only_if_it_is_that_peer_and_believes_us(tmp_path: Path) -> None:
    """A member is reached. Not so: another one in its place, nobody at all, and one who does not believe us."""
    authority, stranger = (Authority.create(tmp_path / name, mesh=MESH) for name in ("authority", "stranger"))
    near, far, other = (authority.issue(tmp_path / name) for name in ("near", "far", "other"))
    outsider = stranger.issue(tmp_path / "outsider")
    (tmp_path / "outsider" / "root.pem").write_bytes(authority.root_pem)  # it believes those who do not believe it

    async with serving(HttpTransport(far, HERE)) as device:
        there = device.address
        assert await reached(near, Sighting(far.peer, (there,)), there) is None
        assert "another device" in str(await reached(near, Sighting(other.peer, (there,)), there))
        assert await reached(outsider, Sighting(far.peer, (there,)), there) == "it hung up: it may not believe us"
    nobody = Address("127.0.0.1", 1)
    assert await reached(near, Sighting(far.peer, (nobody,)), nobody) == "Connection refused"
