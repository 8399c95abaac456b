"""Certificates as nobody should make them, and handshakes in memory."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity import key_id, node_uri, server_name
from mesh.ids import PeerId

NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Leaf:
    """What a forged device certificate is to say."""

    key: ec.EllipticCurvePrivateKey
    mesh: str
    peer: PeerId
    start: datetime.datetime = NOW - datetime.timedelta(hours=1)
    end: datetime.datetime = NOW + datetime.timedelta(days=1)
    names: bool = True
    self_signed: bool = False

    def valid(self, *, from_now: datetime.timedelta, until: datetime.timedelta) -> Leaf:
        """Valid in another time."""
        return replace(self, start=NOW + from_now, end=NOW + until)

    def named(self, peer: PeerId) -> Leaf:
        """Naming another device than its key's."""
        return replace(self, peer=peer)

    def of(self, mesh: str) -> Leaf:
        """Of another mesh."""
        return replace(self, mesh=mesh)

    def plain(self) -> Leaf:
        """Naming nobody."""
        return replace(self, names=False)

    def alone(self) -> Leaf:
        """Signed with its own key."""
        return replace(self, self_signed=True)

    def p384(self) -> Leaf:
        """With another kind of key."""
        key = ec.generate_private_key(ec.SECP384R1())
        return replace(self, key=key, peer=key_id(key.public_key()))


class Forger:
    """An authority that signs whatever it is told. Devices that have its `root.pem` believe it.

    Args:
        key: whose authority it says it is; a new one, unless somebody's was stolen.
    """

    def __init__(self, folder: Path, *, mesh: str, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.mesh = mesh
        self._key = key or ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {mesh}")])
        self.root_pem = self._root().public_bytes(serialization.Encoding.PEM)

    def issue(self, folder: Path, change: Callable[[Leaf], Leaf] = lambda leaf: leaf) -> Path:
        """A folder with an identity, of which `change` may have made anything."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = change(Leaf(key, self.mesh, key_id(key.public_key())))
        folder.mkdir(mode=0o700)
        (folder / "key.pem").touch(mode=0o600)
        (folder / "key.pem").write_bytes(
            leaf.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "certificate.pem").write_bytes(self._sign(leaf).public_bytes(serialization.Encoding.PEM))
        (folder / "root.pem").write_bytes(self.root_pem)
        return folder

    def _root(self) -> x509.Certificate:
        return (
            _draft(self._name, self._key, NOW - datetime.timedelta(days=9), NOW + datetime.timedelta(days=9))
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _sign(self, leaf: Leaf) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")])
        signer = leaf.key if leaf.self_signed else self._key
        draft = (
            _draft(name, leaf.key, leaf.start, leaf.end)
            .issuer_name(name if leaf.self_signed else self._name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if leaf.names:
            uri = x509.UniformResourceIdentifier(node_uri(leaf.mesh, leaf.peer))
            names = x509.SubjectAlternativeName([x509.DNSName(server_name(leaf.peer)), uri])
            draft = draft.add_extension(names, critical=False)
        return draft.sign(signer, hashes.SHA256())


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A handshake in memory: the server's side and the client's. Raises ssl.SSLError when either refuses."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    )
    for _ in range(3):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides[1], sides[0]


def _draft(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, start: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
