"""LSTM, GRU and the plain recurrent layer: products with the input for all steps at once, then step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mesh.errors import BadInput
from protocols.smpc.program.mixed import hidden, plus, times
from protocols.smpc.program.node import Node, Operand, Operator, Table
from protocols.smpc.program.operators.linear import matrix_product
from protocols.smpc.program.steps import Kind
from protocols.smpc.replicated import comparison, functions
from protocols.smpc.replicated.party import Party
from protocols.smpc.replicated.sharing import Secret

__all__ = ["RECURRENT"]

_REALS: tuple[Kind, Kind] = ("number", "number")
_DEFAULTS = {"LSTM": ("sigmoid", "tanh", "tanh"), "GRU": ("sigmoid", "tanh"), "RNN": ("tanh",)}

Layer = Callable[[Party, Node, tuple[Operand | None, ...], Secret, Secret], tuple[Secret, Secret | None]]


def _cells(cell: Layer) -> Callable[..., tuple[Operand, ...]]:
    """Both directions of a layer, from one cell's way through a sequence."""

    def layer(party: Party, node: Node, x: Operand, *rest: Operand | None) -> tuple[Operand, ...]:
        batch_first = bool(node.integer("layout"))
        sequence = hidden(party, x, "number")
        sequence = sequence.transpose(1, 0, 2) if batch_first else sequence
        way = node.text("direction", "forward")
        turns = {"forward": (False,), "reverse": (True,)}.get(way, (False, True))
        held, last, cells = [], [], []
        for place, back in enumerate(turns):
            own = tuple(None if each is None else _of(each, place, batch_first, at) for at, each in enumerate(rest))
            steps = sequence.map(lambda share: share[::-1]) if back else sequence
            start = _start(party, node, own[4] if len(own) > 4 else None, steps)
            states, cell_state = cell(party, node, own, steps, start)
            last.append(states[-1])
            cells.append(states[-1] if cell_state is None else cell_state)
            held.append(states.map(lambda share: share[::-1]) if back else states)
        out, final, memory = Secret.stack(held, 1), Secret.stack(last), Secret.stack(cells)
        if batch_first:
            return out.transpose(2, 0, 1, 3), final.transpose(1, 0, 2), memory.transpose(1, 0, 2)
        return out, final, memory

    return layer


def _of(value: Operand, place: int, batch_first: bool, at: int) -> Operand:
    """One direction's part of an input; states lie the other way round if the batch comes first."""
    if at == 3:  # lengths of the sequences, which everybody knows
        return value
    return value[:, place] if batch_first and at in (4, 5) else value[place]


def _start(party: Party, node: Node, given: Operand | None, steps: Secret) -> Secret:
    if given is not None:
        return hidden(party, given, "number")
    zeros = np.zeros((steps.shape[1], node.integer("hidden_size")), np.uint64)
    return Secret(zeros, zeros)


def _inputs(party: Party, steps: Secret, weights: Operand, bias: Operand | None) -> Secret:
    """(steps, batch, gates): the input's part of every gate, for all steps in one product."""
    length, batch, width = steps.shape
    gates = weights.shape[0]
    product = matrix_product(
        party, steps.reshape(length * batch, width), weights.transpose(1, 0), "number", (length * batch, gates)
    )
    out = product.reshape(length, batch, gates)
    return out if bias is None else plus(party, out, bias, "number", out.shape)


def _recalled(party: Party, state: Secret, weights: Operand) -> Secret:
    shape = (state.shape[0], weights.shape[0])
    return matrix_product(party, state, weights.transpose(1, 0), "number", shape)


def _halves(bias: Operand | None) -> tuple[Operand | None, Operand | None]:
    if bias is None:
        return None, None
    half = bias.shape[0] // 2
    return bias[:half], bias[half:]


def _gates(party: Party, node: Node, sigmoids: Secret, tangent: Secret) -> tuple[Secret, Secret]:
    """Sigmoids, and the hyperbolic tangent as 2 sigmoid(2 x) - 1, in the same rounds. (gates, ...) and (...)."""
    stacked = Secret.concatenate([sigmoids, tangent.times(2).reshape(1, *tangent.shape)])
    found = functions.sigmoid(party, stacked, bits=node.bits)
    one = np.full((1,) * len(tangent.shape), 1 << party.fixed.fraction, np.uint64)
    return found[:-1], party.add(found[-1].times(2), np.negative(one))


def _product(party: Party, left: Secret, right: Secret) -> Secret:
    return times(party, left, right, _REALS, left.shape)


def _lstm(
    party: Party, node: Node, own: tuple[Operand | None, ...], steps: Secret, state: Secret
) -> tuple[Secret, Secret | None]:
    """Gates in ONNX's order: input, output, forget, cell."""
    weights, recurrence, bias, _, _, cell_start, peepholes = (*own, *[None] * 7)[:7]
    size = node.integer("hidden_size")
    cell = _start(party, node, cell_start, steps)
    fed = _inputs(party, steps, _there(weights), bias if bias is None else _summed(party, bias))
    states = []
    for at in range(steps.shape[0]):
        raw = fed[at] + _recalled(party, state, _there(recurrence))
        parts = [raw[:, k * size : (k + 1) * size] for k in range(4)]
        if peepholes is not None:
            looks = [_look(party, peepholes, k, size, cell) for k in (0, 2)]
            parts[0], parts[2] = parts[0] + looks[0], parts[2] + looks[1]
        opened, bent = _gates(party, node, Secret.stack([parts[0], parts[2], parts[1]]), parts[3])
        both = _product(party, Secret.stack([opened[0], opened[1]]), Secret.stack([bent, cell]))
        cell = both[0] + both[1]
        gate = opened[2]
        if peepholes is not None:
            gate = functions.sigmoid(party, parts[1] + _look(party, peepholes, 1, size, cell), bits=node.bits)
        state = _product(party, gate, functions.hyperbolic_tangent(party, cell, bits=node.bits))
        states.append(state)
    return Secret.stack(states), cell


def _look(party: Party, peepholes: Operand, gate: int, size: int, cell: Secret) -> Secret:
    return times(party, cell, peepholes[gate * size : (gate + 1) * size].reshape(1, -1), _REALS, cell.shape)


def _gru(
    party: Party, node: Node, own: tuple[Operand | None, ...], steps: Secret, state: Secret
) -> tuple[Secret, Secret | None]:
    """Gates in ONNX's order: update, reset, hidden."""
    weights, recurrence, bias = (*own, *[None] * 3)[:3]
    size, before = node.integer("hidden_size"), not node.integer("linear_before_reset")
    given, recalled_bias = _halves(bias)
    fed, recurrence = _inputs(party, steps, _there(weights), given), _there(recurrence)
    states = []
    for at in range(steps.shape[0]):
        recalled = _recalled(party, state, recurrence[: 2 * size] if before else recurrence)
        if recalled_bias is not None:
            part = recalled_bias[: recalled.shape[1]]
            recalled = plus(party, recalled, part, "number", recalled.shape)
        raw = fed[at][:, : 2 * size] + recalled[:, : 2 * size]
        opened = functions.sigmoid(party, raw, bits=node.bits)
        update, reset = opened[:, :size], opened[:, size:]
        if before:
            inner = _recalled(party, _product(party, reset, state), recurrence[2 * size :])
            if recalled_bias is not None:
                inner = plus(party, inner, recalled_bias[2 * size :], "number", inner.shape)
        else:
            inner = _product(party, reset, recalled[:, 2 * size :])
        bent = functions.hyperbolic_tangent(party, fed[at][:, 2 * size :] + inner, bits=node.bits)
        state = bent + _product(party, update, state - bent)
        states.append(state)
    return Secret.stack(states), None


def _rnn(
    party: Party, node: Node, own: tuple[Operand | None, ...], steps: Secret, state: Secret
) -> tuple[Secret, Secret | None]:
    weights, recurrence, bias = (*own, *[None] * 3)[:3]
    fed = _inputs(party, steps, _there(weights), bias if bias is None else _summed(party, bias))
    act = node.attribute("activations")
    bend = comparison.relu if act and str(act[0]).lower() == "relu" else functions.hyperbolic_tangent
    states = []
    for at in range(steps.shape[0]):
        state = bend(party, fed[at] + _recalled(party, state, _there(recurrence)), bits=node.bits)
        states.append(state)
    return Secret.stack(states), None


def _summed(party: Party, bias: Operand) -> Secret:
    one, other = _halves(bias)
    return hidden(party, _there(one), "number") + hidden(party, _there(other), "number")


def _there(value: Operand | None) -> Operand:
    if value is None:
        raise BadInput("A recurrent layer lacks its weights; compile the model again.")
    return value


def _plain(node: Node) -> str | None:
    """Usual activations, no clipping, and sequences that are all as long as the tensor."""
    kind = node.step.operator
    given = node.attribute("activations")
    usual = _DEFAULTS[kind]
    directions = 2 if node.text("direction", "forward") == "bidirectional" else 1
    names = tuple(str(name).lower() for name in given) if given else usual * directions
    if names != usual * directions and (kind != "RNN" or names != ("relu",) * directions):
        return f"with the activations {', '.join(names)}"
    if node.attribute("clip") is not None:
        return "with clipping"
    if node.integer("input_forget"):
        return "with coupled gates"
    length = node.shape()[1 if node.integer("layout") else 0]
    if 4 in node.known and any(int(each) != length for each in node.known[4].ravel()):
        return "over sequences of several lengths"
    return None


_LENGTHS = frozenset({4})

RECURRENT: Table = {
    "GRU": Operator(_cells(_gru), open=_LENGTHS, check=_plain),
    "LSTM": Operator(_cells(_lstm), open=_LENGTHS, check=_plain),
    "RNN": Operator(_cells(_rnn), open=_LENGTHS, check=_plain),
}
