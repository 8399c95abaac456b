"""Signing requests: what a device shows of its key, and what it asks for with it."""

from __future__ import annotations

from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mesh.errors import IdentityError
from mesh.identity import key_id
from mesh.ids import PeerId

__all__ = ["Purpose", "key_of", "read_request", "write_request"]

Purpose = Literal["join", "leave"]
"""What a request is made for. It is signed, so one made to join cannot be used to put its device out."""


def write_request(key: ec.EllipticCurvePrivateKey, purpose: Purpose) -> str:
    """A request, PEM, signed with `key`. Its subject says what it is for; the authority uses nothing else of it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"veilmesh {purpose}")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def read_request(pem: str, purpose: Purpose | None = None) -> PeerId:
    """Whose request that is: its signature is checked.

    Args:
        purpose: what it must have been made for; None takes any.

    Raises:
        IdentityError: it is no request, is not signed with its own key, or was made for something else.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        peer = key_id(request.public_key())
        names = [str(name.value) for name in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise IdentityError(f"that is no signing request ({error})") from error
    if not signed:
        raise IdentityError("the request is not signed with the key it names: make it anew")
    if purpose is not None and names != [f"veilmesh {purpose}"]:
        raise IdentityError(f"the request was not made to {purpose}: make it anew")
    return peer


def key_of(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """A device's key. Raises IdentityError: it is none, or not on P-256."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise IdentityError(f"that is no device's key ({error})") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError("that key is not on P-256, and nothing else is taken")
    return key
