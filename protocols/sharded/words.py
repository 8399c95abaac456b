"""What the devices of a sharded session say to each other, and what each word gives away."""

from __future__ import annotations

from mesh.messages import Message, message
from mesh.tensors import Tensors

__all__ = ["VOCABULARY", "Activations", "Answer", "Finish", "Passed", "Ready", "Refusal"]


@message("sharded.ready", reveals="how long this device took to fetch and load its part")
class Ready(Message, frozen=True):
    """My part is loaded; it took so many seconds."""

    seconds: float


@message("sharded.activations", reveals="what crosses the cut; much of the input can be made out from it")
class Activations(Message, frozen=True):
    """What the next part needs of request `seq`."""

    seq: int
    tensors: Tensors


@message("sharded.passed", reveals="that this device is done with one request, and how long it computed")
class Passed(Message, frozen=True):
    """Request `seq` has left me; computing took so many seconds."""

    seq: int
    seconds: float


@message("sharded.answer", reveals="the model's answer to one request, to the device that asked")
class Answer(Message, frozen=True):
    """The model's outputs for request `seq`; computing the last part took so many seconds."""

    seq: int
    seconds: float
    tensors: Tensors


@message("sharded.refusal", reveals="why the model cannot take this input")
class Refusal(Message, frozen=True):
    """Request `seq` cannot be computed, and it is its own fault; a sentence for a person."""

    seq: int
    reason: str


@message("sharded.finish", reveals="nothing")
class Finish(Message, frozen=True):
    """No more requests will come."""


VOCABULARY: tuple[type[Message], ...] = (Ready, Activations, Passed, Answer, Refusal, Finish)
