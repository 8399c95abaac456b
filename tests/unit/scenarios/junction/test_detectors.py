"""Recognising detectors, and turning their output into boxes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from mesh.errors import BadInput
from scenarios.junction.detectors import (
    DEFAULT_MODEL,
    FastestDet,
    JunctionDetector,
    Port,
    YoloxNano,
    ports,
    recognise,
    recognised_file,
)
from scenarios.junction.view import HEIGHT, WIDTH

ORDINARY = {"Add", "Cast", "Concat", "Constant", "Conv", "Mul", "Relu", "Resize", "Transpose"}


def test_the_committed_model_is_the_one_described() -> None:
    """The card's digest, size and shapes are those of the file beside it, which has at most 2 MB."""
    card = json.loads(DEFAULT_MODEL.with_suffix(".json").read_text())
    raw = DEFAULT_MODEL.read_bytes()
    assert (card["sha256"], card["bytes"]) == (hashlib.sha256(raw).hexdigest(), len(raw))
    assert len(raw) <= 2_000_000
    (frames,), (grid,) = ports(DEFAULT_MODEL)
    assert (frames.name, frames.dtype) == (card["input"]["name"], card["input"]["dtype"])
    assert list(frames.shape[1:]) == card["input"]["shape"][1:]
    assert (grid.name, list(grid.shape[1:])) == (card["output"]["name"], card["output"]["shape"][1:])


def test_the_committed_model_has_shortcuts_and_ordinary_operators() -> None:
    """It joins branches by addition and by concatenation, with operators that every runtime has."""
    kinds = {node.op_type for node in onnx.load(str(DEFAULT_MODEL)).graph.node}
    assert {"Add", "Concat", "Resize"} <= kinds <= ORDINARY


def test_the_junction_detector_runs() -> None:
    """A frame goes in, boxes on that frame come out, and two frames go as one batch."""
    detector = recognised_file(DEFAULT_MODEL)
    assert isinstance(detector, JunctionDetector)
    session = onnxruntime.InferenceSession(str(DEFAULT_MODEL), providers=["CPUExecutionProvider"])
    frame = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    feeds = detector.prepare(frame)
    (grid,) = session.run(None, {name: np.concatenate([array, array]) for name, array in feeds.items()})
    answers = [detector.decode({"grid": grid}, HEIGHT, WIDTH, row=row) for row in (0, 1)]
    assert answers[0] == answers[1]


def test_a_frame_of_another_size_is_stretched_and_its_boxes_with_it() -> None:
    """A detector of small frames answers in the pixels of the frame it was asked about."""
    detector = JunctionDetector()
    assert detector.prepare(np.zeros((480, 640, 3), dtype=np.uint8))["frames"].shape == (1, HEIGHT, WIDTH, 3)
    grid = np.full((1, 6, HEIGHT // 4, WIDTH // 4), -9.0, dtype=np.float32)
    grid[0, 0, 10, 10], grid[0, 2:, 10, 10] = 5.0, np.log(2.0)
    (small,), (large,) = (detector.decode({"grid": grid}, *size) for size in ((HEIGHT, WIDTH), (3 * HEIGHT, 2 * WIDTH)))
    assert (large.left, large.top) == pytest.approx((2 * small.left, 3 * small.top))


def test_fastestdet_decodes_by_its_own_rules() -> None:
    """Score obj^0.6 * class^0.4, middle (cell + tanh) / 22, size a sigmoid, all in shares of the frame."""
    answer = np.zeros((1, 85, 22, 22), dtype=np.float32)
    answer[0, 0, 11, 5], answer[0, 5 + 2, 11, 5] = 0.9, 0.8
    (car,) = FastestDet("input", "output").decode({"output": answer}, 220, 440)
    assert car.label == "car"
    assert car.score == pytest.approx(0.9**0.6 * 0.8**0.4)
    assert (car.left, car.top, car.right, car.bottom) == pytest.approx((-10.0, 55.0, 210.0, 165.0))


def test_yolox_decodes_by_its_own_rules() -> None:
    """Middle (cell + offset) * stride, size exp * stride, score obj * class, in the letterbox's scale."""
    answer = np.zeros((1, 3549, 85), dtype=np.float32)
    index = 52 * 52 + 3 * 26 + 4
    answer[0, index, :4] = 0.5, 0.5, np.log(2.0), np.log(1.0)
    answer[0, index, 4], answer[0, index, 5] = 0.9, 0.8
    (person,) = YoloxNano("images", "output").decode({"output": answer}, 832, 832)
    assert person.label == "person"
    assert person.score == pytest.approx(0.72)
    assert (person.left, person.top, person.right, person.bottom) == pytest.approx((112.0, 96.0, 176.0, 128.0))


def test_yolox_pads_below_and_right() -> None:
    """A wide frame fills the top of the square; the rest is grey 114, and blue comes first."""
    frame = np.zeros((100, 200, 3), dtype=np.uint8)
    frame[..., 2] = 200
    square = YoloxNano("images", "output").prepare(frame)["images"]
    assert square.shape == (1, 3, 416, 416)
    assert (square[0, 0, 10, 10], square[0, 2, 10, 10], square[0, 0, 300, 10]) == (200.0, 0.0, 114.0)


@pytest.mark.parametrize(
    ("dtype", "given", "answered", "kind"),
    [
        ("uint8", (None, HEIGHT, WIDTH, 3), (None, 6, 56, 96), JunctionDetector),
        ("float32", (1, 3, 352, 352), (1, 85, 22, 22), FastestDet),
        ("float32", (1, 3, 416, 416), (1, 3549, 85), YoloxNano),
    ],
)
def test_a_detector_is_known_by_its_shapes(
    dtype: str, given: tuple[int, ...], answered: tuple[int, ...], kind: type
) -> None:
    """Names and batch do not matter; the names become those to feed and to read."""
    found = recognise([Port("x", dtype, given)], [Port("y", "float32", answered)])
    assert found == kind("x", "y")


def test_an_unknown_model_gets_a_sentence() -> None:
    """It names what was given, what would be known, and what to do instead."""
    with pytest.raises(BadInput, match=r"x float32 \[1, 3, 8, 8\].*FastestDet.*mesh infer"):
        recognise([Port("x", "float32", (1, 3, 8, 8))], [Port("y", "float32", (1, 10))])


def test_a_model_with_two_inputs_is_unknown() -> None:
    """No known detector has two inputs."""
    port = Port("x", "float32", (1, 3, 352, 352))
    with pytest.raises(BadInput, match="no detector"):
        recognise([port, port], [Port("y", "float32", (1, 85, 22, 22))])


def test_a_file_that_is_no_model_gets_a_sentence(tmp_path: Path) -> None:
    """A missing file and a file of rubbish are told apart."""
    with pytest.raises(BadInput, match="No such file"):
        ports(tmp_path / "absent.onnx")
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"\xff" * 40)
    with pytest.raises(BadInput, match="no ONNX model"):
        ports(rubbish)
