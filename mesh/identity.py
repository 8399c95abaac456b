"""Who we are, and how we prove it.

A device's name is the hash of its public key. The mesh authority signs a certificate whose DNS name is that same id,
so ordinary TLS verification answers the only question there is: did we reach the device that we dialled?

A folder that holds an identity has three files: `key.pem` (never leaves the device), `certificate.pem`, and `root.pem`,
the certificates of the authorities that this device believes. `certs/README.md` tells how they are made.
"""

from __future__ import annotations

import datetime
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mesh.errors import IdentityError
from mesh.ids import PeerId

__all__ = ["Identity", "attest", "authority_ids", "key_id", "mesh_uri", "node_uri", "require_private", "server_name"]

DOMAIN = "mesh.internal"
"""Where device names live in TLS. `.internal` is reserved for private use and never resolves on the internet."""

KNOWN = 256
"""Certificates whose proof a context remembers: it saves a tenth of a handshake with a peer met before."""

_MESH = re.compile(r"[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Identity:
    """One device's key and certificate, and the authorities it believes. Made by `load` and `Authority.issue`.

    Attributes:
        peer: this device's id.
        mesh: the name of the mesh it belongs to; devices of another mesh are refused.
        expires: when the certificate ends, in UTC.
        key, certificate, root: PEM files.
    """

    peer: PeerId
    mesh: str
    expires: datetime.datetime
    key: Path
    certificate: Path
    root: Path

    @classmethod
    def load(cls, folder: Path) -> Identity:
        """Read the identity in `folder`, and check that it is whole, private, and valid now.

        Raises:
            IdentityError: a file is missing or unreadable, the key is open to others, key and certificate do not fit
                each other, no authority in `root.pem` signed it, or it is not valid at this device's time.
        """
        key, certificate, root = folder / "key.pem", folder / "certificate.pem", folder / "root.pem"
        require_private(key)
        secret = _read_key(key)
        leaf = _read_certificates(certificate)[0]
        if key_id(secret.public_key()) != key_id(leaf.public_key()):
            raise IdentityError(f"{certificate} belongs to another key than {key}: issue a certificate for this key.")
        mesh = _mesh_of(leaf)
        peer = attest(leaf, mesh)
        _require_valid_now(leaf, certificate)
        _require_signer(leaf, _read_certificates(root), certificate, root)
        return cls(peer, mesh, leaf.not_valid_after_utc, key, certificate, root)

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.3 only, no peer without a certificate, no session tickets."""
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        return context

    def client_context(self) -> ssl.SSLContext:
        """TLS 1.3 only; dial with `server_name(peer)`, and TLS checks whom we reached."""
        return self._context(ssl.PROTOCOL_TLS_CLIENT)

    def refresh(self, context: ssl.SSLContext) -> None:
        """Have a context of ours use the certificate and believe the authorities that are in the folder now.

        Connections that are open stay as they are. An authority that was taken out is believed until the next start.

        Raises:
            IdentityError: what is there is no usable identity; the context goes on as it was.
        """
        try:
            context.load_verify_locations(self.root)
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise IdentityError(f"{self.key.parent} no longer holds a usable identity: {error}.") from error

    def peer_of(self, tls: ssl.SSLObject | ssl.SSLSocket | None) -> PeerId:
        """The id that the other side of a finished handshake has proved.

        Raises:
            IdentityError: no TLS, no certificate, or one that does not name its own key in our mesh.
        """
        if tls is None:
            raise IdentityError("this connection is not encrypted: it can prove nobody's id.")
        attested = getattr(tls, "attested", None)
        return attested if isinstance(attested, PeerId) else _attest_der(self.mesh, tls.getpeercert(binary_form=True))

    def _context(self, purpose: int) -> ssl.SSLContext:
        context = ssl.SSLContext(purpose)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.options |= ssl.OP_NO_TICKET
        # Not a check that a caller could forget: no handshake of ours ends well with a certificate of another kind.
        # What a certificate proves follows from its bytes alone, so it is worked out once for each peer.
        attest_der = lru_cache(maxsize=KNOWN)(partial(_attest_der, self.mesh))
        context.sslobject_class = _attesting_object(attest_der)
        context.sslsocket_class = _attesting_socket(attest_der)
        self.refresh(context)
        return context


def server_name(peer: PeerId) -> str:
    """The TLS name under which `peer` must answer."""
    return f"{peer}.{DOMAIN}"


def mesh_uri(mesh: str) -> str:
    """The name of a whole mesh, which its authority's certificate carries.

    Raises:
        IdentityError: no mesh can be called that.
    """
    if not _MESH.fullmatch(mesh):
        raise IdentityError(
            f"{mesh[:60]!r} cannot name a mesh: use 1 to 48 of a-z, 0-9, dot and dash, like oak-street."
        )
    return f"spiffe://{mesh}"


def node_uri(mesh: str, peer: PeerId) -> str:
    """The name of one device in one mesh, as SPIFFE writes it. Raises IdentityError as `mesh_uri` does."""
    return f"{mesh_uri(mesh)}/node/{peer}"


def key_id(key: CertificatePublicKeyTypes) -> PeerId:
    """The id of the device that holds this key."""
    return PeerId.of_key(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def authority_ids(root: Path) -> list[PeerId]:
    """The hashes of the authorities' keys in a `root.pem`, first to last. Raises IdentityError: it cannot be read."""
    return [key_id(certificate.public_key()) for certificate in _read_certificates(root)]


def attest(certificate: x509.Certificate, mesh: str) -> PeerId:
    """The id a certificate proves: the hash of its key, which must be just what it names. TLS has checked the signer.

    Raises:
        IdentityError: it names anything else, or belongs to another mesh.
    """
    peer = key_id(certificate.public_key())
    names = _alternative_names(certificate)
    if names.get_values_for_type(x509.DNSName) != [server_name(peer)]:
        raise IdentityError(
            f"a certificate names a device that is not its key's, which is {peer.short}: issue it anew."
        )
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [node_uri(mesh, peer)]:
        raise IdentityError(f"the certificate of {peer.short} is not of the mesh {mesh!r}: it needs one of this mesh.")
    return peer


_Attest = Callable[[bytes | None], PeerId]


def _attest_der(mesh: str, der: bytes | None) -> PeerId:
    if der is None:
        raise IdentityError("the other side showed no certificate; only devices of this mesh may talk here.")
    return attest(x509.load_der_x509_certificate(der), mesh)


def _attesting_object(attest_der: _Attest) -> type[ssl.SSLObject]:
    class AttestingObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            self.attested = _attested(attest_der, self)

    return AttestingObject


def _attesting_socket(attest_der: _Attest) -> type[ssl.SSLSocket]:
    class AttestingSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            self.attested = _attested(attest_der, self)

    return AttestingSocket


def _attested(attest_der: _Attest, tls: ssl.SSLObject | ssl.SSLSocket) -> PeerId:
    try:
        return attest_der(tls.getpeercert(binary_form=True))
    except IdentityError as error:
        raise ssl.SSLCertVerificationError(str(error)) from error  # what event loops expect of a failed handshake


def require_private(key: Path) -> None:
    """Refuse a key that others on this machine could read.

    Raises:
        IdentityError: it is missing, or wider than 0600; says what mends it.
    """
    try:
        mode = key.stat().st_mode & 0o777
    except OSError as error:
        raise IdentityError(
            f"no key at {key} ({error.strerror}): a mesh authority makes one, `mesh ca issue`."
        ) from error
    if mode & 0o077:
        raise IdentityError(f"{key} can be read by others (mode {mode:04o}): run `chmod 600 {key}`.")


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise IdentityError(f"{path} holds no usable key ({error}): a device's key is unencrypted PEM.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError(f"{path} is not a P-256 key, and nothing else is taken: issue a new identity.")
    return key


def _read_certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise IdentityError(f"{path} holds no certificate ({error}): copy it again from the authority.") from error


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise IdentityError("a certificate without names of our kind: it is not a mesh device's.") from error


def _mesh_of(leaf: x509.Certificate) -> str:
    uris = _alternative_names(leaf).get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1 or not uris[0].startswith("spiffe://"):
        raise IdentityError("the certificate does not name its mesh: issue one with our rules, see certs/README.md.")
    return uris[0].removeprefix("spiffe://").partition("/")[0]


def _require_valid_now(leaf: x509.Certificate, path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < start:
        raise IdentityError(
            f"{path} is not valid before {start:%Y-%m-%d %H:%M} UTC, and this device believes it is "
            f"{now:%Y-%m-%d %H:%M}: check the clock."
        )
    if now > end:
        raise IdentityError(f"{path} expired on {end:%Y-%m-%d %H:%M} UTC: have the authority issue a new one.")


def _require_signer(leaf: x509.Certificate, roots: list[x509.Certificate], path: Path, root: Path) -> None:
    for candidate in roots:
        try:
            leaf.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature):
            continue
        _require_valid_now(candidate, root)
        return
    raise IdentityError(f"{path} was signed by no authority in {root}: take both from the same authority.")
