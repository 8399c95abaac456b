"""Only a device itself can speak for it, and only a device of the mesh."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.admission.requests import key_of
from mesh.authority import Authority
from mesh.errors import IdentityError, MeshError
from mesh.identity import Identity
from mesh.membership.statements import LARGEST, Facts, SignedStatements, signer, verifier

MESH = "test-street"


def voice(identity: Identity, *authorities: Authority) -> SignedStatements:
    """How a device makes statements, and whom it believes."""
    leaf = x509.load_pem_x509_certificate(identity.certificate.read_bytes()).public_bytes(Encoding.DER)
    roots = [x509.load_pem_x509_certificate(authority.root_pem) for authority in authorities]
    sign = signer(key_of(identity.key.read_bytes()))
    return SignedStatements(identity.mesh, lambda: leaf, sign, verifier(lambda: roots))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"), mesh=MESH)


@pytest.fixture(scope="module")
def device(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return authority.issue(tmp_path_factory.mktemp("device"))


def test_a_statement_is_what_was_said(authority: Authority, device: Identity) -> None:
    """Everything that a device says of itself arrives as it was said, and in well under its bound."""
    facts = Facts(str(device.peer), 7, ("192.0.2.1:7411",), owner="alder", memory=2**30, speeds={"sharded": 1e9})
    said = voice(device, authority).make(facts)

    assert voice(device, authority).check(said.data).facts == facts
    assert len(said.data) < LARGEST / 4


def test_nobody_speaks_for_another(authority: Authority, device: Identity, tmp_path: Path) -> None:
    """Not a member for another member, not a stranger, and not a device of another mesh."""
    other = authority.issue(tmp_path / "other")
    stranger = Authority.create(tmp_path / "stranger", mesh=MESH)
    cousin = Authority.create(tmp_path / "cousin", mesh="elm-street")
    outsiders = [
        (one, one.issue(tmp_path / f"of {one.mesh} {number}")) for number, one in enumerate((stranger, cousin))
    ]
    listener = voice(device, authority, cousin)

    with pytest.raises(IdentityError, match="another device"):
        listener.check(voice(other, authority).make(Facts(str(device.peer), 9)).data)
    for outside, outsider in outsiders:
        with pytest.raises(IdentityError):
            listener.check(voice(outsider, outside).make(Facts(str(outsider.peer), 9)).data)


@example(place=164, bit=0)  # a certificate of a version that there is none of
@given(place=st.integers(0, 2000), bit=st.integers(0, 7))
def test_a_changed_statement_proves_nothing(authority: Authority, device: Identity, place: int, bit: int) -> None:
    """Wherever a bit changes on the way: it is noticed, or what was said is still what was said, to the letter."""
    said = voice(device, authority).make(Facts(str(device.peer), 7, owner="alder"))
    place %= len(said.data)
    changed = said.data[:place] + bytes([said.data[place] ^ (1 << bit)]) + said.data[place + 1 :]

    with warnings.catch_warnings(action="ignore"), suppress(MeshError):
        assert said.facts == voice(device, authority).check(changed).facts


@given(st.binary(max_size=300))
def test_rubbish_is_no_statement(authority: Authority, device: Identity, data: bytes) -> None:
    """Whatever the bytes are, the answer is an error of ours."""
    with pytest.raises(MeshError):
        voice(device, authority).check(data)
