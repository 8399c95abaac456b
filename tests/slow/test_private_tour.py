"""The tour of a private job, as a person takes it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_camera_s_frame_and_somebody_else_s_model_are_nowhere_but_at_home() -> None:
    """On no link, in nothing that a single device is sent, in no log, in no file; and the search is shown to work."""
    command = [sys.executable, "-P", "-m", "scenarios.private_tour", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    if "unshare" in ran.stderr and not ran.stdout:
        pytest.skip(f"no namespace of its own here: {ran.stderr.strip()}")
    assert 0 == ran.returncode, ran.stderr
    told = json.loads(ran.stdout)
    assert told["sound"]
    assert told["connections"] > 30  # ten pairs, and the boxes' own
    found = {(one["place"], piece["secret"]) for one in told["private"] for piece in one["found"]}
    assert {("files of studio", "model")} == found
    assert [] == [one["missed"] for one in told["private"] + told["control"] if one["missed"]]
    assert any("picture" == piece["secret"] for one in told["control"] for piece in one["found"])
