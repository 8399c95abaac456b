"""What the devices of a private session say to each other, and what each word gives away."""

from __future__ import annotations

from mesh.messages import Message, message

__all__ = ["VOCABULARY", "Clear", "Door", "Finish", "Key", "Ready", "Result", "Seeds", "Share", "Taken"]


@message("private.key", reveals="a key for masks, to one of the two other parties; the third never has it")
class Key(Message, frozen=True):
    """What we two draw our common masks from: 32 bytes."""

    key: bytes


@message("private.door", reveals="the port at which this party's box waits for the two others")
class Door(Message, frozen=True):
    """My box listens there; and 16 fresh bytes, of which all three make the name of their session."""

    port: int
    nonce: bytes


@message("private.seeds", reveals="nothing: what shares are drawn from that are independent of every secret")
class Seeds(Message, frozen=True):
    """For each share that this party draws by itself, by the share's number: 32 bytes."""

    seeds: dict[int, bytes]


@message("private.share", reveals="nothing: the third share of each number, uniform to whoever has but one other")
class Share(Message, frozen=True):
    """A piece of what is secret, as ring elements of 64 bits; none for the party that draws both of its shares."""

    batch: int
    words: memoryview


@message("private.clear", reveals="what the job says is no secret: the model or the input")
class Clear(Message, frozen=True):
    """A piece of what is not secret, eight bytes a number."""

    batch: int
    words: memoryview


@message("private.taken", reveals="that this party has taken in a piece of the model")
class Taken(Message, frozen=True):
    """Send me the next piece."""


@message("private.ready", reveals="how long this party took to meet the others and to take in the model")
class Ready(Message, frozen=True):
    """I can compute; getting there took so many seconds."""

    seconds: float


@message("private.result", reveals="the answer to one request, once all three parties have sent theirs to who asked")
class Result(Message, frozen=True):
    """My first share of every output of request `seq`, and the SHA-256 of my second; and what computing took."""

    seq: int
    seconds: float
    sent: int
    rounds: int
    words: memoryview
    check: bytes


@message("private.finish", reveals="nothing")
class Finish(Message, frozen=True):
    """I need you no more."""


VOCABULARY: tuple[type[Message], ...] = (Key, Door, Seeds, Share, Clear, Taken, Ready, Result, Finish)
