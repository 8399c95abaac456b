"""Private inference among several people, as they run it: one lends, one asks, one is told, three compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesh import blocking
from tests.cli.street import Neighbour, mesh, street
from tests.harness.private import lenet

NAMES = ["ada", "bob", "cyd", "dan", "eve"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Five nodes of five owners. Whoever they are, each lends "digits" to anyone, and takes results from anyone."""
    folder, case = tmp_path_factory.mktemp("town"), lenet()
    (folder / "lenet.onnx").write_bytes(case.model.SerializeToString())
    np.save(folder / "digits.npy", np.stack(case.inputs(3)))
    (folder / "mesh.toml").write_text('offers = ["digits=anyone"]\nreceives = ["anyone"]\nboxes = "24100-24299"\n')
    with street(folder, NAMES, "--config", str(folder / "mesh.toml"), owners=True) as nodes:
        yield folder, case, nodes


def run(node: Neighbour, *words: str | Path) -> Any:
    """What a command of that node says in JSON."""
    done = mesh(*words, "--json", state=node.state)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def test_a_lent_model_answers_whoever_is_named(town: Any) -> None:
    """Added and calibrated by one, seen and asked by another, read by a third; who asked is told who was told."""
    folder, case, nodes = town
    ada, bob, cyd = nodes[:3]
    added = run(bob, "models", "add", "digits", folder / "lenet.onnx", "--protocol", "private", "--calibrate",
                folder / "digits.npy")  # fmt: skip
    assert "tried with 3 inputs" in added["notices"][0]
    lent = [model for model in run(ada, "models", "list") if model["at"]]
    assert [("digits", bob.ready["peer"], 0)] == [(each["name"], each["at"], each["size"]) for each in lent]
    model, receiver = f"digits@{bob.ready['peer'][:9]}", cyd.ready["peer"]
    report = run(ada, "infer", model, "--input", folder / "digits.npy", "--mode", "private", "--receiver", receiver[:9],
                 "--as", "street")  # fmt: skip
    assert ({receiver: 3}, "street") == (report["told"], report["name"])
    assert 3 == len(report["parties"])
    assert all(spent["answers"] == 3 and spent["sent"] for spent in report["parties"].values())
    assert 0 == mesh("results", "save", "street", folder / "street.npz", state=cyd.state).returncode
    with np.load(folder / "street.npz") as answers:
        expected = np.stack([case.expected(x) for x in case.inputs(3)])
        np.testing.assert_allclose(expected, answers["y"], atol=1e-3)
    run(cyd, "results", "remove", "street")
    with blocking.connect(cyd.state / "control.sock") as node:
        assert [] == [kept for kept in node.results() if kept.kind == "answers"]


def test_answers_are_kept_by_the_three_and_deleted_when_told(town: Any) -> None:
    """In Python; who asked is given nothing until it asks again."""
    _, case, nodes = town
    ada = nodes[0]
    with blocking.connect(ada.state / "control.sock") as node:
        name = f"digits@{nodes[1].ready['peer']}"
        assert {} == node.infer(name, {"x": case.inputs()[0]}, mode="private", receiver="shares", name="hidden")
        (kept,) = [kept for kept in node.results() if kept.kind == "elsewhere"]
        assert ("hidden", 1, 3) == (kept.name, kept.count, len(kept.keepers))
        assert [] == node.remove_result("hidden")
        assert [] == node.results()
    for other in nodes[1:]:
        with blocking.connect(other.state / "control.sock") as node:
            assert [] == [kept for kept in node.results() if kept.kind == "shares"]


def test_answers_are_compared_with_the_models_own_file(town: Any) -> None:
    """By who has both; and a public beginning changes nothing of them."""
    folder, _, nodes = town
    run(nodes[0], "models", "add", "half", folder / "lenet.onnx", "--protocol", "private", "--public-until",
        "maxpool2_0")  # fmt: skip
    report = run(nodes[0], "infer", "half", "--input", folder / "digits.npy", "--check", folder / "lenet.onnx")
    assert 0 < report["largest_error"] < 1e-3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("infer", "digits@zz", "--input", "digits.npy"), "begins with 'zz'"),
        (("infer", "half", "--input", "digits.npy", "--receiver", "zz"), "begins with 'zz'"),
        (("infer", "half", "--input", "digits.npy", "--receiver", "shares", "--out", "a.npz"), "--receiver me"),
        (("infer", "half", "--input", "kept:nothing"), "no such answers"),
        (("infer", "half", "--input", "digits.npy", "--check", "digits.npy"), "not"),
        (("results", "save", "nothing", "a.npz"), "No answers are here"),
        (("results", "remove", "nothing"), "Nothing is kept"),
    ],
)
def test_what_cannot_be_is_one_sentence(town: Any, words: tuple[str, ...], sentence: str) -> None:
    """And no device is troubled for long."""
    folder, _, nodes = town
    named = [str(folder / word) if word.endswith((".npy", ".npz")) else word for word in words]
    done = mesh(*named, state=nodes[0].state)
    assert done.returncode
    assert 1 == len(done.stderr.strip().splitlines())
    assert sentence.lower() in done.stderr.lower()
