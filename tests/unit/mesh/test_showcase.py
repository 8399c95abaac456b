"""What others may see of a device's models, and no more; and what it deletes when told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.blobs import BlobRef
from mesh.errors import BadInput, StoreError
from mesh.ids import PeerId
from mesh.messages import from_canonical
from mesh.protocol import ANYONE, Permits
from mesh.showcase import Shelf, Showcase
from mesh.store.catalogue import Catalogue, Manifest, Port
from mesh.store.memory import Memory
from tests.harness.vault import PlainVault

ANN, BOB = (PeerId.of_key(name) for name in (b"ann", b"bob"))
WEIGHTS, SOURCE = BlobRef.of(b"weights"), BlobRef.of(b"source")


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., Showcase]:
    """A device with a model that can be lent, and one that cannot."""
    store = Memory()
    store.add(b"weights")
    catalogue = Catalogue(tmp_path, store)
    port = Port("x", "float32", (1,))
    for name, kept in (("digits", ("weights",)), ("plain", ())):
        spec = {"program": [1], "weights": {"digest": WEIGHTS.digest}}
        notes = {"modes": {}, "range": {"largest": 7}}
        catalogue.put(Manifest(name, "private", SOURCE, (WEIGHTS,), (port,), (port,), spec, notes, kept))

    def of(*offers: tuple[str, str]) -> Showcase:
        return Showcase(catalogue, Permits(offers=offers), PlainVault())

    return of


@pytest.mark.parametrize(
    ("offers", "names"),
    [
        ((), []),
        ((("digits", ANN),), ["digits"]),
        ((("digits", BOB),), []),
        ((("*", ANYONE),), ["digits"]),
        ((("plain", ANYONE),), []),
        ((("gone", ANYONE),), []),
    ],
)
def test_only_what_is_offered_to_somebody_is_shown_to_them(
    shown: Callable[..., Showcase], offers: tuple[tuple[str, str], ...], names: list[str]
) -> None:
    """And only what can be lent."""
    showcase = shown(*offers)
    assert names == [model.name for model in showcase.listing(ANN).models]
    if not names:
        with pytest.raises(BadInput, match="offer you no model"):
            showcase.describe(ANN, offers[0][0] if offers else "digits")


def test_a_description_leaves_out_what_is_kept(shown: Callable[..., Showcase]) -> None:
    """No blob, no name of one, no note that nobody needs; and what others say of it, names who keeps it."""
    described = shown(("digits", ANN)).describe(ANN, "digits").manifest
    for secret in (WEIGHTS.digest, SOURCE.digest, "largest", "modes"):
        assert secret.encode() not in described
    manifest = from_canonical(Manifest, described)
    assert ({"program": [1]}, {}, ()) == (manifest.spec, manifest.notes, manifest.blobs)
    used = manifest.lent_by(BOB)
    assert (BOB, "digits", BOB) == (used.spec["lender"], used.spec["model"], used.at)


def test_only_ones_own_is_deleted(shown: Callable[..., Showcase]) -> None:
    """Nobody can have deleted what is kept for another."""
    vault = PlainVault()
    for owner in (ANN, BOB):
        vault.put(owner, "shares/a/0/s", b"1", seconds=1)
    showcase = Showcase(shown()._catalogue, Permits(), vault)
    assert (0, 1) == (showcase.forget(ANN, "b").count, showcase.forget(ANN, "a").count)
    assert [BOB] == [kept.owner for kept in vault.listing()]


def test_an_empty_shelf_refuses() -> None:
    """With a sentence."""
    with pytest.raises(StoreError, match="no such blob"):
        Shelf().chunk(WEIGHTS.digest, 0)
    with pytest.raises(BadInput, match="show nothing"):
        _ = Shelf().showcase
