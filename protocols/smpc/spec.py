"""What a person asks of private inference, and what the others are told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from protocols.smpc.dealing import total
from protocols.smpc.program.run import accept
from protocols.smpc.program.steps import Program

__all__ = ["MOST_INPUTS", "MOST_OUTPUTS", "MOST_STEPS", "MOST_WEIGHTS", "PrivateSpec"]

MOST_INPUTS = 2**23
"""Numbers in one request: two requests that wait fit well into what may lie unread."""

MOST_OUTPUTS = 2**22
"""Numbers in one answer, which must fit into one message."""

MOST_WEIGHTS = 2**27
"""Numbers in a model: 2 GiB of shares at each party."""

MOST_STEPS = 20_000
"""Steps of a program."""


Secrecy = Literal["input", "model", "both"]
_BOTH: Secrecy = "both"


@dataclass(frozen=True, slots=True)
class PrivateSpec:
    """Which model, and what of it is secret.

    Attributes:
        program: what is computed, weights not included. Every member of the session reads it.
        weights: where the asking device's own store has the weights, as `dealing.pack_weights` wrote them. Nobody else
            is told: whoever knows what a blob is called may fetch it. None in every plan.
        secret: what the three parties must not learn. What is left out of it, they are sent in clear, which is faster.
        fraction: bits after the binary point; see `replicated.sharing.FixedPoint`.
        patience: seconds that one request may take at the parties.
        setup: seconds until every party must be ready.
    """

    program: Program
    weights: BlobRef | None = None
    secret: Secrecy = _BOTH
    fraction: int = 18
    patience: float = 30.0
    setup: float = 120.0

    @property
    def hides_input(self) -> bool:
        return self.secret in ("input", "both")

    @property
    def hides_model(self) -> bool:
        return self.secret in ("model", "both")

    def hides(self, *, model: bool) -> bool:
        """Whether the model, or else the input, is secret."""
        return self.hides_model if model else self.hides_input

    @property
    def memory(self) -> int:
        """Bytes that one party takes, roughly: its shares, the largest tensor and what is made of it, and Python."""
        program = self.program
        largest = max((tensor.size for step in program.steps for tensor in step.outputs), default=0)
        return 2**28 + 16 * (total(program.weights) + 3 * total(program.inputs)) + 128 * largest

    @property
    def for_all(self) -> PrivateSpec:
        """What every member of the session may read."""
        return replace(self, weights=None)

    def trouble(self) -> str | None:
        """Why nobody should compute this, as a sentence; None if it can be."""
        try:
            accept(self.program)
        except BadInput as error:
            return str(error)
        if not 0 <= self.fraction <= 30:
            return f"Fixed-point numbers have 0 to 30 fractional bits, not {self.fraction}."
        if not (0 < self.patience <= 3600 and 0 < self.setup <= 3600):
            return "The plan asks for patience over an hour, or for none."
        return self._size_trouble()

    def _size_trouble(self) -> str | None:
        program = self.program
        if not 1 <= total(program.inputs) <= MOST_INPUTS:
            return f"The program takes {total(program.inputs)} numbers; there must be 1 to {MOST_INPUTS}."
        if not 1 <= total(program.outputs) <= MOST_OUTPUTS:
            return f"The program gives {total(program.outputs)} numbers; there must be 1 to {MOST_OUTPUTS}."
        if total(program.weights) > MOST_WEIGHTS or len(program.steps) > MOST_STEPS:
            return f"The program has over {MOST_WEIGHTS} weights, or over {MOST_STEPS} steps."
        return None
