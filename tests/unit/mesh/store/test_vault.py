"""What is kept for a time: nobody else can read it, it is over when it is over, and it is gone when it is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.authority import Authority
from mesh.errors import IdentityError, StoreError
from mesh.ids import PeerId
from mesh.store.vault import SealedVault, vault_key

ANN, BOB = (PeerId.of_key(name) for name in (b"ann", b"bob"))
CANARY = b"the canary that never leaves its cage"


class Clock:
    """Seconds since the epoch, as told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_is_put_is_read_by_its_owner_and_name(tmp_path: Path) -> None:
    """In place of what was there; and another owner's is another thing."""
    vault = SealedVault(tmp_path, bytes(32))
    vault.put(ANN, "a/1", b"old", seconds=60)
    vault.put(ANN, "a/1", CANARY, seconds=60)
    vault.put(BOB, "a/1", b"bob's", seconds=60)
    assert (CANARY, b"bob's") == (vault.read(ANN, "a/1"), vault.read(BOB, "a/1"))
    with pytest.raises(StoreError, match="Nothing is kept"):
        vault.read(ANN, "a/2")


def test_nothing_on_the_disk_says_what_is_kept(tmp_path: Path) -> None:
    """Neither the bytes nor the name nor whose it is; and another key opens nothing."""
    SealedVault(tmp_path, bytes(32)).put(ANN, "the secret name", CANARY, seconds=60)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    said = b"".join(path.name.encode() + path.read_bytes() for path in files)
    for secret in (CANARY, b"the secret name", ANN.encode()):
        assert secret[:16] not in said
    other = SealedVault(tmp_path, b"1" * 32)
    assert [] == other.listing()
    with pytest.raises(StoreError, match="another key"):
        other.read(ANN, "the secret name")


def test_it_is_over_in_time_and_then_gone(tmp_path: Path) -> None:
    """Whether it is asked for or merely listed."""
    clock = Clock()
    vault = SealedVault(tmp_path, bytes(32), clock)
    for name in ("a", "b"):
        vault.put(ANN, name, CANARY, seconds=60)
    clock.now += 59
    assert CANARY == vault.read(ANN, "a")
    clock.now += 2
    with pytest.raises(StoreError, match="over"):
        vault.read(ANN, "a")
    assert [] == vault.listing()
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_names_are_listed_and_removed_by_their_beginnings(tmp_path: Path) -> None:
    """By whole parts, in the order of their numbers, of one owner or of all."""
    vault = SealedVault(tmp_path, bytes(32))
    for name in ("a/10", "a/2", "ab/1"):
        vault.put(ANN, name, b"1", seconds=60)
    vault.put(BOB, "a/1", b"1", seconds=60)
    assert ["a/2", "a/10"] == [kept.name for kept in vault.listing("a", ANN)]
    assert ["a/1", "a/2", "a/10"] == [kept.name for kept in vault.listing("a")]
    assert 2 == vault.remove(ANN, "a")
    assert [("a/1", BOB), ("ab/1", ANN)] == [(kept.name, kept.owner) for kept in vault.listing()]


@pytest.mark.parametrize("at", [0, 6, 30, -1])
def test_what_was_altered_is_not_read(tmp_path: Path, at: int) -> None:
    """Wherever a byte was changed."""
    vault = SealedVault(tmp_path, bytes(32))
    vault.put(ANN, "a", CANARY, seconds=60)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError):
        vault.read(ANN, "a")


def test_nobody_fills_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each owner may have so much kept, and no more."""
    monkeypatch.setattr("mesh.store.vault.MOST", 100)
    vault = SealedVault(tmp_path, bytes(32))
    vault.put(ANN, "a", bytes(80), seconds=60)
    vault.put(ANN, "a", bytes(90), seconds=60)
    vault.put(BOB, "a", bytes(90), seconds=60)
    with pytest.raises(StoreError, match="no room"):
        vault.put(ANN, "b", bytes(20), seconds=60)


def test_the_key_follows_from_the_devices_own(tmp_path: Path) -> None:
    """The same each time, another one for another device, and none without an identity."""
    authority = Authority.create(tmp_path / "authority", mesh="test")
    for name in ("ann", "bob"):
        authority.issue(tmp_path / name)
    assert vault_key(tmp_path / "ann") == vault_key(tmp_path / "ann") != vault_key(tmp_path / "bob")
    with pytest.raises(IdentityError, match="private key"):
        vault_key(tmp_path / "nobody")
