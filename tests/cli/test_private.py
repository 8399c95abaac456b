"""Private inference as a person runs it: four nodes of four owners, each a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.cli.street import mesh, street
from tests.harness.private import lenet


def test_a_model_is_added_once_and_answers_without_being_shown(tmp_path: Path) -> None:
    """`mesh models add --protocol private`, then `mesh infer --mode private`: the answers of ONNX Runtime."""
    case = lenet()
    (tmp_path / "lenet.onnx").write_bytes(case.model.SerializeToString())
    inputs = np.stack(case.inputs(3))
    np.save(tmp_path / "digits.npy", inputs)
    out = tmp_path / "answers.npz"
    with street(tmp_path, ["ada", "bob", "cyd", "dan"], owners=True) as nodes:
        state = nodes[0].state
        added = mesh("models", "add", "digits", tmp_path / "lenet.onnx", "--protocol", "private", "--json", state=state)
        assert 0 == added.returncode, added.stderr
        assert ("digits", "private") == tuple(json.loads(added.stdout)[name] for name in ("name", "protocol"))
        command = ("infer", "digits", "--input", tmp_path / "digits.npy", "--mode", "private", "--out", out, "--json")
        ran = mesh(*command, state=state)
        assert 0 == ran.returncode, ran.stderr
        plan = json.loads(ran.stdout)["plan"]
    assert ["owner", "party", "party", "party"] == [stage["role"] for stage in plan["stages"]]
    with np.load(out) as answers:
        expected = np.stack([case.expected(x) for x in inputs])
        np.testing.assert_allclose(expected, answers["y"], atol=1e-3)


def test_whoever_lacks_other_owners_is_told_so(tmp_path: Path) -> None:
    """Three devices that say no owner: nothing begins, and the sentence says what to set."""
    case = lenet()
    (tmp_path / "lenet.onnx").write_bytes(case.model.SerializeToString())
    np.save(tmp_path / "digits.npy", np.stack(case.inputs()))
    with street(tmp_path, ["ada", "bob", "cyd"]) as nodes:
        state = nodes[0].state
        mesh("models", "add", "digits", tmp_path / "lenet.onnx", "--protocol", "private", state=state)
        ran = mesh("infer", "digits", "--input", tmp_path / "digits.npy", state=state)
    assert ran.returncode
    assert "different owners" in ran.stderr
    assert "`owner`" in ran.stderr


def test_what_is_and_is_not_promised_is_explained() -> None:
    """`mesh explain private` says who must not collude, and that there is no dealer."""
    told = mesh("explain", "private")
    assert 0 == told.returncode, told.stderr
    text = " ".join(told.stdout.split())
    assert "no dealer" in text
    assert "two computing devices that pool what they hold" in text
    assert "private.share" in text
