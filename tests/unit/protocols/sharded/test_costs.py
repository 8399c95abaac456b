"""Work is counted as a textbook counts it."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import helper

from protocols.sharded.costs import multiply_adds


@pytest.mark.parametrize(
    ("kind", "attributes", "inputs", "made", "expected"),
    [
        ("Conv", {}, [(1, 3, 8, 8), (16, 3, 3, 3), (16,)], (1, 16, 6, 6), 16 * 36 * 27),
        ("Conv", {"group": 16}, [(1, 16, 8, 8), (16, 1, 3, 3)], (1, 16, 6, 6), 16 * 36 * 9),
        ("ConvTranspose", {}, [(1, 4, 5, 5), (4, 8, 2, 2)], (1, 8, 10, 10), 100 * 32),
        ("Gemm", {}, [(2, 10), (10, 5)], (2, 5), 100),
        ("Gemm", {"transA": 1}, [(10, 2), (10, 5)], (2, 5), 100),
        ("MatMul", {}, [(2, 4, 6, 8), (2, 4, 8, 6)], (2, 4, 6, 6), 288 * 8),
        ("QLinearConv", {}, [(1, 3, 8, 8), (), (), (16, 3, 3, 3)], (1, 16, 6, 6), 16 * 36 * 27),
        ("LSTM", {}, [(5, 2, 6), (1, 32, 6), (1, 32, 8)], (5, 1, 2, 8), 10 * (192 + 256)),
        ("Attention", {"domain": "com.microsoft"}, [(1, 7, 16), (16, 48)], (1, 7, 16), 7 * 768 + 2 * 49 * 16),
        ("Attention", {}, [(1, 2, 7, 8), (1, 2, 9, 8), (1, 2, 9, 8)], (1, 2, 7, 8), 2 * 112 * 9),
        ("MultiHeadAttention", {"domain": "com.microsoft"}, [(1, 7, 16), (1, 9, 16)], (1, 7, 16), 2 * 112 * 9),
        ("Relu", {}, [(2, 3)], (2, 3), 6),
        ("SomethingNew", {}, [(2, 3)], (4,), 4),
    ],
)
def test_counts(kind: str, attributes: dict[str, Any], inputs: list[tuple[int, ...]], made: Any, expected: int) -> None:
    """Every operator that multiplies is counted from its shapes; the others by the elements that they make."""
    names = [f"i{place}" for place in range(len(inputs))]
    node = helper.make_node(kind, names, ["o"], **attributes)

    assert expected == multiply_adds(node, {**dict(zip(names, inputs, strict=True)), "o": made})


def test_unknown_shapes() -> None:
    """Where a shape is not known, what is known still counts."""
    assert multiply_adds(helper.make_node("Conv", ["x", "w"], ["o"]), {"o": (2, 2)}) == 4
    assert multiply_adds(helper.make_node("Conv", ["x", "w"], ["o"]), {}) == 1
