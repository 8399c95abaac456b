"""What goes between boxes, decrypted, as each party's box receives it; and boxes that do not do as they should."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from mesh.errors import MeshError
from protocols.arrays import arrays_of, tensors_of
from protocols.smpc.protocol import Private
from scenarios.city import TLS, City
from scenarios.evidence.traces import Traces, forms_of
from tests.harness.private import Case, equip, mlp
from tests.stories.test_private import boxes

BOX = "tests.privacy.overheard_box"
SECOND = 1.0


def twisted(case: Case, folder: Path, count: int = 1, deadline: float = 60.0, **spec: Any) -> tuple[list[Any], Any]:
    """Answers of four devices with such boxes, or the error; and that nothing is left of them."""
    inputs = case.inputs(count)

    async def story() -> tuple[list[Any], Any, list[str]]:
        answers, error = [], None
        async with City(TLS, 4, equip(case, protocol=partial(Private, inside=BOX))) as city:
            before = _ports()
            try:
                async with city.serve(0, case.job(deadline, **spec)) as service:
                    stream = service.stream(tensors_of({"x": x}) for x in inputs)
                    answers += [arrays_of(answer)["y"] async for answer in stream]
            except MeshError as caught:
                error = caught
            left = await city.wait_quiet(15)
            left += [f"port {port}" for port in _ports() - before]
        return answers, error, left

    answers, error, left = TLS.run(story())
    assert ([], []) == (left, boxes())
    assert [] == sorted(folder.iterdir())
    return answers, error


def _ports() -> set[int]:
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return {one.laddr.port for process in ours for one in process.net_connections("tcp") if one.status == "LISTEN"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a box that keeps a file for a while would put it."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


@pytest.mark.parametrize("secret", ["both", *(pytest.param(one, marks=pytest.mark.slow) for one in ("input", "model"))])
def test_no_box_is_sent_a_piece_of_what_is_secret(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor of the answers, in no form, over all requests; and no log holds any. One share of each is all they have."""
    case, ear = mlp(), tmp_path / "ear"
    ear.mkdir()
    monkeypatch.setenv("BOX_EAR", str(ear))

    answers, error = twisted(case, folder, 3, secret=secret)

    assert error is None
    weights = np.frombuffer(case.weights, "<f4")
    forms = {"model": forms_of(weights, 18), "input": forms_of(np.concatenate(case.inputs(3)), 18)}
    traces = Traces({**forms, "result": forms_of(np.concatenate(answers), 18)})
    heard = {path.name.split()[1]: path.read_bytes() for path in ear.iterdir()}
    assert {"1", "2"} <= heard.keys()  # number 0 is sent nothing in the course of a program
    for party, data in heard.items():
        assert [] == traces.search(data), party
    assert [] == traces.search(caplog.text.encode())


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The same search in the same forms finds a piece of either, wherever it is laid."""
    case = mlp()
    weights = np.frombuffer(case.weights, "<f4")
    traces = Traces({"model": forms_of(weights, 18)})
    for form in forms_of(weights, 18).values():
        for at in range(7, 23):
            assert traces.search(os.urandom(at) + form[4096 + at : 4096 + at + 48] + os.urandom(999))


@pytest.mark.parametrize(
    ("party", "after"),
    [
        (1, 0),
        *(
            pytest.param(party, after, marks=pytest.mark.slow)
            for party in range(3)
            for after in (0, 1, 2, 3, 5, 8)
            if (party, after) != (1, 0)
        ),
    ],
)
def test_a_box_that_dies_at_any_exchange_is_told_of_in_seconds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, party: int, after: int
) -> None:
    """Whichever it is and whenever: a mesh error, and no process, port or file is left behind."""
    monkeypatch.setenv("BOX_TWIST", f"vanish {party} {after}")

    answers, error = twisted(mlp(), folder, deadline=4 * SECOND)

    assert (1, None) == (len(answers), error) or isinstance(error, MeshError)


@pytest.mark.parametrize("what", ["stall", "lengthen"])
def test_a_box_that_stops_or_follows_another_plan_is_found_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Silence is noticed after a while, and a message of another length than the plan's at once; no answer comes."""
    monkeypatch.setenv("BOX_TWIST", f"{what} 1 0")

    answers, error = twisted(mlp(), folder, deadline=6 * SECOND, patience=2 * SECOND)

    assert [] == answers
    assert isinstance(error, MeshError)


@pytest.mark.parametrize("party", [1, *(pytest.param(party, marks=pytest.mark.slow) for party in (0, 2))])
def test_with_abort_a_box_that_lies_is_found_out_before_anything_is_revealed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, party: int
) -> None:
    """Bytes as many as agreed, and others: whichever of the three sends them, no answer comes, right or wrong."""
    monkeypatch.setenv("BOX_TWIST", f"garble {party} 2")

    answers, error = twisted(mlp(), folder, deadline=6 * SECOND, abort="yes")

    assert [] == answers
    assert isinstance(error, MeshError)


def test_with_abort_honest_boxes_answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds liars out takes nobody else for one."""
    monkeypatch.delenv("BOX_TWIST", raising=False)
    case = mlp()

    answers, error = twisted(case, folder, 2, abort="yes")

    assert error is None
    for x, answer in zip(case.inputs(2), answers, strict=True):
        np.testing.assert_allclose(case.expected(x), answer, atol=1e-3)
