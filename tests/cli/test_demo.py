"""The main job, as `make demo` runs it: real processes, real mDNS, and one of them killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ASSETS = Path(__file__).parents[3] / "shared" / "assets"


def demo(folder: Path, *options: str) -> dict[str, object]:
    """Run it to its end; its report."""
    command = [sys.executable, "-P", "-m", "mesh", "demo", "--json", "--out", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, object] = json.loads(done.stdout)
    return report


def test_the_demo_keeps_its_promise(tmp_path: Path) -> None:
    """Every frame is answered once, with the whole model's bytes, though a device dies; and nothing is left running."""
    report = demo(tmp_path / "out", "--frames", "24")
    assert (24, 24, 0, 0, 0) == tuple(report[name] for name in ("frames", "answered", "lost", "twice", "differing"))
    assert (2, 12) == (report["sessions"], report["killed_after"])
    assert report["killed"] in {device["device"] for device in report["devices"] if not device["alive"]}  # type: ignore[attr-defined]
    assert (tmp_path / "out" / "frame.png").read_bytes().startswith(b"\x89PNG")
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert [] == [process for process in psutil.process_iter(["cmdline"]) if "mesh-demo-" in str(process.info)]


def test_a_video_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """The cause and the cure on one line of stderr, and nothing is started."""
    command = [sys.executable, "-P", "-m", "mesh", "demo", "--video", str(tmp_path / "no.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("mesh: ")
    assert "no.mp4" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["FastestDet.onnx", "yolox_nano_opencvzoo.onnx"])
def test_a_real_clip_through_a_real_detector(detector: str, tmp_path: Path) -> None:
    """The same promise for a street camera's clip and a detector trained elsewhere."""
    clip, model = ASSETS / "videos" / "ahmetozlu_input_video.mp4", ASSETS / "detectors" / detector
    if not (clip.exists() and model.exists()):
        pytest.skip("the clips and detectors to measure with are not here")
    report = demo(tmp_path / "out", "--frames", "40", "--video", str(clip), "--model", str(model))
    assert (40, 0, 0, 0) == tuple(report[name] for name in ("answered", "lost", "twice", "differing"))
