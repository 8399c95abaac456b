"""Owners' files: what is read, what is refused, and what digests of them tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh.errors import BadInput
from protocols.smpc.training.network import Layer
from protocols.smpc.training.spec import Holding, TrainingSpec
from protocols.smpc.training.tables import Rows, rows_of

TEXT = "id,ill,age,pulse\na,1,30,60\nb,0,50,70\nc,1,70,80\n"
HOLDING = Holding("me", "patients")
SPEC = TrainingSpec("risk", (HOLDING,), "columns", "ill", (Layer("dense", 1),), "logistic")


def read(folder: Path, text: str = TEXT, holding: Holding = HOLDING, **spec: Any) -> Rows:
    path = folder / "table.csv"
    path.write_text(text)
    return rows_of(path, holding, replace(SPEC, data=(holding,), **spec))


def test_a_table_is_read_in_its_own_order(tmp_path: Path) -> None:
    """Columns but for the id and the label, labels as 0 or 1, ids as they are written."""
    rows = read(tmp_path)
    np.testing.assert_array_equal([[30, 60], [50, 70], [70, 80]], rows.x)
    np.testing.assert_array_equal([[1], [0], [1]], rows.labels)
    assert ("a", "b", "c") == rows.ids


def test_columns_may_be_named_and_labels_left_to_another(tmp_path: Path) -> None:
    """In the order in which they are named."""
    rows = read(tmp_path, holding=Holding("me", "patients", ("pulse", "age"), labels=False))
    np.testing.assert_array_equal([60, 30], rows.x[0])
    assert (3, 0) == rows.labels.shape


def test_columns_are_brought_to_mean_0_and_deviation_1_where_that_is_wanted(tmp_path: Path) -> None:
    """A constant column becomes zero, and no infinity."""
    rows = read(tmp_path, TEXT.replace("60", "70").replace("80", "70"), standardise=True)
    np.testing.assert_allclose([0, 0], rows.x.mean(0), atol=1e-12)
    np.testing.assert_allclose([1, 0], rows.x.std(0), atol=1e-12)


def test_classes_become_one_1_a_row(tmp_path: Path) -> None:
    """As many columns as the network has outputs."""
    rows = read(tmp_path, TEXT.replace("b,0", "b,2"), layers=(Layer("dense", 3),), loss="cross-entropy")
    np.testing.assert_array_equal([[0, 1, 0], [0, 0, 1], [0, 1, 0]], rows.labels)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line of names"),
        ("id,ill,age\na,1,30\nb,0\n", "line 3"),
        ("id,ill,age\na,1,thirty\n", "line 2, column 'age'"),
        ("id,ill,age\na,1,inf\n", "no finite number"),
        ("id,age\na,30\n", "'ill'"),
        ("ill,age\n1,30\n", "no ids"),
        ("id,ill,age\na,3,30\n", "0 to 1"),
        ("id,ill\na,1\n", "needs"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    """And with what would do."""
    with pytest.raises(BadInput, match=says):
        read(tmp_path, text)


def test_arrays_are_read_as_well(tmp_path: Path) -> None:
    """Pictures are laid flat; ids may be numbers."""
    path = tmp_path / "digits.npz"
    np.savez(path, id=np.arange(4), x=np.ones((4, 1, 2, 2), np.uint8), ill=np.array([0, 1, 0, 1]))
    rows = rows_of(path, HOLDING, SPEC)
    assert (4, 4) == rows.x.shape
    assert ("0", "1", "2", "3") == rows.ids
    np.savez(path, x=np.ones((4, 2)), ill=np.zeros(3))
    with pytest.raises(BadInput, match="how many rows"):
        rows_of(path, HOLDING, SPEC)


def test_digests_tell_the_same_from_another_and_nothing_without_their_key(tmp_path: Path) -> None:
    """Of the ids, in order; and of everything, under a key."""
    rows = read(tmp_path)
    turned = read(tmp_path, "id,ill,age,pulse\nb,0,50,70\na,1,30,60\nc,1,70,80\n")
    assert rows.lines(b"salt") == read(tmp_path, TEXT.replace("30", "31")).lines(b"salt")
    assert rows.lines(b"salt") != turned.lines(b"salt")
    assert rows.lines(b"salt") != rows.lines(b"pepper")
    assert rows.fingerprint(b"key") == read(tmp_path).fingerprint(b"key")
    assert rows.fingerprint(b"key") != read(tmp_path, TEXT.replace("30", "31")).fingerprint(b"key")
    assert rows.fingerprint(b"key") != rows.fingerprint(b"other")
