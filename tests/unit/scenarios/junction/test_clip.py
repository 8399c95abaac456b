"""Reading video in a process of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mesh.errors import BadInput
from scenarios.junction.clip import clip_frames

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="the extra `video` is not installed")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames of 64 by 48 pixels, each of one grey: 20, 50, 80, ..."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 20 + 30 * number, dtype=np.uint8))
    writer.release()
    return path


@needs_opencv
def test_frames_come_in_order(clip: Path) -> None:
    """Every frame arrives once, in order, with its size and about its grey."""
    frames = list(clip_frames(clip))
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 6
    np.testing.assert_allclose([20, 50, 80, 110, 140, 170], [frame.mean() for frame in frames], atol=3)


@needs_opencv
def test_frames_can_be_skipped(clip: Path) -> None:
    """Of every two frames the first is given."""
    np.testing.assert_allclose([20, 80, 140], [frame.mean() for frame in clip_frames(clip, every=2)], atol=3)


@needs_opencv
def test_one_may_stop_early(clip: Path) -> None:
    """Closing the iterator ends the decoder with it."""
    frames = clip_frames(clip)
    next(frames)
    frames.close()  # type: ignore[attr-defined]


@needs_opencv
def test_what_is_no_video_gets_a_sentence(tmp_path: Path) -> None:
    """A text file is refused by name, with what to do."""
    path = tmp_path / "notes.mp4"
    path.write_text("not a film")
    with pytest.raises(BadInput, match=r"notes\.mp4 cannot be read as video.*convert"):
        list(clip_frames(path))


@needs_opencv
def test_a_missing_file_gets_a_sentence(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(BadInput, match="is no file"):
        list(clip_frames(tmp_path / "absent.mp4"))


def test_without_opencv_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sentence names the extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"veilmesh\[video\]"):
        list(clip_frames(tmp_path / "clip.mp4"))
