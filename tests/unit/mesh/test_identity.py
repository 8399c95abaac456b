"""An identity is loaded only if it is whole, private, consistent and valid now."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.authority import Authority
from mesh.errors import IdentityError
from mesh.identity import Identity, mesh_uri, node_uri, server_name
from mesh.ids import PeerId
from tests.tls.forge import Forger, Leaf, handshake


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority", mesh="oak-street")


@pytest.fixture
def identity(tmp_path: Path, authority: Authority) -> Identity:
    return authority.issue(tmp_path / "device")


def test_what_was_issued_loads(tmp_path: Path, identity: Identity) -> None:
    """Loading gives what issuing gave."""
    assert identity == Identity.load(tmp_path / "device")
    assert ("oak-street", 52) == (identity.mesh, len(identity.peer))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_an_open_key_is_refused(identity: Identity, mode: int) -> None:
    """A key that anyone else can read is refused, and the message mends it."""
    identity.key.chmod(mode)
    with pytest.raises(IdentityError, match=f"chmod 600 {identity.key}"):
        Identity.load(identity.key.parent)


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem", "root.pem"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_every_file_is_needed(identity: Identity, name: str, content: bytes | None) -> None:
    """A file that is missing or damaged is named."""
    path = identity.key.parent / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(IdentityError, match=name):
        Identity.load(path.parent)


def test_key_and_certificate_belong_together(tmp_path: Path, authority: Authority, identity: Identity) -> None:
    """Another device's key is refused."""
    other = authority.issue(tmp_path / "other")
    identity.key.write_bytes(other.key.read_bytes())
    with pytest.raises(IdentityError, match="belongs to another key"):
        Identity.load(identity.key.parent)


def test_the_root_must_have_signed(tmp_path: Path, identity: Identity) -> None:
    """A root that did not sign the certificate is refused, even of the same name; beside the right one it may stand."""
    stranger = Authority.create(tmp_path / "stranger", mesh="oak-street")
    right = identity.root.read_bytes()
    identity.root.write_bytes(stranger.root_pem)
    with pytest.raises(IdentityError, match="signed by no authority"):
        Identity.load(identity.root.parent)
    identity.root.write_bytes(stranger.root_pem + right)
    assert identity == Identity.load(identity.root.parent)


DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda leaf: leaf.valid(from_now=DAY, until=2 * DAY), "check the clock"),
        (lambda leaf: leaf.valid(from_now=-2 * DAY, until=-DAY), "expired on"),
        (lambda leaf: leaf.named(PeerId.of_key(b"another")), "not its key's"),
        (lambda leaf: leaf.plain(), "names"),
    ],
    ids=["not yet valid", "expired", "another's name", "no name"],
)
def test_a_certificate_must_fit(tmp_path: Path, change: Callable[[Leaf], Leaf], says: str) -> None:
    """A certificate outside its dates, or that does not name its own key, is refused with the reason."""
    folder = Forger(tmp_path / "forger", mesh="oak-street").issue(tmp_path / "device", change)
    with pytest.raises(IdentityError, match=says):
        Identity.load(folder)


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    """Only P-256 is taken."""
    folder = Forger(tmp_path / "forger", mesh="oak-street").issue(tmp_path / "device", lambda leaf: leaf.p384())
    with pytest.raises(IdentityError, match="not a P-256 key"):
        Identity.load(folder)


@pytest.mark.parametrize("name", ["", "Oak", "oak street", "-oak", "oak/", "o" * 49, "eiche-ß"])
def test_a_mesh_has_a_plain_name(name: str) -> None:
    """What would not be the host of a URI cannot name a mesh."""
    with pytest.raises(IdentityError, match="cannot name a mesh"):
        mesh_uri(name)


def test_names_are_as_documented(identity: Identity) -> None:
    """The TLS name and the URI hold the id."""
    assert f"{identity.peer}.mesh.internal" == server_name(identity.peer)
    assert f"spiffe://oak-street/node/{identity.peer}" == node_uri("oak-street", identity.peer)


def test_a_handshake_proves_both_ids(tmp_path: Path, authority: Authority, identity: Identity) -> None:
    """After a handshake each side knows the other's id, under TLS 1.3, and no ticket was handed out."""
    other = authority.issue(tmp_path / "other")
    server, client = handshake(identity.server_context(), other.client_context(), server_name(identity.peer))
    assert (other.peer, identity.peer) == (identity.peer_of(server), other.peer_of(client))
    assert ("TLSv1.3", None) == (client.version(), (client.session and client.session.ticket_lifetime_hint) or None)


def test_contexts_are_strict(identity: Identity) -> None:
    """Both sides verify, strictly, and speak nothing below TLS 1.3."""
    for context in (identity.server_context(), identity.client_context()):
        assert ssl.CERT_REQUIRED == context.verify_mode
        assert context.verify_flags & ssl.VERIFY_X509_STRICT
        assert ssl.TLSVersion.TLSv1_3 == context.minimum_version
    assert 0 == identity.server_context().num_tickets
    assert identity.client_context().check_hostname


def test_without_tls_nobody_is_proved(identity: Identity) -> None:
    """A plain connection proves no id."""
    with pytest.raises(IdentityError, match="not encrypted"):
        identity.peer_of(None)
