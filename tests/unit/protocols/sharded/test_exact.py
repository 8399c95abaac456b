"""Cutting changes nothing: not one bit, at no cut, in no grouping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import pytest
from onnx import ModelProto

from protocols.runtimes.models import pack
from protocols.runtimes.onnx import load
from protocols.sharded.graph import Graph, optimise
from protocols.sharded.prepare import Prepared, observe, prepare
from tests.unit.protocols.families import FAMILIES, Array, Case, oracle


@pytest.fixture(params=FAMILIES, ids=lambda family: family.__name__)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param()  # type: ignore[no-any-return]


def handed_on(blobs: Sequence[bytes], leaving: Sequence[str], carried: Mapping[str, Array]) -> dict[str, Array]:
    """What leaves a part: what it makes itself, and what passes it by."""
    with load(blobs, keep=leaving) as part:
        made = part.run({name: carried[name] for name in part.inputs})
    return {name: made[name] if name in made else carried[name] for name in leaving}


def run_parts(prepared: Prepared, cuts: Sequence[int], feeds: Mapping[str, Array]) -> dict[str, bytes]:
    carried: Mapping[str, Any] = feeds
    for first, last in pairwise(cuts):
        carried = handed_on(prepared.blobs[first:last], prepared.info.crossing(last), carried)
    return {name: array.tobytes() for name, array in carried.items()}


def test_optimised_whole(case: Case) -> None:
    """Optimised beforehand and run as it is, a model answers what it answers when optimised on loading."""
    model, feeds = case
    optimised = optimise(model.SerializeToString())

    with load([pack(optimised)]) as whole:
        assert oracle(model, feeds) == {name: array.tobytes() for name, array in whole.run(feeds).items()}


def test_every_legal_cut(case: Case) -> None:
    """Wherever a model may be cut in two, the two parts give the bytes of the whole."""
    model, feeds = case
    expected = oracle(model, feeds)
    graph = Graph(optimise(model.SerializeToString()))
    observed = observe(graph, feeds)
    legal = graph.legal(observed.types)

    assert legal
    for cut in legal:
        first, second = ([pack(graph.carve(*span, observed.types))] for span in ((0, cut), (cut, len(graph.nodes))))
        carried = handed_on(first, graph.crossings[cut], feeds)
        answer = handed_on(second, graph.outputs, carried)
        assert expected == {name: array.tobytes() for name, array in answer.items()}, f"cut {cut}"


def test_every_grouping(case: Case) -> None:
    """However the segments are grouped into consecutive parts, the answer is the same, to the bit."""
    model, feeds = case
    expected = oracle(model, feeds)
    prepared = prepare(model.SerializeToString(), feeds, most=5)
    ends = len(prepared.blobs)

    for parts in range(ends):
        for inner in combinations(range(1, ends), parts):
            assert expected == run_parts(prepared, (0, *inner, ends), feeds), inner


def test_another_size() -> None:
    """A free dimension stays free: a model prepared with one batch answers another exactly."""
    for family in FAMILIES[:3:2]:
        model, feeds = family()
        prepared = prepare(model.SerializeToString())
        cuts = range(len(prepared.blobs) + 1)

        assert oracle(model, feeds) == run_parts(prepared, cuts, feeds)


def test_same_blobs_everywhere(case: Case) -> None:
    """Preparing is repeatable: two devices name the same segments by the same digests."""
    model, feeds = case
    first, second = (prepare(model.SerializeToString(), feeds) for _ in range(2))

    assert [segment.digest for segment in first.info.segments] == [segment.digest for segment in second.info.segments]


def test_answers_that_need_no_computing() -> None:
    """An output that is a constant comes from the last part, once."""
    model, feeds = FAMILIES[0]()
    assert isinstance(model, ModelProto)
    weight = model.graph.initializer[0]
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = weight.name
    prepared = prepare(model.SerializeToString(), feeds)

    assert oracle(model, feeds) == run_parts(prepared, range(len(prepared.blobs) + 1), feeds)
