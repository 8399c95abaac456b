"""What a device says of itself, signed: nobody can speak for another, nor invent a device.

A statement carries its device's certificate, so whoever hears of a device from somebody else can check on the spot that
the authority let it in and that it said just this. A later statement has a higher incarnation, and replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.contracts import Address
from mesh.errors import BadFrame, ConfigError, IdentityError
from mesh.identity import attest
from mesh.ids import PeerId

__all__ = ["Facts", "SignedStatements", "Signer", "Statement", "Statements", "Verifier", "Voice", "signer", "verifier"]

LARGEST = 4096
"""Bytes of one statement; some 900 are usual."""

_CONTEXT = b"veilmesh statement 1\0"
_KNOWN = 4096


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device says of itself.

    Attributes:
        incarnation: grows with every statement; seconds since 1970 when it started, and one more each time.
        addresses: where it listens, "host:port".
        leaving: whether it is about to stop on purpose.
        memory: bytes that it would lend.
        speeds: multiply-adds a second, by protocol, as it measured itself.
        serves: protocols that it takes part in.
    """

    peer: str
    incarnation: int
    addresses: tuple[str, ...] = ()
    leaving: bool = False
    owner: str = ""
    memory: int = 0
    speeds: dict[str, float] = {}
    serves: tuple[str, ...] = ()

    def places(self) -> tuple[Address, ...]:
        """Where it listens, as far as that is written as it should be."""
        found = []
        for text in self.addresses[:8]:
            try:
                found.append(Address.parse(text))
            except ConfigError:
                continue
        return tuple(found)


class Statement(msgspec.Struct, frozen=True):
    """Facts, and the bytes that prove them."""

    facts: Facts
    data: bytes

    @property
    def peer(self) -> PeerId:
        return PeerId(self.facts.peer)


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    body: bytes
    certificate: bytes
    signature: bytes


class Statements(Protocol):
    """How a device makes statements, and checks those of others."""

    def make(self, facts: Facts) -> Statement:
        """A statement of ours."""

    def check(self, data: bytes) -> Statement:
        """Somebody's. Raises BadFrame: it is none; IdentityError: it proves nothing."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a device speaks for itself.

    Attributes:
        facts: what it says of itself now, with that incarnation.
        statements: how that is signed, and others' are checked.
        first: the first incarnation of this run; later than those of earlier ones, best seconds since 1970.
    """

    facts: Callable[[int], Facts]
    statements: Statements
    first: int = 1

    def speak(self, incarnation: int) -> Statement:
        """A statement of now."""
        return self.statements.make(self.facts(incarnation))


Signer = Callable[[bytes], bytes]
Verifier = Callable[[x509.Certificate], None]


def signer(key: ec.EllipticCurvePrivateKey) -> Signer:
    """Signs with a device's key: ECDSA, SHA-256."""
    return lambda data: key.sign(_CONTEXT + data, ec.ECDSA(hashes.SHA256()))


def verifier(roots: Callable[[], Sequence[x509.Certificate]]) -> Verifier:
    """Accepts certificates that one of these authorities has signed. When they end is looked at by TLS, not here."""

    def check(leaf: x509.Certificate) -> None:
        for root in roots():
            try:
                leaf.verify_directly_issued_by(root)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue
            return
        raise IdentityError("that statement's certificate is of no authority of this mesh")

    return check


class SignedStatements:
    """Statements under a device's certificate.

    Args:
        mesh: which all must belong to.
        certificate: this device's own, DER, as it is now.
        sign: with its key.
        verify: others' certificates.
    """

    def __init__(self, mesh: str, certificate: Callable[[], bytes], sign: Signer, verify: Verifier) -> None:
        self._mesh = mesh
        self._certificate = certificate
        self._sign = sign
        self._verify = verify
        self._proved: dict[bytes, x509.Certificate] = {}

    def make(self, facts: Facts) -> Statement:
        """A statement of ours."""
        body = msgspec.msgpack.encode(facts)
        return Statement(facts, msgspec.msgpack.encode(_Signed(body, self._certificate(), self._sign(body))))

    def check(self, data: bytes) -> Statement:
        """Somebody's.

        Raises:
            BadFrame: it is none, or too long.
            IdentityError: its device did not sign it, or is not of this mesh.
        """
        if len(data) > LARGEST:
            raise BadFrame(f"a statement of {len(data)} bytes; at most {LARGEST} are taken")
        try:
            signed = msgspec.msgpack.decode(data, type=_Signed)
            facts = msgspec.msgpack.decode(signed.body, type=Facts)
            leaf = self._proved.get(signed.certificate) or self._prove(signed.certificate)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError, x509.InvalidVersion) as error:
            raise BadFrame(f"not a statement: {error}") from error
        if attest(leaf, self._mesh) != facts.peer:
            raise IdentityError("that statement speaks for another device than its certificate")
        key = leaf.public_key()
        try:
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise InvalidSignature
            key.verify(signed.signature, _CONTEXT + signed.body, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise IdentityError("that statement is not signed by the device that it speaks for") from error
        return Statement(facts, data)

    def _prove(self, der: bytes) -> x509.Certificate:
        leaf = x509.load_der_x509_certificate(der)
        self._verify(leaf)
        if len(self._proved) >= _KNOWN:
            self._proved.clear()
        self._proved[der] = leaf
        return leaf
