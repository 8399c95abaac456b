"""Names that cannot be mixed up, and names that cannot be taken away."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import IdentityError
from mesh.ids import PeerId, belongs, new_session

A, B = PeerId.of_key(b"a"), PeerId.of_key(b"b")


@given(st.binary(max_size=200))
def test_an_id_is_the_hash_of_a_key(key: bytes) -> None:
    """52 characters that are a DNS label, and parse back to the same id."""
    peer = PeerId.of_key(key)
    assert 52 == len(peer)
    assert peer == PeerId.parse(peer)
    assert peer.short == peer[:7]
    assert hashlib.sha256(key).digest() == base64.b32decode(peer.upper() + "====")


@given(st.text(max_size=60))
def test_what_no_key_can_have_is_no_id(text: str) -> None:
    """Whatever somebody types either is an id in its one form, or is refused."""
    try:
        parsed = PeerId.parse(text)
    except IdentityError:
        return
    assert text == parsed


@pytest.mark.parametrize("wrong", [A.upper(), A + "a", A[:-1] + "b", " " + A, A + "\n", "", A[:-1] + "1"])
def test_an_id_has_one_form_only(wrong: str) -> None:
    """No upper case, no padding, no second spelling of the last character."""
    with pytest.raises(IdentityError):
        PeerId.parse(wrong)


def test_a_session_belongs_to_its_host() -> None:
    """Nobody else may name a session so."""
    session = new_session(A, bytes(8))
    assert belongs(session, A)
    assert not belongs(session, B)


@pytest.mark.parametrize("wrong", ["", "0" * 32, new_session(A, bytes(8)) + "0", new_session(A, bytes(8)).upper()])
def test_what_is_no_name_of_a_session_belongs_to_nobody(wrong: str) -> None:
    """32 hexadecimal digits in lower case, the first half its host's."""
    assert not belongs(wrong, A)


def test_sessions_of_one_host_differ_by_their_entropy() -> None:
    """All 64 bits count."""
    assert 3 == len({new_session(A, entropy) for entropy in (bytes(8), bytes(7) + b"\1", b"\1" + bytes(7))})


def test_an_id_is_short_in_logs() -> None:
    """Nobody reads 52 characters."""
    assert f"PeerId({A[:7]}…)" == repr(A)
