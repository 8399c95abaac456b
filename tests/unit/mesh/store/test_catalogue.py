"""The models that a device knows by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mesh.blobs import BlobRef
from mesh.errors import BadInput, StoreError
from mesh.store.catalogue import Catalogue, Manifest, Port
from mesh.store.memory import Memory


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def catalogue(tmp_path: Path, store: Memory) -> Catalogue:
    return Catalogue(tmp_path / "models", store)


def manifest(store: Memory, name: str = "junction", blobs: tuple[bytes, ...] = (b"one", b"two")) -> Manifest:
    port = Port("image", "float32", (1, 3, -1, -1))
    refs = tuple(store.add(blob) for blob in blobs)
    return Manifest(name, "sharded", BlobRef.of(b"source"), refs, (port,), (port,), {"a": [1]}, {"b": "c"})


def test_what_is_put_is_found(catalogue: Catalogue, store: Memory) -> None:
    """Under its name, with everything that was said of it."""
    made = manifest(store)
    catalogue.put(made)
    assert made == catalogue.find("junction")
    assert ["junction"] == catalogue.names()


def test_a_model_without_its_blobs_is_not_kept(catalogue: Catalogue, store: Memory) -> None:
    """It could not be run."""
    made = manifest(store)
    store.remove(made.blobs[0].digest)
    with pytest.raises(StoreError, match="not in the store"):
        catalogue.put(made)
    assert [] == catalogue.names()


def test_removing_a_model_spares_what_others_need(catalogue: Catalogue, store: Memory) -> None:
    """Its own blobs go, shared ones stay."""
    catalogue.put(manifest(store))
    catalogue.put(manifest(store, "other", (b"two", b"three")))
    catalogue.remove("junction")
    assert ["other"] == catalogue.names()
    assert sorted(BlobRef.of(blob).digest for blob in (b"two", b"three")) == list(store)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "A", "x" * 65, "a\n", "-a"])
def test_no_name_leads_out_of_the_folder(catalogue: Catalogue, store: Memory, name: str) -> None:
    """Neither when a model is made nor when it is looked for."""
    with pytest.raises(BadInput):
        replace(manifest(store), name=name)
    with pytest.raises(BadInput):
        catalogue.find(name)


def test_a_missing_model_is_answered_with_those_there_are(catalogue: Catalogue, store: Memory) -> None:
    """And with how to add one where there is none."""
    with pytest.raises(BadInput, match="mesh models add"):
        catalogue.find("junction")
    catalogue.put(manifest(store))
    with pytest.raises(BadInput, match="Known: junction"):
        catalogue.find("crossing")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff", b'{"name":"../x"}'])
def test_a_damaged_file_is_said_to_be_damaged(
    catalogue: Catalogue, store: Memory, tmp_path: Path, damage: bytes
) -> None:
    """With what to do about it."""
    catalogue.put(manifest(store))
    (tmp_path / "models" / "junction.json").write_bytes(damage)
    with pytest.raises(StoreError, match="add the model again"):
        catalogue.find("junction")


def test_a_file_that_contradicts_itself_is_damaged_too(catalogue: Catalogue, store: Memory, tmp_path: Path) -> None:
    """Such as a blob whose chunks do not fit its size."""
    catalogue.put(manifest(store))
    path = tmp_path / "models" / "junction.json"
    path.write_bytes(path.read_bytes().replace(b'"size":6', b'"size":-6'))
    with pytest.raises(StoreError, match="damaged"):
        catalogue.find("junction")
