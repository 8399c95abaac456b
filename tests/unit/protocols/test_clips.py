"""Clips are decoded in a process of their own, which is gone when nobody reads any more."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mesh.errors import BadInput, ConfigError
from protocols import clips
from protocols.clips import frames_of


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames, each of one grey."""
    cv2 = pytest.importorskip("cv2", reason="the extra `video` is not installed")
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for at in range(12):
        writer.write(np.full((48, 64, 3), 20 * at, np.uint8))
    writer.release()
    return path


def test_every_frame_comes_in_order(clip: Path) -> None:
    """As (height, width, 3), with what compression leaves of its colours."""
    greys = [(frame.shape, float(frame.mean())) for frame in frames_of(clip)]
    assert [(48, 64, 3)] * 12 == [shape for shape, _ in greys]
    np.testing.assert_allclose([20 * at for at in range(12)], [grey for _, grey in greys], atol=4)


def test_whoever_has_seen_enough_leaves_no_process_behind(clip: Path) -> None:
    """The decoder stops with its reader."""
    frames = frames_of(clip)
    assert 2 == len(list(islice(frames, 2)))
    frames.close()  # type: ignore[attr-defined]


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    """A missing file, and one that no decoder understands."""
    pytest.importorskip("cv2", reason="the extra `video` is not installed")
    with pytest.raises(BadInput, match="no such file"):
        next(frames_of(tmp_path / "none.mp4"))
    (tmp_path / "text.mp4").write_text("not a clip")
    with pytest.raises(BadInput, match="frame 0"):
        next(frames_of(tmp_path / "text.mp4"))


def test_without_the_extra_it_says_which_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV is no part of the base install."""
    monkeypatch.setattr(clips, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"veilmesh\[video\]"):
        next(frames_of(tmp_path / "clip.mp4"))
