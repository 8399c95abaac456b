"""Real networks, found beside the checkout, cut everywhere and grouped in many ways: not one bit changes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest

from protocols.runtimes.models import pack
from protocols.sharded.graph import Graph, optimise
from protocols.sharded.planner import Machine, lay_out, pieces_of
from protocols.sharded.prepare import observe, prepare, sample_of
from tests.unit.protocols.families import Array, oracle
from tests.unit.protocols.sharded.test_exact import handed_on, run_parts

ASSETS = Path(__file__).parents[3] / "shared" / "assets"
MODELS = (
    "detectors/FastestDet.onnx",
    "detectors/yolox_nano_opencvzoo.onnx",
    "classifiers/squeezenet1_0_deepcompression_fp32.onnx",
    "classifiers/super_resolution.onnx",
    "classifiers/resnet8_cifar10_fp32.onnx",
    "classifiers/mnist-8_ort-examples.onnx",
    "faces/version-RFB-320.onnx",
    "lm/stories260K_fp32.onnx",
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(params=MODELS, ids=lambda name: Path(name).stem)
def path(request: pytest.FixtureRequest) -> Path:
    found = ASSETS / str(request.param)
    if not found.is_file():
        pytest.skip(f"the real model {request.param} does not lie beside this checkout")
    return found


def feeds_of(path: Path) -> dict[str, Array]:
    """Random inputs that are no zeros; sentences of eleven tokens for the language model."""
    if path.parent.name == "lm":
        return {"input_ids": np.random.default_rng(1).integers(0, 512, (1, 11))}
    return sample_of(onnx.load(path))


def test_every_legal_cut(path: Path) -> None:
    """Wherever a real model may be cut in two, the two parts give the bytes of the whole file in one session."""
    feeds = feeds_of(path)
    expected = oracle(onnx.load(path), feeds)
    graph = Graph(optimise(path.read_bytes()))
    types = observe(graph, feeds).types
    legal = graph.legal(types)

    assert len(legal) == len(graph.nodes) - 1
    for cut in legal:
        first, second = ([pack(graph.carve(*span, types))] for span in ((0, cut), (cut, len(graph.nodes))))
        answer = handed_on(second, graph.outputs, handed_on(first, graph.crossings[cut], feeds))
        assert expected == {name: array.tobytes() for name, array in answer.items()}, f"cut {cut}"


def test_many_groupings(path: Path) -> None:
    """Any grouping of the segments into parts gives the bytes of the whole: all single, and fifty at random."""
    feeds = feeds_of(path)
    expected = oracle(onnx.load(path), feeds)
    prepared = prepare(path, feeds)
    ends = len(prepared.blobs)
    random = np.random.default_rng(2)
    groupings = [list(range(ends + 1))]
    for _ in range(50):
        inner = random.choice(np.arange(1, ends), size=random.integers(0, min(ends, 8)), replace=False)
        groupings.append([0, *sorted(inner.tolist()), ends])

    for cuts in groupings:
        assert expected == run_parts(prepared, cuts, feeds), cuts


def test_plan_is_small_and_helps(path: Path) -> None:
    """The description of a real model fits in a message, and three equal devices on a fast link are never slower."""
    prepared = prepare(path, feeds_of(path))
    pieces, machine = pieces_of(prepared.info), Machine(10**9, prepared.info.speed, 1e9)
    alone, shared = (lay_out(pieces, [machine] * count, leaving=1000, entry=0) for count in (1, 3))

    assert len(msgspec.msgpack.encode(prepared.info)) < 30_000
    assert shared.rate >= alone.rate
