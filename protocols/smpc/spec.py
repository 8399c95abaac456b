"""What a person asks of private inference, and what the others are told of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mesh.blobs import BlobRef
from mesh.errors import BadInput
from protocols.smpc.dealing import total
from protocols.smpc.program.run import accept
from protocols.smpc.program.steps import Port, Program

__all__ = ["ME", "MODES", "MOST_INPUTS", "MOST_OUTPUTS", "MOST_STEPS", "MOST_WEIGHTS", "SHARES", "PrivateSpec"]

MOST_INPUTS = 2**23
"""Numbers in one request: two requests that wait fit well into what may lie unread."""

MOST_OUTPUTS = 2**22
"""Numbers in one answer, which must fit into one message."""

MOST_WEIGHTS = 2**27
"""Numbers in a model: 2 GiB of shares at each party."""

MOST_STEPS = 20_000
"""Steps of a program."""


ME, SHARES = "me", "shares"
"""Receivers that are no peer's id: the device that asks; and none, the answers staying with the three as shares."""

MODES: Mapping[str, Mapping[str, str]] = {"private": {"secret": "both"}}
"""Ways to run a model, and what each of them settles."""

_LONGEST_KEPT = 30 * 86_400.0
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

Secrecy = Literal["input", "model", "both"]
_BOTH: Secrecy = "both"


@dataclass(frozen=True, slots=True)
class PrivateSpec:
    """Which model, what of it is secret, and who is told the answers.

    Attributes:
        program: what is computed, weights not included. Every member of the session reads it.
        weights: where the asking device's own store has the weights, as `dealing.pack_weights` wrote them. Nobody else
            is told: whoever knows what a blob is called may fetch it. None in every plan.
        lender: who hands in the model, by id or by enough of its beginning; "" is the asking device.
        model: what the lender calls it.
        prefix: the public beginning of the model, which runs on the asking device; the program is the rest. None in
            every plan: nobody else needs it.
        within: how large the program's inputs may be, by name, if it was calibrated; asked of the asking device alone.
        calibrated: the fraction that was chosen then, and for which `Program.bits` holds; None if it was not.
        secret: what the three parties must not learn. What is left out of it, they are sent in clear, which is faster.
        receiver: who is told the answers: peers, by id or by enough of its beginning; `ME`, the asking device; `SHARES`
            to keep them with the three for a job to come. Nobody named is `ME`.
        name: what receivers, and the three, keep the answers as. Needed where others than the asking device receive.
        keep: seconds for which they are kept.
        held: inputs that are answers which the three keep from an earlier job, by input: the name that they are kept
            as, and ":OUTPUT" after it where the earlier model has several outputs.
        abort: "yes" has any single party that departs from the program found out before anything is revealed; see
            `replicated.checked` for what that promises. It takes some ten times the computing for small networks and
            a hundred for large ones, and 20 to 350 times the bytes.
        fraction: bits after the binary point; see `replicated.sharing.FixedPoint`.
        patience: seconds that one request may take at the parties.
        setup: seconds until every party must be ready.
    """

    program: Program
    weights: BlobRef | None = None
    lender: str = ""
    model: str = ""
    prefix: BlobRef | None = None
    within: dict[str, float] = field(default_factory=dict)
    calibrated: int | None = None
    secret: Secrecy = _BOTH
    receiver: str | tuple[str, ...] = ()
    name: str = ""
    keep: float = 86_400.0
    held: dict[str, str] = field(default_factory=dict)
    abort: Literal["yes", "no"] = "no"
    fraction: int = 18
    patience: float = 30.0
    setup: float = 120.0

    @property
    def receivers(self) -> tuple[str, ...]:
        """As `receiver` names them, each once, `SHARES` left out."""
        named = (self.receiver,) if isinstance(self.receiver, str) else self.receiver
        return tuple(dict.fromkeys(one for one in named or (ME,) if one != SHARES))

    @property
    def keeps(self) -> bool:
        """Whether the three keep their shares of the answers."""
        return SHARES in ((self.receiver,) if isinstance(self.receiver, str) else self.receiver)

    @property
    def dealt(self) -> tuple[Port, ...]:
        """The inputs that the asking device hands in."""
        return tuple(port for port in self.program.inputs if port.name not in self.held)

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
        """Bytes that one party takes, roughly: its shares, the largest tensor and what is made of it, and Python.

        With abort, also what it writes down until it is checked, and the triples of one check.
        """
        program = self.program
        largest = max((tensor.size for step in program.steps for tensor in step.outputs), default=0)
        checking = 3 * 2**28 if self.abort == "yes" else 0
        return 2**28 + checking + 16 * (total(program.weights) + 3 * total(program.inputs)) + 128 * largest

    @property
    def for_all(self) -> PrivateSpec:
        """What every member of the session may read."""
        return replace(self, weights=None, prefix=None, within={})

    def trouble(self) -> str | None:
        """Why nobody should compute this, as a sentence; None if it can be."""
        try:
            accept(self.program)
        except BadInput as error:
            return str(error)
        return self._number_trouble() or self._size_trouble() or self._people_trouble()

    def _number_trouble(self) -> str | None:
        if not 0 <= self.fraction <= 30:
            return f"Fixed-point numbers have 0 to 30 fractional bits, not {self.fraction}."
        if self.calibrated is not None and self.fraction != self.calibrated:
            return (
                f"This model was calibrated for {self.calibrated} fractional bits, and with {self.fraction} its values "
                f"may not fit: add it again with --calibrate and --fraction {self.fraction}, which says so beforehand."
            )
        if not (0 < self.patience <= 3600 and 0 < self.setup <= 3600):
            return "The plan asks for patience over an hour, or for none."
        if not 0 < self.keep <= _LONGEST_KEPT:
            return f"Answers are kept for {_LONGEST_KEPT / 86_400:.0f} days at most, not for {self.keep:g} s."
        return None

    def _people_trouble(self) -> str | None:
        others = self.keeps or any(one != ME for one in self.receivers)
        if (others or self.name) and not _NAME.fullmatch(self.name):
            return f"{self.name[:80]!r} is no name to keep answers as: use up to 64 of a-z, 0-9, dot, dash, underscore."
        if bool(self.lender) != bool(self.model):
            return "A model that another device hands in needs both: whose it is, and what it is called there."
        if strangers := self.held.keys() - {port.name for port in self.program.inputs}:
            return f"The program has no input {min(strangers)[:80]!r} that could be a kept answer."
        if self.prefix is not None and self.held:
            return (
                "What goes on with kept answers must be secret from its first step on: add the model without a prefix."
            )
        return None

    def _size_trouble(self) -> str | None:
        program = self.program
        if not 1 <= total(program.inputs) <= MOST_INPUTS:
            return f"The program takes {total(program.inputs)} numbers; there must be 1 to {MOST_INPUTS}."
        if not 1 <= total(program.outputs) <= MOST_OUTPUTS:
            return f"The program gives {total(program.outputs)} numbers; there must be 1 to {MOST_OUTPUTS}."
        if total(program.weights) > MOST_WEIGHTS or len(program.steps) > MOST_STEPS:
            return f"The program has over {MOST_WEIGHTS} weights, or over {MOST_STEPS} steps."
        return None
