"""One model through three parties in one process, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime

from protocols.smpc.program.compile import Compiled, compile_model
from protocols.smpc.program.mixed import bounded
from protocols.smpc.program.run import run_program
from protocols.smpc.program.steps import Kind, Port
from protocols.smpc.replicated.local import LocalLink, connect, run_together
from protocols.smpc.replicated.opening import reveal
from protocols.smpc.replicated.sharing import Secret, pairs_of, split
from tests.unit.protocols.families import Array
from tests.unit.protocols.smpc.parties import FIXED, party_on

Which = Callable[[str], bool]


@dataclass(frozen=True)
class Trial:
    """Outputs by name, as float64, int64 or bool; and the cost at each party, opening not counted."""

    outputs: dict[str, Array]
    depth: int
    rounds: tuple[int, ...]
    sent: tuple[int, ...]


def everything(name: str) -> bool:
    return True


def encoded(kind: Kind, value: Array) -> Array:
    return FIXED.encode(bounded(value)) if kind == "number" else value.astype(np.int64).view(np.uint64)


def decoded(kind: Kind, words: Array) -> Array:
    if kind == "number":
        return FIXED.decode(words)
    return words.view(np.int64) if kind == "integer" else words.view(np.int64).astype(bool)


def handed_out(ports: tuple[Port, ...], values: Mapping[str, Array], secret: Which) -> list[dict[str, Any]]:
    """What each of the three brings: a share of what is secret, all of what is not."""
    rng = np.random.default_rng(0)

    def draw(shape: tuple[int, ...], dtype: Any) -> Array:
        return rng.integers(0, 2**64, shape, np.uint64).astype(dtype)

    hands: list[dict[str, Any]] = [{}, {}, {}]
    for port in ports:
        value = values[port.name]
        parts: Any = (value,) * 3
        if secret(port.name):
            parts = pairs_of(split(encoded(port.tensor.kind, value), draw))
        for hand, part in zip(hands, parts, strict=True):
            hand[port.name] = part
    return hands


def attempt(compiled: Compiled, feeds: Mapping[str, Array], secret: Which = everything, seed: int = 0) -> Trial:
    """Run a program on shares of the inputs and weights that `secret` names, and open what comes out."""
    program = compiled.program
    hands = handed_out((*program.inputs, *program.weights), {**feeds, **compiled.weights}, secret)

    def at(link: LocalLink) -> tuple[dict[str, Array], tuple[int, int, int]]:
        party = party_on(link, seed)
        results = run_program(program, party, hands[link.rank])
        cost = link.depth, link.rounds, link.sent
        return {port.name: _opened(party, port, results[port.name]) for port in program.outputs}, cost

    links = connect(timeout=60)
    ends = run_together(links, at)
    depths, rounds, sent = zip(*(cost for _, cost in ends), strict=True)
    return Trial(ends[0][0], max(depths), rounds, sent)


def _opened(party: Any, port: Port, secret: Secret) -> Array:
    words = reveal(party, secret)
    assert words is not None
    return decoded(port.tensor.kind, words)


def privately(model: Any, feeds: Mapping[str, Array], secret: Which = everything) -> Trial:
    """Compile for the shapes of the inputs, and run."""
    shapes = {name: value.shape for name, value in feeds.items()}
    return attempt(compile_model(model.SerializeToString(), shapes=shapes), feeds, secret)


def plain(model: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What ONNX Runtime answers."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))
