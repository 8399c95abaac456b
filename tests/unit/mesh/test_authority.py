"""An authority signs what the rules allow, keeps its key to itself, and never overwrites one."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from mesh.authority import Authority, Policy
from mesh.errors import ConfigError, IdentityError
from mesh.identity import Identity, key_id, server_name
from tests.tls.forge import handshake

CERTS = Path(__file__).parents[3] / "certs"
PASSPHRASE = "correct horse battery staple"


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def request(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> x509.CertificateSigningRequest:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mayor")])
    names = x509.SubjectAlternativeName([x509.DNSName("bank.example")])
    wish = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(names, critical=False)
    return wish.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(wish: x509.CertificateSigningRequest) -> bytes:
    return wish.public_bytes(serialization.Encoding.PEM)


def test_keys_are_private_from_their_first_moment(tmp_path: Path) -> None:
    """Keys are 0600 and folders 0700, whatever the umask; nothing else is left lying about."""
    Authority.create(tmp_path / "authority", mesh="oak").issue(tmp_path / "device")
    assert [0o600, 0o600] == [
        path.stat().st_mode & 0o777 for path in (tmp_path / "authority/authority.key.pem", tmp_path / "device/key.pem")
    ]
    assert 0o700 == (tmp_path / "device").stat().st_mode & 0o777
    assert {"authority.key.pem", "root.pem"} == {path.name for path in (tmp_path / "authority").iterdir()}
    assert {"key.pem", "certificate.pem", "root.pem"} == {path.name for path in (tmp_path / "device").iterdir()}


def test_no_key_is_ever_overwritten(tmp_path: Path) -> None:
    """Where a key is, neither an authority nor a device is made, and the key stays as it is."""
    authority = Authority.create(tmp_path, mesh="oak")
    authority.issue(tmp_path / "device")
    keys = [tmp_path / "authority.key.pem", tmp_path / "device" / "key.pem"]
    before = [key.read_bytes() for key in keys]
    with pytest.raises(IdentityError, match="not overwritten"):
        Authority.create(tmp_path, mesh="elm")
    with pytest.raises(IdentityError, match="not overwritten"):
        authority.issue(tmp_path / "device")
    assert before == [key.read_bytes() for key in keys]


def test_an_authority_outlives_its_process(tmp_path: Path) -> None:
    """Loaded again, it signs for the same mesh, and its devices believe each other."""
    one = Authority.create(tmp_path / "authority", mesh="oak").issue(tmp_path / "one")
    other = Authority.load(tmp_path / "authority").issue(tmp_path / "other")
    server, _ = handshake(one.server_context(), other.client_context(), server_name(one.peer))
    assert other.peer == one.peer_of(server)


def test_a_passphrase_locks_the_key(tmp_path: Path) -> None:
    """With a passphrase, the key on disk opens with that one only."""
    Authority.create(tmp_path, mesh="oak", passphrase=PASSPHRASE)
    assert b"ENCRYPTED" in (tmp_path / "authority.key.pem").read_bytes()
    assert "oak" == Authority.load(tmp_path, passphrase=PASSPHRASE).mesh
    with pytest.raises(IdentityError, match="give its passphrase"):
        Authority.load(tmp_path)
    with pytest.raises(IdentityError, match="passphrase is wrong"):
        Authority.load(tmp_path, passphrase="another passphrase")


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    """A passphrase that would not keep the key is refused, and nothing is made."""
    with pytest.raises(ConfigError, match="12 characters"):
        Authority.create(tmp_path / "authority", mesh="oak", passphrase="short")
    assert not (tmp_path / "authority" / "authority.key.pem").exists()


def test_an_incomplete_authority_is_refused(tmp_path: Path) -> None:
    """A missing, open or mismatched file is named."""
    with pytest.raises(IdentityError, match="no key at"):
        Authority.load(tmp_path)
    Authority.create(tmp_path / "a", mesh="oak")
    Authority.create(tmp_path / "b", mesh="oak")
    shutil.copy(tmp_path / "b" / "root.pem", tmp_path / "a" / "root.pem")
    with pytest.raises(IdentityError, match="belongs to another key"):
        Authority.load(tmp_path / "a")
    (tmp_path / "b" / "authority.key.pem").chmod(0o644)
    with pytest.raises(IdentityError, match="chmod 600"):
        Authority.load(tmp_path / "b")


def test_a_request_gets_only_what_the_rules_give(tmp_path: Path) -> None:
    """Signing takes the key from a request and nothing else: not its names, not its subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    signed = x509.load_pem_x509_certificate(Authority.create(tmp_path, mesh="oak").sign(pem(request(key))))
    peer = key_id(key.public_key())
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [server_name(peer)] == names.get_values_for_type(x509.DNSName)
    assert [f"spiffe://oak/node/{peer}"] == names.get_values_for_type(x509.UniformResourceIdentifier)
    assert f"CN={peer}" == signed.subject.rfc4514_string()


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (b"please", "no signing request"),
        (pem(request(ed25519.Ed25519PrivateKey.generate())), "P-256"),
        (pem(request(ec.generate_private_key(ec.SECP384R1()))), "P-256"),
    ],
    ids=["garbage", "ed25519", "p384"],
)
def test_what_is_no_request_is_refused(tmp_path: Path, wish: bytes, says: str) -> None:
    """Garbage, and keys of another kind, are refused."""
    with pytest.raises(IdentityError, match=says):
        Authority.create(tmp_path, mesh="oak").sign(wish)


def test_a_request_must_be_signed_with_its_own_key(tmp_path: Path) -> None:
    """Whoever asks must hold the key that is to be certified."""
    der = bytearray(request(ec.generate_private_key(ec.SECP256R1())).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der))
    with pytest.raises(IdentityError, match="not signed with the key"):
        Authority.create(tmp_path, mesh="oak").sign(pem(forged))


def test_certificates_follow_the_rules(tmp_path: Path) -> None:
    """Every extension is there, critical where it must be, and the authority can sign its devices only."""
    authority = Authority.create(tmp_path, mesh="oak")
    leaf, root = certificate(authority.issue(tmp_path / "device").certificate), certificate(tmp_path / "root.pem")
    critical = {
        kind: [one.extensions.get_extension_for_class(kind).critical for one in (root, leaf)]
        for kind in (x509.BasicConstraints, x509.KeyUsage)
    }
    assert {x509.BasicConstraints: [True, True], x509.KeyUsage: [True, True]} == critical
    assert 0 == root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    assert root.extensions.get_extension_for_class(x509.NameConstraints).critical
    for one in (root, leaf):
        one.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        assert one.serial_number.bit_length() > 64


def test_lifetimes_follow_the_policy(tmp_path: Path) -> None:
    """Certificates start in the past and end as the policy says, but no device outlives its authority."""
    policy = Policy(authority_days=10, device_days=10, backdate=86400)
    authority = Authority.create(tmp_path, mesh="oak", policy=policy)
    leaf, root = certificate(authority.issue(tmp_path / "device").certificate), certificate(tmp_path / "root.pem")
    assert root.not_valid_after_utc == leaf.not_valid_after_utc
    assert datetime.timedelta(days=11) == root.not_valid_after_utc - root.not_valid_before_utc


def test_the_documented_policy_is_the_default() -> None:
    """`certs/policy.toml` says what the code does, in every field."""
    text = (CERTS / "policy.toml").read_text()
    assert Policy() == Policy.from_toml(text)
    assert all(re.search(rf"^{each.name} = ", text, re.MULTILINE) for each in fields(Policy))


@pytest.mark.parametrize(
    "text", ["key = 'RSA'", "days = 1", "device_days = 0", "device_days = 4000", "backdate = -1", "="]
)
def test_a_senseless_policy_is_refused(text: str) -> None:
    """Unknown names, other keys and impossible days are refused."""
    with pytest.raises(ConfigError, match="polic"):
        Policy.from_toml(text)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_openssl_by_hand_makes_the_same(tmp_path: Path) -> None:
    """The commands in certs/README.md give an authority that ours loads, and a device that shakes hands with ours."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (CERTS / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    script = "\n".join(["set -eu", *blocks])
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True, timeout=60)

    by_hand = Identity.load(tmp_path / "device")
    ours = Authority.load(tmp_path / "authority").issue(tmp_path / "ours")
    for server, client in ((by_hand, ours), (ours, by_hand)):
        near, far = handshake(server.server_context(), client.client_context(), server_name(server.peer))
        assert (client.peer, server.peer) == (server.peer_of(near), client.peer_of(far))
