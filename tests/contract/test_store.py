"""Every store keeps the contract, and the one on disk keeps it through power cuts and rot."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.blobs import CHUNK, BlobRef
from mesh.errors import StoreError
from mesh.store.contract import Store
from mesh.store.directory import Directory, write_atomically
from mesh.store.memory import Memory
from tests.contract.store import CHECKS, Check

STORES: dict[str, Callable[[Path], Store]] = {"directory": Directory, "memory": lambda _: Memory()}


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_store(kind: str, check: Check, tmp_path: Path) -> None:
    """The same laws for all of them."""
    check(STORES[kind](tmp_path / "store"))


def _file(store: Directory, ref: BlobRef) -> Path:
    return store.root / "sha256" / ref.digest[:2] / ref.digest


def test_rot_is_found_and_removed(tmp_path: Path) -> None:
    """One flipped bit is noticed on reading; the blob can be fetched again, as it is no longer here."""
    store = Directory(tmp_path)
    ref = store.add(b"some bytes")
    _file(store, ref).write_bytes(b"some bytfs")
    with pytest.raises(StoreError, match="damaged"):
        store.read(ref.digest)
    assert ref.digest not in store


def test_a_draft_is_no_blob(tmp_path: Path) -> None:
    """What a power cut left half written is neither listed nor found."""
    store = Directory(tmp_path)
    ref = store.add(b"whole")
    (_file(store, ref).parent / ".draft-abc").write_bytes(b"half")
    assert [ref.digest] == list(store)


def test_a_store_outlives_its_process(tmp_path: Path) -> None:
    """Whole blobs, and the chunks of one that was being fetched."""
    large = bytes(2 * CHUNK)
    ref, first = BlobRef.of(large), Directory(tmp_path)
    kept = first.add(b"kept")
    first.append(ref, 0, large[:CHUNK])
    second = Directory(tmp_path)
    assert b"kept" == second.read(kept.digest)
    assert 1 == second.resume(ref)


def test_nobody_else_may_look_inside(tmp_path: Path) -> None:
    """Folders 0700, blobs 0600."""
    store = Directory(tmp_path / "store")
    ref = store.add(b"private")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (store.root, store.root / "partial", _file(store, ref))]
    assert [0o700, 0o700, 0o600] == modes


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """No draft, and no half-written file in its place."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        write_atomically(tmp_path / "folder" / "file" / "below", b"data")
    with pytest.raises(StoreError):
        write_atomically(tmp_path / "folder", b"data")
    assert ["folder"] == [path.name for path in tmp_path.iterdir()]
    assert b"in the way" == (tmp_path / "folder" / "file").read_bytes()


def test_a_place_that_cannot_hold_a_store_is_named(tmp_path: Path) -> None:
    """Before anything is asked of it."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        Directory(tmp_path / "file")


def test_a_link_out_of_the_store_is_not_written_through(tmp_path: Path) -> None:
    """A blob replaces whatever has its name; it never writes into another file."""
    store, ref = Directory(tmp_path / "store"), BlobRef.of(b"blob")
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    _file(store, ref).parent.mkdir(parents=True)
    _file(store, ref).symlink_to(tmp_path / "nowhere")
    store.add(b"blob")
    assert b"untouched" == outside.read_bytes()
    assert b"blob" == store.read(ref.digest)
    assert not (tmp_path / "nowhere").exists()
