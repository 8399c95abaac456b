"""A part runs what it was given, refuses what does not fit, and leaves no thread behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, helper

from mesh.errors import BadInput
from protocols.runtimes.models import pack
from protocols.runtimes.onnx import Part, Port, load, measure
from tests.unit.protocols.families import BOOL, FLOAT, INT64, Array, kinds, looping, oracle, residual, sequences


@pytest.fixture
def part() -> Iterator[Part]:
    with load([residual()[0].SerializeToString()]) as loaded:
        yield loaded


def endless() -> ModelProto:
    """A loop that only its caller can end: it turns for as long as `go` says, and `go` never changes."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Neg", ["state"], ["next"])],
        "turn",
        [value("turn", INT64, []), value("on", BOOL, []), value("state", FLOAT, [1])],
        [value("still", BOOL, []), value("next", FLOAT, [1])],
    )
    loop = helper.make_node("Loop", ["", "go", "x"], ["y"], body=body)
    graph = helper.make_graph(
        [loop], "endless", [value("go", BOOL, []), value("x", FLOAT, [1])], [value("y", FLOAT, [1])]
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def test_ports_are_described(part: Part) -> None:
    """A part says what it takes and gives: names, dtypes, fixed and free dimensions."""
    assert Port("x", "float32", ("N", 3, 12, 12)) == part.inputs["x"]
    assert Port("y", "float32", None) == part.outputs["y"]


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, r"the input 'x' \(float32\[N, 3, 12, 12\]\) is missing"),
        ({"z": np.zeros(1, np.float32)}, r"'z' is no input here; expected 'x' \(float32\[N, 3, 12, 12\]\)"),
        ({"x": np.zeros((1, 3, 12, 12))}, r"must be float32\[N, 3, 12, 12\], not float64\[1, 3, 12, 12\]"),
        ({"x": np.zeros((1, 3, 12, 13), np.float32)}, r"not float32\[1, 3, 12, 13\]"),
        ({"x": np.zeros((3, 12, 12), np.float32)}, r"not float32\[3, 12, 12\]"),
        ({"x": np.zeros((1, 3, 12, 12), ">f4")}, "must be float32"),
    ],
)
def test_what_does_not_fit_is_refused(part: Part, feeds: dict[str, Array], words: str) -> None:
    """A feed that is missing, unknown, or of another dtype or shape is named, with what was expected and what came."""
    with pytest.raises(BadInput, match=words):
        part.run(feeds)


def test_feeds_may_lie_anywhere() -> None:
    """Inputs that are strided, read-only or at an odd address, as in a frame, give the same answer."""
    model, feeds = residual()
    x = feeds["x"]
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view()
    odd.flags.writeable = False
    strided = np.repeat(x, 2, axis=3)[..., ::2]

    with load([model.SerializeToString()]) as part:
        expected = part.run(feeds)["y"].tobytes()
        for same in (odd.view(np.float32).reshape(x.shape), strided):
            assert expected == part.run({"x": same})["y"].tobytes()


def test_wrong_content_is_the_callers_fault() -> None:
    """An input that fits but that the model cannot work with is BadInput, in ONNX Runtime's own words."""
    node = helper.make_node("Gather", ["w", "i"], ["y"])
    value = helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(np.ones(3, np.float32), "w")
    graph = helper.make_graph([node], "pick", [value("i", INT64, [1])], [value("y", FLOAT, [1])], [weight])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])

    with load([pack(model)]) as part, pytest.raises(BadInput, match=r"fails on these inputs: .*out of"):
        part.run({"i": np.array([9])})


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_is_optimised(threads: int) -> None:
    """A part runs every operator as written, so that nothing depends on which neighbours it was loaded with."""
    model, feeds = kinds()
    with load([model.SerializeToString()], threads=threads) as part:
        assert oracle(model, feeds) == {name: array.tobytes() for name, array in part.run(feeds).items()}


def test_models_that_cannot_be_loaded() -> None:
    """A graph that ONNX Runtime refuses is BadInput, and so is one that takes or gives lists."""
    model, _ = residual()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(BadInput, match="NoSuchOperator"):
        load([model.SerializeToString()])

    model, _ = sequences()
    model.graph.output.append(helper.make_tensor_sequence_value_info("splittosequence2_0", FLOAT, None))
    with pytest.raises(BadInput, match="not a tensor"):
        load([model.SerializeToString()])


def test_a_part_must_be_of_use() -> None:
    """A part of which nothing is wanted is refused."""
    with pytest.raises(BadInput, match="nothing that is wanted"):
        load([residual()[0].SerializeToString()], keep=["elsewhere"])


async def test_without_blocking() -> None:
    """In a thread of its own the part answers as it does in this one, and closing ends that thread."""
    model, feeds = looping()
    with load([model.SerializeToString()]) as part:
        async with asyncio.TaskGroup() as tasks:
            answers = [tasks.create_task(part.infer(feeds)) for _ in range(3)]
        assert [oracle(model, feeds)["y"]] * 3 == [answer.result()["y"].tobytes() for answer in answers]

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("part")]


async def test_errors_come_out_of_the_thread() -> None:
    """What is refused in the part's thread is refused where it was asked."""
    with load([residual()[0].SerializeToString()]) as part, pytest.raises(BadInput, match="missing"):
        await part.infer({})


async def test_cancelled_runs_end() -> None:
    """A cancelled call stops even a loop without end, and leaves the part able to run again."""
    feeds: dict[str, Any] = {"go": np.array(True), "x": np.ones(1, np.float32)}
    with load([pack(endless())]) as part:
        async with asyncio.TaskGroup() as tasks:
            call = tasks.create_task(part.infer(feeds))
            for _ in range(3):  # cancelled again and again, it still waits for its thread
                await asyncio.sleep(0)
                call.cancel()

        assert call.cancelled()
        assert np.ones(1, np.float32) == (await part.infer({**feeds, "go": np.array(False)}))["y"]


async def test_waiting_calls_can_be_cancelled() -> None:
    """A call that has not begun is dropped; the one under way is not disturbed by it."""
    feeds: dict[str, Any] = {"go": np.array(True), "x": np.ones(1, np.float32)}
    with load([pack(endless())]) as part:
        async with asyncio.TaskGroup() as tasks:
            calls = [tasks.create_task(part.infer(feeds)) for _ in range(2)]
            await asyncio.sleep(0)
            for call in reversed(calls):
                call.cancel()

        assert all(call.cancelled() for call in calls)
        assert part.run({**feeds, "go": np.array(False)})


def test_closing_twice() -> None:
    """A part may be closed more than once."""
    part = load([residual()[0].SerializeToString()])
    part.close()
    part.close()


def test_speed_is_measured() -> None:
    """A device's speed is a number of multiply-adds per second that any device reaches and none exceeds."""
    assert 1e7 < measure(seconds=0.001) < 1e14


def test_protocol_is_cheap_to_name() -> None:
    """Knowing what segments and plans are does not load ONNX or ONNX Runtime."""
    code = "import sys, protocols.sharded.planner; sys.exit(any(m.startswith('onnx') for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)

    assert done.returncode == 0
