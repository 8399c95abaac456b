"""Answers are in the file whole and in order, or there is no file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mesh.errors import BadInput, PeerLost
from mesh.tensors import Tensors
from protocols.answers import write_answers
from protocols.arrays import tensors_of


def answers(count: int, *, ragged: bool = False) -> Iterator[Tensors]:
    for at in range(count):
        boxes = np.full((at if ragged else 2, 4), at, np.float32)
        yield tensors_of({"boxes": boxes, "count": np.array(at, np.int64)})


def test_each_output_is_an_array_with_an_axis_for_the_answers(tmp_path: Path) -> None:
    """numpy reads it as it reads its own."""
    assert 3 == write_answers(tmp_path / "out.npz", answers(3))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert {"boxes": (3, 2, 4), "count": (3,)} == {name: found[name].shape for name in found.files}
        assert [0, 1, 2] == found["count"].tolist()
        assert [0.0, 1.0, 2.0] == found["boxes"][:, 1, 3].tolist()
        assert np.float32 == found["boxes"].dtype


def test_an_output_of_changing_shape_is_an_array_for_each_answer(tmp_path: Path) -> None:
    """Nothing is padded, and nothing is lost."""
    write_answers(tmp_path / "out.npz", answers(3, ragged=True))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as found:
        assert ["boxes.0", "boxes.1", "boxes.2", "count"] == found.files
        assert [(0, 4), (1, 4), (2, 4)] == [found[f"boxes.{at}"].shape for at in range(3)]


def test_a_single_output_fits_in_an_npy(tmp_path: Path) -> None:
    """And more than one does not."""
    single = ({"count": answer["count"]} for answer in answers(4))
    assert 4 == write_answers(tmp_path / "out.npy", single)
    assert [0, 1, 2, 3] == np.load(tmp_path / "out.npy").tolist()
    with pytest.raises(BadInput, match="one array only"):
        write_answers(tmp_path / "two.npy", answers(2))


def test_a_failure_in_the_middle_leaves_no_file_and_no_draft(tmp_path: Path) -> None:
    """What was there before stays as it was."""
    (tmp_path / "out.npz").write_text("yesterday's")

    def broken() -> Iterator[Tensors]:
        yield from answers(2)
        raise PeerLost("abcdefgh", "It went away.")

    with pytest.raises(PeerLost):
        write_answers(tmp_path / "out.npz", broken())
    assert ["out.npz"] == [path.name for path in tmp_path.iterdir()]
    assert "yesterday's" == (tmp_path / "out.npz").read_text()


def test_what_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    """Another ending, or a folder that is not there."""
    with pytest.raises(BadInput, match=r"\.npz or \.npy"):
        write_answers(tmp_path / "out.csv", answers(1))
    with pytest.raises(BadInput, match="cannot be written"):
        write_answers(tmp_path / "nowhere" / "out.npz", answers(1))
