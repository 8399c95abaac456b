"""Signs the certificates of a mesh's devices. Needed to join a mesh, never to run one.

An authority is a folder with `authority.key.pem` (keep it off the devices; best with a passphrase) and `root.pem`,
which every device gets a copy of.
"""

from __future__ import annotations

import datetime
import os
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.errors import ConfigError, IdentityError
from mesh.identity import DOMAIN, Identity, key_id, mesh_uri, node_uri, require_private, server_name
from mesh.ids import PeerId

__all__ = ["DOOR", "Authority", "Policy", "secret_in"]

DOOR = f"authority.{DOMAIN}"
"""The TLS name of whoever holds an authority's key. No device can have it: theirs are hashes of their keys."""

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Policy:
    """What an authority grants. `certs/policy.toml` is the same, written out, to be copied and changed."""

    key: Literal["P-256"] = "P-256"
    """The one kind of key there is: every TLS library has it, and it is as fast as any here."""

    authority_days: int = 3650
    """Days that the authority itself is valid. All its devices stop with it, so it is long."""

    device_days: int = 90
    """Days that a certificate made by hand is valid: how long a stolen key is of use. At most the authority's."""

    renewed_hours: int = 24
    """Hours that a certificate from the join door is valid. Devices renew theirs by themselves once two thirds are
    over, so shorter is safer, and the authority may be away for a third of it."""

    backdate: int = 3600
    """Seconds by which certificates start in the past: how far a device's clock may lag behind the authority's."""

    @classmethod
    def from_toml(cls, text: str) -> Policy:
        """Read a policy; what it does not mention keeps its default.

        Raises:
            ConfigError: an unknown name, or a value that makes no sense.
        """
        try:
            table = tomllib.loads(text)
            if unknown := table.keys() - set(cls.__slots__):
                raise ConfigError(f"a policy has no {', '.join(sorted(unknown))}: it has {', '.join(cls.__slots__)}.")
            policy = msgspec.convert(table, cls)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"the policy cannot be used: {error}.") from error
        if not (0 < policy.device_days <= policy.authority_days <= 36500 and 0 <= policy.backdate <= 30 * 86400):
            raise ConfigError(
                "the policy's days must be positive, a device's no more than its authority's (100 years)."
            )
        if not 1 <= policy.renewed_hours <= 24 * policy.device_days:
            raise ConfigError("the policy's renewed_hours must be 1 or more, and no longer than its device_days.")
        return policy

    @property
    def by_hand(self) -> datetime.timedelta:
        """How long a certificate is valid that a person issues."""
        return datetime.timedelta(days=self.device_days)

    @property
    def by_itself(self) -> datetime.timedelta:
        """How long a certificate is valid that its device renews by itself."""
        return datetime.timedelta(hours=self.renewed_hours)


class Authority:
    """The key that vouches for a mesh's devices. Made by `create` or `load`.

    Attributes:
        id: hash of its public key, in the form of a device's id.
        mesh: the mesh's name.
        root_pem: the authority's certificate, which every device needs as `root.pem`.
    """

    def __init__(self, mesh: str, key: ec.EllipticCurvePrivateKey, root: x509.Certificate, policy: Policy) -> None:
        self.id: PeerId = key_id(key.public_key())
        self.mesh = mesh
        self.root_pem = root.public_bytes(_PEM)
        self._key = key
        self._root = root
        self._policy = policy

    @classmethod
    def create(
        cls, folder: Path, *, mesh: str, passphrase: str | None = None, policy: Policy | None = None
    ) -> Authority:
        """Make a new authority in `folder`.

        Raises:
            IdentityError: there is one already, or `mesh` cannot be a name.
            ConfigError: `passphrase` is empty, or the folder cannot be written.
        """
        policy = policy or Policy()
        key = ec.generate_private_key(ec.SECP256R1())
        root = _root_certificate(mesh, key, policy)
        _folder(folder)
        # The key last and never over another: a folder with a key in it is a whole authority.
        _refuse_existing(folder / "authority.key.pem")
        _write(folder / "root.pem", root.public_bytes(_PEM), mode=0o644)
        _write(folder / "authority.key.pem", _key_pem(key, passphrase), mode=0o600)
        return cls(mesh, key, root, policy)

    @classmethod
    def load(cls, folder: Path, *, passphrase: str | None = None, policy: Policy | None = None) -> Authority:
        """The authority in `folder`.

        Raises:
            IdentityError: it is missing, incomplete, open to others, or locked with another passphrase.
        """
        path = folder / "authority.key.pem"
        require_private(path)
        key = _unlock(path, passphrase)
        try:
            root = x509.load_pem_x509_certificate((folder / "root.pem").read_bytes())
        except (OSError, ValueError) as error:
            raise IdentityError(f"{folder} has no readable root.pem ({error}): any device has a copy.") from error
        if key_id(root.public_key()) != key_id(key.public_key()):
            raise IdentityError(f"{folder}/root.pem belongs to another key: put the root of this authority back.")
        return cls(_mesh_of_root(root), key, root, policy or Policy())

    def issue(self, folder: Path) -> Identity:
        """Make a key and a certificate for one device, in `folder`.

        Better still is `sign`: then the key never leaves the device.

        Raises:
            IdentityError: there is a key already; it is not touched.
            ConfigError: the folder cannot be written.
        """
        _folder(folder)
        _refuse_existing(folder / "key.pem")
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(key.public_key(), self._policy.by_hand)
        _write(folder / "root.pem", self.root_pem, mode=0o644)
        _write(folder / "certificate.pem", certificate, mode=0o644)
        _write(folder / "key.pem", _key_pem(key, None), mode=0o600)
        return Identity.load(folder)

    def sign(self, csr_pem: bytes, *, renewable: bool = False) -> bytes:
        """A certificate, PEM, for the key in a signing request; whatever else the request asks for is ignored.

        Args:
            renewable: whether its device will renew it by itself, so that it need not last.

        Raises:
            IdentityError: no request, not signed with its own key, or not a P-256 key.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem)
            key = request.public_key()
        except ValueError as error:
            raise IdentityError(f"that is no signing request ({error}): `openssl req -new` makes one.") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise IdentityError("the request is not for a P-256 key, and nothing else is taken.")
        if not request.is_signature_valid:
            raise IdentityError("the request is not signed with the key it names: make it anew.")
        return self._certify(key, self._policy.by_itself if renewable else self._policy.by_hand)

    def vouch(self, data: bytes) -> bytes:
        """An ECDSA signature with SHA-256, DER. What is signed begins with what it is for."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def door(self) -> tuple[bytes, bytes]:
        """A key of its own and a certificate, PEM, to answer as `DOOR`: proof of this authority, and of no device."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._leaf("authority", key.public_key(), [x509.DNSName(DOOR)], self._policy.by_hand)
        return _key_pem(key, None), certificate

    def _certify(self, key: ec.EllipticCurvePublicKey, lasts: datetime.timedelta) -> bytes:
        peer = key_id(key)
        names = [x509.DNSName(server_name(peer)), x509.UniformResourceIdentifier(node_uri(self.mesh, peer))]
        return self._leaf(peer, key, names, lasts)

    def _leaf(
        self,
        common_name: str,
        key: ec.EllipticCurvePublicKey,
        names: list[x509.GeneralName],
        lasts: datetime.timedelta,
    ) -> bytes:
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        end = min(datetime.datetime.now(datetime.UTC) + lasts, self._root.not_valid_after_utc)
        return (
            _draft(common_name, key, self._policy)
            .issuer_name(self._root.subject)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(_PEM)
        )


def secret_in(file: Path | str) -> str | None:
    """The passphrase that is the file's first line; None where no file is named.

    Raises:
        ConfigError: it cannot be read.
    """
    if not str(file):
        return None
    try:
        return Path(file).read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the passphrase cannot be read from {file}: {error}.") from error


def _draft(common_name: str, key: ec.EllipticCurvePublicKey, policy: Policy) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=policy.backdate)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _root_certificate(mesh: str, key: ec.EllipticCurvePrivateKey, policy: Policy) -> x509.Certificate:
    uri = mesh_uri(mesh)
    draft = _draft(f"authority of {mesh}", key.public_key(), policy)
    # Whoever steals the key, or trusts this root elsewhere by mistake, gets names of this one mesh and no others.
    only = [x509.DNSName(DOMAIN), x509.UniformResourceIdentifier(mesh)]
    return (
        draft.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {mesh}")]))
        .not_valid_after(_in_days(policy.authority_days))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints(permitted_subtrees=only, excluded_subtrees=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _in_days(days: int) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)


def _mesh_of_root(root: x509.Certificate) -> str:
    try:
        names = root.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise IdentityError(
            "root.pem does not name its mesh: it was not made by our rules, see certs/README.md."
        ) from error
    mesh = uri.removeprefix("spiffe://")
    mesh_uri(mesh)
    return mesh


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: str | None) -> bytes:
    if passphrase is not None and len(passphrase) < 12:
        raise ConfigError(
            "a passphrase of fewer than 12 characters would not keep the authority's key: take a longer one."
        )
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        lock = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, lock)


def _unlock(path: Path, passphrase: str | None) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode() if passphrase else None)
    except TypeError as error:
        cure = "it has no passphrase: give none" if passphrase else "give its passphrase"
        raise IdentityError(f"{path} is not locked as expected: {cure}.") from error
    except (OSError, ValueError) as error:
        raise IdentityError(f"{path} does not open: the passphrase is wrong, or the file is damaged.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError(f"{path} is not a P-256 key, and nothing else is taken.")
    return key


def _folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error.strerror}): choose a folder that you may write.") from error


def _refuse_existing(key: Path) -> None:
    if key.exists():
        raise IdentityError(
            f"{key} exists already and is not overwritten: choose another folder, or move it away first."
        )


def _write(path: Path, data: bytes, *, mode: int) -> None:
    """Whole or not at all, and never readable by more than `mode` allows. A private file never replaces another."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600 from its first moment
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(handle, mode)
                os.fsync(handle)
            if mode & 0o077:
                temporary.replace(path)
            else:
                path.hardlink_to(temporary)  # fails where a key exists, even one that appeared just now
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise IdentityError(f"{path} exists already and is not overwritten: choose another folder.") from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): choose a folder that you may write."
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
