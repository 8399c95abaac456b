"""The onnx package's own tests of single operators, through three parties: what passes, what is refused, what fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper

from mesh.errors import BadInput
from protocols.smpc.program.compile import compile_model
from protocols.smpc.program.mixed import bounded
from protocols.smpc.program.operators import OPERATORS
from tests.unit.protocols.families import Array
from tests.unit.protocols.smpc.program.trial import attempt

__all__ = ["ABSOLUTE", "RELATIVE", "Case", "Verdict", "cases", "verdict"]

ABSOLUTE = 2e-3
RELATIVE = 1e-3
"""A result passes if it is no further than ABSOLUTE + RELATIVE * |expected| from what the test expects."""

NEWEST_IR, NEWEST_OPSET = 10, 25
"""What ONNX Runtime reads. Cases written for later versions, which mostly add dtypes, are tried as these."""


@dataclass(frozen=True)
class Case:
    """One test: a model of a node or a few, inputs, and what is expected."""

    name: str
    model: ModelProto
    inputs: dict[str, Array]
    expected: dict[str, Array]


@dataclass(frozen=True)
class Verdict:
    """`passed`, `refused` or `failed`, and the reason of the latter two."""

    outcome: str
    reason: str = ""


@cache
def cases() -> tuple[Case, ...]:
    """Every node test whose inputs and outputs are tensors of numbers, integers or truths. Takes seconds, once."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_model_tests(kind="node")
    return tuple(case for test in loaded if (case := _read(test)) is not None)


def _read(test: Any) -> Case | None:
    model, given, wanted = (test.model, *test.data_sets[0]) if test.model is not None else _stored(test.model_dir)
    inputs = _tensors(model.graph.input, given)
    expected = _tensors(model.graph.output, wanted)
    return None if inputs is None or expected is None else Case(test.name, model, inputs, expected)


def _stored(folder: str) -> tuple[ModelProto, list[Any], list[Any]]:
    """Older versions of onnx keep the cases in files."""
    model = onnx.load(Path(folder, "model.onnx"))
    ends = []
    for ports, kind in ((model.graph.input, "input"), (model.graph.output, "output")):
        paths = [Path(folder, "test_data_set_0", f"{kind}_{place}.pb") for place in range(len(ports))]
        tensors = all(port.type.WhichOneof("value") == "tensor_type" for port in ports)
        ends.append([numpy_helper.to_array(onnx.load_tensor(path)) for path in paths] if tensors else [None])
    return model, ends[0], ends[1]


def _tensors(ports: Any, values: Any) -> dict[str, Array] | None:
    """By name; None if one is no tensor of numbers."""
    if any(not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "fiub" for value in values):
        return None
    return {port.name: np.asarray(value) for port, value in zip(ports, values, strict=False)}


def closed(case: Case) -> tuple[ModelProto, Mapping[str, Array]]:
    """The model with what belongs to the architecture (shapes, axes, bounds) made constant; and the inputs left."""
    model = ModelProto()
    model.CopyFrom(case.model)
    model.ir_version = min(model.ir_version, NEWEST_IR)
    for opset in model.opset_import:
        opset.version = min(opset.version, NEWEST_OPSET) if opset.domain in ("", "ai.onnx") else opset.version
    fixed = {
        name
        for node in model.graph.node
        for place, name in enumerate(node.input)
        if name in case.inputs and node.op_type in OPERATORS and place in OPERATORS[node.op_type].open
    }
    left = [value for value in model.graph.input if value.name not in fixed]
    del model.graph.input[:]
    model.graph.input.extend(left)
    model.graph.initializer.extend(numpy_helper.from_array(case.inputs[name], name) for name in sorted(fixed))
    return model, {name: value for name, value in case.inputs.items() if name not in fixed}


def verdict(case: Case, secret: Callable[[int], bool] = lambda place: True) -> Verdict:
    """Run through three parties. `secret` says of which inputs, by their place among those that can be."""
    model, feeds = closed(case)
    try:
        compiled = compile_model(model.SerializeToString(), shapes={name: value.shape for name, value in feeds.items()})
    except BadInput as error:
        return Verdict("refused", str(error))
    try:
        outputs = attempt(compiled, feeds, lambda name: name not in feeds or secret(list(feeds).index(name))).outputs
    except BadInput as error:
        return Verdict("failed", str(error))
    worst = 0.0
    for name, wanted in case.expected.items():
        got = outputs[name]
        if got.shape != wanted.shape:
            return Verdict("failed", f"{name} has shape {got.shape}, not {wanted.shape}")
        meant = bounded(wanted)
        apart = np.abs(got.astype(np.float64) - meant)
        worst = max(worst, float((apart - RELATIVE * np.abs(meant)).max(initial=0.0)))
    return Verdict("passed") if worst <= ABSOLUTE else Verdict("failed", f"is off by {worst:.3g}")
